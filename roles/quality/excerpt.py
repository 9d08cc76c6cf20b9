"""What the model is shown of a change: all of it where there is room, and what it is not shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .diff import ChangedFile, Kind
from .review import LeftOut

_ROOM = 150_000
"""Characters of a change that are shown, some 45,000 tokens."""
_LONGEST = 400
"""Characters of a line that are shown."""
_MOST_FILES = 300
_GENERATED = re.compile(
    r"(?:.*/)?(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lock"
    r"|uv\.lock|poetry\.lock|Pipfile\.lock|pdm\.lock|Cargo\.lock|go\.sum|composer\.lock"
    r"|Gemfile\.lock|flake\.lock|.*\.min\.(?:js|css)|.*\.map|.*_pb2(?:_grpc)?\.pyi?)"
)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a change.

    Attributes:
        text: The files with the new files' line numbers, so that nobody need count.
        places: The changed lines in it, by file.
        left_out: What is not in it.
    """

    text: str
    places: Mapping[str, frozenset[int]]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    text: str
    changed: int | None = None
    cut: bool = False


def excerpt(files: Sequence[ChangedFile], *, room: int = _ROOM) -> Excerpt:
    """What there is room for: small files whole, large ones up to the same size each.

    Args:
        files: The change.
        room: Characters.
    """
    rows = [[] if _why_not(file) else list(_rows(file)) for file in files[:_MOST_FILES]]
    most = _most_each([sum(len(row.text) + 1 for row in one) for one in rows], room)
    parts: list[str] = []
    places: dict[str, frozenset[int]] = {}
    left_out: list[LeftOut] = []
    for file, all_rows in zip(files, rows, strict=False):
        shown = _fitting(all_rows, most)
        lines = frozenset(row.changed for row in shown if row.changed is not None)
        parts.append("\n".join((_title(file), *(row.text for row in shown))))
        places[file.path] = places.get(file.path, frozenset()) | lines
        if why := _why_not(file) or _too_large(file, all_rows, shown):
            left_out.append(_left_out(file, why, lines))
    left_out += [_left_out(file, "too many files", frozenset()) for file in files[_MOST_FILES:]]
    return Excerpt("\n".join(parts), places, tuple(left_out))


def _left_out(file: ChangedFile, why: str, shown: frozenset[int]) -> LeftOut:
    return LeftOut(file=file.path, why=why, lines=len(file.added.keys() - shown))


def _why_not(file: ChangedFile) -> str:
    """Why nothing of it is shown; empty where something is."""
    if file.kind is not Kind.TEXT:
        return str(file.kind.value)
    return "generated" if _GENERATED.fullmatch(file.path) else ""


def _too_large(file: ChangedFile, rows: Sequence[_Row], shown: Sequence[_Row]) -> str:
    """What is missing of it; empty where nothing is."""
    if len(shown) < len(rows):
        lines = (row.changed for row in rows[len(shown) :] if row.changed is not None)
        first = min(lines, default=None)
        where = "its end" if first is None else f"what follows from line {first} on"
        return f"too large: {where} was not shown"
    cut = any(row.cut for row in shown)
    return f"lines were shown up to {_LONGEST} characters" if cut else ""


def _most_each(sizes: Sequence[int], room: int) -> int:
    """The size up to which every file is shown, so that all together have room."""
    left = len(sizes)
    for size in sorted(sizes):
        if size * left > room:
            return room // left
        room -= size
        left -= 1
    return max(sizes, default=0)


def _fitting(rows: Sequence[_Row], most: int) -> Sequence[_Row]:
    for number, row in enumerate(rows):
        most -= len(row.text) + 1
        if most < 0:
            return rows[:number]
    return rows


def _title(file: ChangedFile) -> str:
    title = f"=== {_printable(file.path)}"
    if why := _why_not(file):
        return f"{title}\n({why}; not shown)"
    return title if file.before == file.path else f"{title}\n(was {_printable(file.before)})"


def _printable(name: str) -> str:
    """A name that cannot look like anything but a name."""
    return name if name.isprintable() else json.dumps(name)


def _rows(file: ChangedFile) -> Iterator[_Row]:
    for hunk in file.hunks:
        yield _Row(f"@@ {hunk.section}".rstrip())
        for line in hunk.lines:
            number = "" if line.number is None else str(line.number)
            text = line.text.rstrip()
            cut = len(text) > _LONGEST
            if cut:
                text = f"{text[:_LONGEST]}… ({len(text) - _LONGEST} more characters)"
            changed = line.number if line.sign == "+" else None
            yield _Row(f"{number:>6} {line.sign}{text}", changed, cut)
