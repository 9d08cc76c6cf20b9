"""Each thing that `doctor` looks at, well and ill."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

import supervisor
from supervisor.cli import checks, main
from supervisor.config.load import load_settings
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError

KEY = "xai-test-not-a-real-key"
Capture = pytest.CaptureFixture[str]


def _settings(*overrides: str, **environ: str) -> Settings:
    return load_settings(overrides=overrides, environ=environ)


class Wall:
    """A clock that shows what it is told."""

    def __init__(self, wall: float) -> None:
        self._wall = wall

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return 0.0


def test_python_is_new_enough() -> None:
    """The Python that runs these tests is one that is supported."""
    assert checks.python_version().ok


def test_package_is_ours(tmp_path: Path) -> None:
    """Our own package is recognised; Supervisord's, or a mixture, is called by its name."""
    assert supervisor.__file__ is not None
    assert checks.package(Path(supervisor.__file__).parent).ok
    assert not checks.package(tmp_path).ok
    (tmp_path / "supervisord.py").touch()
    mixed = checks.package(tmp_path)
    assert not mixed.ok
    assert "Supervisord" in mixed.hint


def test_configuration_is_told() -> None:
    """The check shows the API and the limits, or what is wrong."""
    fine = checks.configuration(_settings())
    assert "https://api.x.ai/v1, 100 requests / minute, 3000 requests / hour" in fine.detail
    unlimited = checks.configuration(_settings("quota.enabled=false"))
    assert "no limits" in unlimited.detail
    assert not checks.configuration(ConfigError("expected x")).ok


@pytest.mark.parametrize(
    ("key", "ok"),
    [("", False), (KEY, True), ("abc-test-not-a-real-key", False), ("xai-short", False)],
)
def test_key_is_judged_and_never_shown(key: str, *, ok: bool) -> None:
    """A key is judged by its looks, and no part of it is shown."""
    check = checks.key_present(_settings(**({"XAI_API_KEY": key} if key else {})))
    assert check.ok is ok
    assert not key or key not in f"{check.detail}{check.hint}"


def test_roles_are_loaded(tmp_path: Path) -> None:
    """A broken plugin, or a missing folder, is told with what to do."""
    folder = tmp_path / "roles"
    setting = f"roles.directory={folder}"
    assert not checks.roles(_settings(setting)).ok
    folder.mkdir()
    assert checks.roles(_settings(setting)).detail.endswith("none yet")
    (folder / "bad.py").write_text("import nothing_of_that_name\n")
    broken = checks.roles(_settings(setting))
    assert not broken.ok
    assert "bad.py:1" in broken.detail


def test_store_is_writable(tmp_path: Path) -> None:
    """The nearest folder that exists is looked at; nothing is created."""
    assert checks.store(_settings(f"store.url=sqlite:///{tmp_path}/new/x.sqlite")).ok
    assert not (tmp_path / "new").exists()
    assert checks.store(_settings("store.url=postgresql://u@h/d")).ok


def test_store_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without write permission is named."""

    def nothing_is_allowed(path: Path, mode: int) -> bool:
        return False

    monkeypatch.setattr("os.access", nothing_is_allowed)
    check = checks.store(_settings(f"store.url=sqlite:///{tmp_path}/x.sqlite"))
    assert not check.ok
    assert str(tmp_path) in check.detail


def test_port_is_free_or_taken(free_port: int) -> None:
    """A free port is well; one where something else listens is not."""
    setting = f"web.port={free_port}"
    assert checks.port(_settings(setting)).ok
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        assert not checks.port(_settings(setting)).ok


@pytest.mark.parametrize(("wall", "ok"), [(1_800_000_000.0, True), (0.0, False)])
def test_clock_is_plausible(wall: float, *, ok: bool) -> None:
    """A clock that shows a time before this project existed is wrong."""
    assert checks.clock(Wall(wall)).ok is ok


@pytest.mark.anyio
async def test_key_is_refused_by_an_api_that_is_not_there(free_port: int) -> None:
    """An API that cannot be reached is told with its address, without the key."""
    settings = _settings(f"upstream.base_url=http://127.0.0.1:{free_port}/v1", XAI_API_KEY=KEY)
    check = await checks.key_accepted(settings)
    assert not check.ok
    assert f"127.0.0.1:{free_port}" in f"{check.detail}{check.hint}"
    assert KEY not in f"{check.detail}{check.hint}"


def test_doctor_prints_one_document(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json the checks are one document; one that fails makes the exit code 1."""
    Path("roles").mkdir()
    (Path("roles") / "loud.py").write_text("print('hello from a plugin')\n")
    monkeypatch.setenv("XAI_API_KEY", KEY)
    code = main(["doctor", "--offline", "--json", "--set", "web.port=0"])
    document = json.loads(capsys.readouterr().out)
    assert code == 1
    assert document["ok"] is False
    names = [check["name"] for check in document["checks"]]
    assert names == ["python", "package", "clock", "config", "key", "roles", "store", "port"]
    assert all(set(check) == {"name", "ok", "detail", "hint"} for check in document["checks"])
    assert KEY not in json.dumps(document)


def test_doctor_goes_no_further_than_a_wrong_configuration(capsys: Capture) -> None:
    """What depends on the settings is not checked where there are none."""
    assert main(["doctor", "--set", "modle=x"]) == 1
    out = capsys.readouterr().out
    assert 'did you mean "model"?' in out
    assert "FAIL config" in out
    assert "store" not in out
