"""The shipped files are found in the source tree and in an installed package alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import supervisor.project.shipped as module
from supervisor.config.load import load_settings
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.project.shipped import MAPPED, OWN, shipped

ROOT = Path(__file__).parents[2]
FILES = ROOT / "supervisor" / "project" / "files"
INSIDE = "supervisor/project/files"


def mapping() -> dict[str, str]:
    """What the package gets of the source tree's own files, by pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    mapped: dict[str, str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    return mapped


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as an installer would make it: the package, and what is mapped into it."""
    site = tmp_path / "site"
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "supervisor", site / "supervisor", ignore=without)
    for source, target in mapping().items():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, site / target, ignore=without)
        else:
            shutil.copy(ROOT / source, site / target)
    # Installers compile what they install, these files too.
    (site / INSIDE / "roles" / "__pycache__").mkdir()
    (site / INSIDE / "roles" / "__pycache__" / "memory.cpython-311.pyc").touch()
    return site


def test_a_project_gets_the_trees_own_files() -> None:
    """Settings and every role come as they are in the tree, without what Python compiled."""
    files = shipped("1.2.3")
    assert files["config.toml"] == (ROOT / "config.toml").read_bytes()
    roles = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in (ROOT / "roles").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path: text for path, text in files.items() if path.startswith("roles/")} == roles
    assert list(files) == sorted(files)


def test_a_project_names_the_version_it_was_made_with() -> None:
    """What has to be installed is said with its version; no placeholder is left."""
    files = shipped("1.2.3")
    wanted = files["requirements.txt"].decode()
    assert "./wheels/grok_supervisor-1.2.3-py3-none-any.whl" in wanted.splitlines()
    assert [path for path, text in files.items() if b"VERSION\n" in text] == []
    assert files[".gitignore"].splitlines()[0] == b".env"


def test_the_package_is_built_with_what_is_mapped() -> None:
    """pyproject.toml maps exactly what is looked for, to where it is looked for."""
    assert mapping() == {name: f"{INSIDE}/{name}" for name in MAPPED}
    assert sorted(path.name for path in FILES.iterdir()) == sorted(OWN)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    sources = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert set(MAPPED) <= set(sources)


@pytest.mark.slow
def test_an_installed_package_gives_the_same(installed: Path, tmp_path: Path) -> None:
    """`init` of an installed package makes the very same project, without the source tree."""
    here = tmp_path / "elsewhere"
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-B", "-m", "supervisor", "init", "team", "--json"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        check=True,
        text=True,
    )
    team = here / "team"
    made = {
        path.relative_to(team).as_posix(): path.read_bytes()
        for path in team.rglob("*")
        if path.is_file()
    }
    assert json.loads(done.stdout) == {"folder": str(team), "files": sorted(made)}
    version = made["README.md"].decode().partition("grok-supervisor ")[2].split()[0].rstrip(".")
    assert made == shipped(version)


def test_an_incomplete_installation_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file is missing, the error names it and where it should be."""
    lonely = tmp_path / "site" / "supervisor" / "project" / "shipped.py"
    monkeypatch.setattr(module, "__file__", str(lonely))
    with pytest.raises(ConfigError, match=r"lacks the file config\.toml, expected it at .*files"):
        shipped("1.2.3")


def test_the_settings_of_a_project_are_the_defaults(tmp_path: Path) -> None:
    """A new project's config.toml changes nothing until somebody changes it."""
    file = tmp_path / "config.toml"
    file.write_bytes(shipped("1.2.3")["config.toml"])
    assert load_settings(file, environ={}) == Settings()
