"""Which command tells whether a repository works, where nobody says it."""

from __future__ import annotations

import json
import re
from pathlib import Path

_MAKE_TEST = re.compile(r"^test\s*:", re.MULTILINE)
_PYTEST = ("pytest.ini", "conftest.py", "tests/conftest.py")


def found_test(root: Path) -> str:
    """The test command that the files of a repository suggest; empty for none. Blocks.

    Args:
        root: Top of its working tree.
    """
    if any(_MAKE_TEST.search(_text(root / name)) for name in ("Makefile", "GNUmakefile")):
        return "make test"
    if any((root / name).exists() for name in _PYTEST) or "[tool.pytest" in _text(
        root / "pyproject.toml"
    ):
        return "python -m pytest -q"
    if _has_npm_test(root / "package.json"):
        return "npm test --silent"
    if (root / "Cargo.toml").exists():
        return "cargo test --quiet"
    if (root / "go.mod").exists():
        return "go test ./..."
    return _python_test(root)


def _python_test(root: Path) -> str:
    files = [*root.glob("test_*.py"), *root.glob("tests/**/test_*.py")]
    if not files:
        return ""
    plain = all("import pytest" not in _text(file) for file in files)
    cases = any("unittest" in _text(file) for file in files)
    if not plain or not cases:
        return "python -m pytest -q"
    return (
        "python -m unittest -q"
        if files[0].parent == root
        else "python -m unittest discover -q -s tests"
    )


def _has_npm_test(file: Path) -> bool:
    try:
        return "test" in json.loads(_text(file) or "{}").get("scripts", {})
    except (ValueError, AttributeError):
        return False


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""
