"""The linters: which files each can look at, how it is run, and what its output says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .review import Severity
from .rules import severity_of

_SYNTAX = Path(__file__).with_name("syntax.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One thing that a linter says.

    Attributes:
        rule: Its rule, with the linter's name in front.
        file: Relative to the repository's root.
        start: First line.
        end: Last line.
        text: What is wrong.
        why: Which rule says so.
        suggestion: What to do; empty when it does not say.
        severity: How bad it is; None for style.
        unreadable: Whether the file cannot be read at all, so that the line says little.
    """

    rule: str
    file: str
    start: int
    end: int
    text: str
    why: str = ""
    suggestion: str = ""
    severity: Severity | None = Severity.ERROR
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Linter:
    """A linter.

    Attributes:
        name: What it is called.
        commands: Ways to run it, in the order in which they are tried; files are added behind.
        read: Makes hits of what it prints; raises ValueError where it cannot.
    """

    name: str
    commands: Callable[[], Sequence[Sequence[str]]]
    read: Callable[[str, Path], Iterator[Hit]]


def _ruff_commands() -> Sequence[Sequence[str]]:
    options = (
        *("check", "--output-format=json-lines", "--no-cache", "--no-fix", "--no-fix-only"),
        *("--exit-zero", "--force-exclude", "--quiet", "--"),
    )
    # -I: a module that the repository calls `ruff` is not the linter.
    return [(sys.executable, "-I", "-m", "ruff", *options), ("ruff", *options)]


def _read_ruff(output: str, folder: Path) -> Iterator[Hit]:
    for said in _documents(output):
        code = str(said.get("code") or "invalid-syntax")
        name = str(said.get("name") or code)
        unreadable = code in {"invalid-syntax", "E999"}
        fix: dict[str, Any] = said.get("fix") or {}
        yield Hit(
            rule=f"ruff/{code}",
            file=Path(said["filename"]).relative_to(folder).as_posix(),
            start=int(said["location"]["row"]),
            end=int(said["end_location"]["row"]),
            text=str(said["message"]),
            why="It cannot be parsed." if unreadable else f"ruff's rule {code}, {name}.",
            suggestion=str(fix.get("message") or ""),
            severity=Severity.ERROR if unreadable else severity_of(code),
            unreadable=unreadable,
        )


def _syntax_commands(kind: str) -> Sequence[Sequence[str]]:
    # Its text, not its path: a sandbox may show it other files than ours.
    return [(sys.executable, "-I", "-c", _SYNTAX.read_text("utf-8"), kind)]


def _read_syntax(output: str, folder: Path, *, kind: str) -> Iterator[Hit]:
    for said in _documents(output):
        yield Hit(
            rule=f"{kind}/syntax",
            file=str(said["file"]),
            start=int(said["line"]),
            end=int(said["line"]),
            text=str(said["text"]),
            why=f"It cannot be parsed as {kind}.",
            unreadable=True,
        )


def _documents(output: str) -> Iterator[dict[str, Any]]:
    # Not splitlines(): a text may hold what that takes for an end of line.
    for line in filter(None, output.split("\n")):
        yield json.loads(line)


def _syntax(kind: str) -> Linter:
    return Linter(kind, partial(_syntax_commands, kind), partial(_read_syntax, kind=kind))


_COMMENTED = (
    r"(?:.*/)?(?:\.vscode/.*|\.devcontainer/.*|[jt]sconfig.*|\.eslintrc|devcontainer)\.json"
)
"""JSON files in which comments are usual."""

LINTERS: Sequence[tuple[re.Pattern[str], Sequence[Linter]]] = (
    (
        re.compile(r".*\.pyi?", re.DOTALL),
        (Linter("ruff", _ruff_commands, _read_ruff), _syntax("python")),
    ),
    (re.compile(rf"(?!{_COMMENTED}$).*\.json", re.DOTALL), (_syntax("json"),)),
    (re.compile(r".*\.toml", re.DOTALL), (_syntax("toml"),)),
)
"""By the files' names: who can look at them, best first; the first that works does."""
