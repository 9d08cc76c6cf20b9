"""Puts a new text in the place of an old one. Pure.

The place is looked for exactly, then with the whole block shifted to another indentation; there
is no third guess, for a change in the wrong place costs more than another try.
"""

from __future__ import annotations

import ast
import difflib
import json
import tomllib

_MOST_PLACES = 5
_LIKE = 0.5
"""From which likeness on a block is worth showing."""


class EditRefused(Exception):
    """The edit cannot be made; the text says why, and what to do instead."""


def replaced(text: str, *, old: str, new: str) -> str:
    """The text with one place changed.

    Args:
        text: All of the file.
        old: What stands there; exactly once.
        new: What is to stand there.

    Raises:
        EditRefused: It stands there not at all, or more than once.
    """
    if "\r\n" in text:
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
    if old == new:
        raise EditRefused("old and new are the same text: nothing would change")
    if not old.strip():
        raise EditRefused("old is empty: expected the lines that are to be replaced")
    # Places that overlap are places too: which of them is meant nobody can say.
    found = _lines_of(text, old)
    if len(found) == 1:
        return text.replace(old, new)
    if found:
        lines = ", ".join(map(str, found[:_MOST_PLACES]))
        raise EditRefused(
            f"old stands in the file {len(found)} times, at lines {lines}: "
            "take in more lines around it"
        )
    return _shifted(text, old, new)


def broken(path: str, before: str | None, after: str) -> str:
    """Why a text is no longer what the file's name says; empty while it is, or never was.

    Args:
        path: Its ending says what it is.
        before: The text until now; None for a new file.
        after: The text as it would be.
    """
    problem = _problem(path, after)
    if problem and (before is None or not _problem(path, before)):
        return problem
    return ""


def _shifted(text: str, old: str, new: str) -> str:
    """Replace a block that stands there with another indentation, the same for all its lines."""
    lines = text.splitlines(keepends=True)
    wanted = old.splitlines()
    places = [
        (start, shift)
        for start in range(len(lines) - len(wanted) + 1)
        if (shift := _shift(wanted, lines[start : start + len(wanted)])) is not None
    ]
    if len(places) != 1:
        raise EditRefused(_not_found(lines, wanted, count=len(places)))
    start, shift = places[0]
    end = start + len(wanted)
    block = "".join(_indented(line, shift) for line in new.splitlines(keepends=True))
    if block and lines[end - 1].endswith("\n") and not block.endswith("\n"):
        block += "\r\n" if lines[end - 1].endswith("\r\n") else "\n"
    return "".join([*lines[:start], block, *lines[end:]])


def _shift(wanted: list[str], found: list[str]) -> str | None:
    """What stands before every line of `found` that `wanted` lacks; `-` in front for the reverse.

    None where they differ in anything else.
    """
    shifts: set[str] = set()
    for line, other in zip(wanted, found, strict=True):
        one, two = line.rstrip(), other.rstrip()
        if not one and not two:
            continue
        if one and two.endswith(one) and not two.removesuffix(one).strip():
            shifts.add(two.removesuffix(one))
        elif two and one.endswith(two) and not one.removesuffix(two).strip():
            shifts.add(f"-{one.removesuffix(two)}")
        else:
            return None
    return shifts.pop() if len(shifts) == 1 else None


def _indented(line: str, shift: str) -> str:
    if not line.strip():
        return line
    if shift.startswith("-"):
        return line.removeprefix(shift[1:])
    return shift + line


def _not_found(lines: list[str], wanted: list[str], *, count: int) -> str:
    if count:
        return f"old stands in the file {count} times, but for its indentation: take in more lines"
    size, best, place = len(wanted), 0.0, 0
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2([line.strip() for line in wanted])
    for start in range(max(len(lines) - size + 1, 1)):
        matcher.set_seq1([line.strip() for line in lines[start : start + size]])
        if matcher.real_quick_ratio() > best and (ratio := matcher.ratio()) > best:
            best, place = ratio, start
    if best < _LIKE:
        return "old does not stand in the file: read the file again and copy the lines exactly"
    block = "".join(lines[place : place + size])
    return (
        "old does not stand in the file. Did you mean these lines, "
        f"{place + 1} to {place + size}?\n{block}"
    )


def _lines_of(text: str, part: str) -> list[int]:
    found: list[int] = []
    at = text.find(part)
    while at >= 0:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(part, at + 1)
    return found


def _problem(path: str, text: str) -> str:
    try:
        if path.endswith((".py", ".pyi")):
            ast.parse(text)
        elif path.endswith(".json"):
            json.loads(text)
        elif path.endswith(".toml"):
            tomllib.loads(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""
