"""What a unified diff changes: which files, which of their lines, and what cannot be read at all.

It reads what git, diff, svn and hg write. Where hunks end is counted, never guessed: a removed
line that reads `-- a/x` looks like the beginning of the next file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from supervisor import JobFailed

from .names import NOWHERE, names_in_header, plain_name, without_prefixes

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)")
_MODE = re.compile(r"(?:new mode|new file mode|deleted file mode|index \w+\.\.\w+) (\d{6})")
_BINARY = re.compile(r"Binary files? (.*?)(?: and (.*))? (?:differ|has changed)|GIT binary patch")
_GIT = "diff --git "
_COMBINED = re.compile(r"diff --(?:cc|combined) (.*)")


class Kind(Enum):
    """What became of a file; each value says it to people."""

    TEXT = "changed"
    REMOVED = "the file was removed"
    BINARY = "a binary file"
    SUBMODULE = "a submodule: what changed lies in another repository"
    COMBINED = "a merge compared with all its parents at once; compare it with one of them"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a hunk.

    Attributes:
        number: Its number in the new file; None where it is not in there any more.
        sign: `+`, `-` or a space.
        text: The line, without its end.
    """

    number: int | None
    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that stand together.

    Attributes:
        section: What they stand in, such as the head of a function.
        lines: The lines.
    """

    section: str
    lines: tuple[Line, ...]


@dataclass(slots=True)
class ChangedFile:
    """A file of the diff.

    Attributes:
        path: Its name in the project, the new one.
        before: Its old name; the same unless it was moved.
        kind: What became of it.
        link: Whether it is a symbolic link.
        hunks: What was changed in it.
        added: The text of the lines that are new in it, by number.
    """

    path: str
    before: str
    kind: Kind = Kind.TEXT
    link: bool = False
    hunks: list[Hunk] = field(default_factory=list[Hunk])
    added: dict[int, str] = field(default_factory=dict[int, str])


def read_diff(text: str) -> list[ChangedFile]:
    """The files that a diff changes, in its order.

    Args:
        text: The diff.

    Raises:
        JobFailed: It is none.
    """
    reader = _Reader(text)
    files = reader.files()
    if not files:
        raise JobFailed("expected a unified diff, found no file in it", hint="git diff > x.diff")
    return files


class _Reader:
    """Goes through the lines of a diff once."""

    def __init__(self, text: str) -> None:
        # Not splitlines(): a form feed or a lone \r is part of a line.
        self._lines = text.split("\n")
        self._place = 0
        self._files: list[ChangedFile] = []
        self._named = False
        self._bare = False

    def files(self) -> list[ChangedFile]:
        while self._place < len(self._lines):
            self._read(self._lines[self._place].rstrip("\r"))
        return self._files

    def _read(self, line: str) -> None:
        self._place += 1
        if line.startswith(_GIT):
            old, new, self._bare = names_in_header(line[len(_GIT) :])
            self._open(*without_prefixes(old, new, bare=self._bare), named=False)
        elif combined := _COMBINED.fullmatch(line):
            name = plain_name(combined.group(1))
            self._open(name, name, named=True).kind = Kind.COMBINED
        elif self._files and self._files[-1].kind is Kind.COMBINED:
            return
        elif line.startswith("--- ") and self._peek().startswith("+++ "):
            self._name(plain_name(line[4:]))
        elif hunk := _HUNK.fullmatch(line):
            self._hunk(hunk)
        elif (binary := _BINARY.fullmatch(line)) and self._complete():
            old, new = plain_name(binary.group(1) or ""), plain_name(binary.group(2) or "")
            names = without_prefixes(old, new or old)
            self._open(*names, named=True).kind = Kind.BINARY
        elif self._files and not self._files[-1].hunks:
            _describe(self._files[-1], line)

    def _peek(self) -> str:
        return self._lines[self._place] if self._place < len(self._lines) else ""

    def _complete(self) -> bool:
        """Whether what comes now is about another file."""
        return self._named or not self._files or bool(self._files[-1].hunks)

    def _open(self, old: str, new: str, *, named: bool) -> ChangedFile:
        self._named = named
        self._files.append(ChangedFile(path=new, before=old))
        return self._files[-1]

    def _name(self, old: str) -> None:
        """Take the names from `---` and `+++`, which are better than those of git's header."""
        new = plain_name(self._peek()[4:].rstrip("\r"))
        self._place += 1
        if self._complete():
            self._bare = False
            self._open("", "", named=True)
        self._named = True
        file = self._files[-1]
        old, new = without_prefixes(old, new, bare=self._bare)
        if new == NOWHERE:
            file.kind = Kind.REMOVED
        file.path, file.before = (old if new == NOWHERE else new), (new if old == NOWHERE else old)

    def _hunk(self, head: re.Match[str]) -> None:
        if not self._files:
            raise _no_diff(f"line {self._place} belongs to no file", head.group())
        file = self._files[-1]
        lines = tuple(self._body(head))
        file.hunks.append(Hunk(head.group(5), lines))
        if file.kind is Kind.TEXT:
            added = {line.number: line.text for line in lines if line.sign == "+"}
            file.added |= {number: text for number, text in added.items() if number is not None}

    def _body(self, head: re.Match[str]) -> Iterator[Line]:
        """The lines of a hunk, as many as its head says."""
        number = int(head.group(3))
        removed, added = (int(head.group(group) or 1) for group in (2, 4))
        began = self._place
        while removed > 0 or added > 0:
            if self._place == len(self._lines):
                raise _no_diff(f"the hunk in line {began} ends too early", head.group())
            line = self._peek()
            self._place += 1
            # Mailers take the space from an empty line.
            sign, text = line[:1] or " ", line[1:].removesuffix("\r")
            if sign == "\\":
                continue
            if sign not in "+- ":
                raise _no_diff(f"line {self._place} belongs to no hunk", line)
            removed -= sign != "+"
            added -= sign != "-"
            yield Line(None if sign == "-" else number, sign, text)
            number += sign != "-"


def _describe(file: ChangedFile, line: str) -> None:
    """Take in what stands between a file's names and its first hunk."""
    if mode := _MODE.fullmatch(line):
        file.link = mode.group(1) == "120000"
        if mode.group(1) == "160000":
            _make(file, Kind.SUBMODULE)
    if line.startswith("deleted file mode"):
        _make(file, Kind.REMOVED)
    elif line.startswith(("rename from ", "copy from ")):
        file.before = plain_name(line.partition(" from ")[2])
    elif line.startswith(("rename to ", "copy to ")):
        file.path = plain_name(line.partition(" to ")[2])
    elif _BINARY.fullmatch(line) and file.kind is Kind.TEXT:
        _make(file, Kind.BINARY)


def _make(file: ChangedFile, kind: Kind) -> None:
    file.kind = kind
    file.added.clear()


def _no_diff(what: str, line: str) -> JobFailed:
    return JobFailed(
        f"expected a unified diff, got text that is none: {what}: {line[:80]!r}",
        hint="git diff > x.diff",
    )
