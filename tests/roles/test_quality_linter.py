"""Which of a linter's words are bugs, and what a file that cannot be parsed is told as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roles.quality.linter import LINTERS
from roles.quality.review import Severity
from roles.quality.rules import severity_of
from roles.quality.syntax import main, problem


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("F821", "error"),
        ("F632", "error"),
        ("PLE0704", "error"),
        ("B006", "warning"),
        ("S608", "warning"),
        ("F841", "note"),
        *((code, None) for code in ("F401", "F541", "E501", "E902", "B007", "S101", "S405")),
        # Letters are not mistaken for the beginning of others.
        *((code, None) for code in ("SIM101", "SLF001", "FBT001", "BX1", "D100", "N806", "?")),
    ],
)
def test_style_is_not_told(code: str, severity: str | None) -> None:
    """Rules that mean a bug have a severity; naming, style and order have none."""
    assert severity_of(code) == (None if severity is None else Severity(severity))


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("python", b"x = 1\n", None),
        ("python", b"'\\d'\n", None),
        ("python", b"# coding: latin-1\nx = '\xff'\n", None),
        ("python", b"x = 1\nx = (\n", (2, "'(' was never closed")),
        ("python", b"x = '\xff'\n", (1, "utf-8")),
        ("python", b"\0", (1, "null bytes")),
        ("json", b'\xef\xbb\xbf{"a": 1}', None),
        ("json", b"{\n,}", (2, "Expecting property name")),
        ("json", b"\xff", (1, "utf-8")),
        ("json", b"[" * 100_000, (1, "recursion")),
        ("toml", b"a = 1", None),
        ("toml", b"a = 1\nb =\n", (2, "Invalid value")),
    ],
)
def test_syntax_is_checked(kind: str, data: bytes, expected: tuple[int, str] | None) -> None:
    """A file that can be parsed is fine; else line and reason are told, whatever is in it."""
    found = problem(kind, data)
    if expected is None or found is None:
        assert found == expected
        return
    assert found[0] == expected[0]
    assert expected[1] in found[1]
    assert "at line" not in found[1]


def test_the_check_is_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints one line of JSON for each file that cannot be parsed, and passes over others."""
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "good.json").write_text("{}")
    main("json", *(str(tmp_path / name) for name in ("bad.json", "good.json", "missing.json")))
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["file"] == str(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("name", "linters"),
    [
        ("a/b.py", ["ruff", "python"]),
        ("b.pyi", ["ruff", "python"]),
        ("a\nb.toml", ["toml"]),
        ("package.json", ["json"]),
        ("web/tsconfig.base.json", []),
        (".vscode/settings.json", []),
        ("py", []),
    ],
)
def test_linters_are_chosen_by_name(name: str, linters: list[str]) -> None:
    """A file's name says who can look at it; JSON with comments is nobody's."""
    chosen = [one.name for pattern, some in LINTERS if pattern.fullmatch(name) for one in some]
    assert chosen == linters
