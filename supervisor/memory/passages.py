"""Cuts a file into passages that can be found by themselves. Pure.

Python is cut along its functions and classes, Markdown along its headings, everything else into
stretches of lines that overlap, so that no thought is cut in two everywhere.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

WINDOW = 60
"""Lines of a passage of plain text; longer definitions are cut into such stretches too."""
OVERLAP = 10

_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$")
_FENCE = ("```", "~~~")
_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_IDENTIFIER = re.compile(r"[^\W_]+(?:_+[^\W_]+)*")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a file.

    Attributes:
        start: Its first line, from 1.
        end: Its last line.
        name: What it defines, qualified, or its heading; empty for plain text.
        text: Its lines.
    """

    start: int
    end: int
    name: str
    text: str


def cut(path: str, text: str) -> list[Passage]:
    """The passages of a file, in its order; together they hold every line that says something.

    Args:
        path: Its name tells how it is cut.
        text: Its content.
    """
    lines = text.splitlines()
    if path.endswith((".py", ".pyi")):
        spans = _python(text, len(lines))
    elif path.endswith((".md", ".markdown")):
        spans = _markdown(lines)
    else:
        spans = [(1, len(lines), "")]
    return [passage for span in spans for passage in _windows(lines, span)]


def words(text: str) -> str:
    """A text's words as they are indexed: identifiers whole, and their parts beside them.

    Args:
        text: `parseHTTPRequest2` gives `parseHTTPRequest2 parse HTTP Request 2`.
    """
    return " ".join(_spelled(text))


def _spelled(text: str) -> Iterator[str]:
    for match in _IDENTIFIER.finditer(text):
        whole = match[0]
        yield whole
        parts = _PARTS.findall(whole)
        if len(parts) > 1:
            yield from parts


def _python(text: str, length: int) -> list[tuple[int, int, str]]:
    """Each function and each class's head by itself; what is between them by itself too."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [(1, length, "")]
    starts = sorted(_definitions(tree.body, ""))
    bounds = [(1, "")]
    for start, end, name in starts:
        bounds.append((start, name))
        # What follows a definition belongs to nobody, unless another one begins there.
        bounds.append((end + 1, ""))
    return _spans(_settled(bounds, starts), length)


def _settled(
    bounds: list[tuple[int, str]], starts: list[tuple[int, int, str]]
) -> list[tuple[int, str]]:
    """One name for each line at which something begins: the definition's, where there is one."""
    named = {start: name for start, _, name in starts}
    return sorted({line: named.get(line, name) for line, name in bounds}.items())


def _definitions(body: list[ast.stmt], outer: str) -> Iterator[tuple[int, int, str]]:
    for node in body:
        if isinstance(node, _DEFINITION):
            name = f"{outer}{node.name}"
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield first, node.end_lineno or first, name
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node.body, f"{name}.")


def _markdown(lines: list[str]) -> list[tuple[int, int, str]]:
    bounds, fenced = [(1, "")], False
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith(_FENCE):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(line)
        if heading:
            bounds.append((number, heading[1]))
    return _spans(sorted(dict(bounds).items()), len(lines))


def _spans(bounds: list[tuple[int, str]], length: int) -> list[tuple[int, int, str]]:
    ends = [start - 1 for _, (start, _) in pairwise(bounds)]
    return [
        (start, end, name)
        for (start, name), end in zip(bounds, [*ends, length], strict=True)
        if start <= min(end, length)
    ]


def _windows(lines: list[str], span: tuple[int, int, str]) -> Iterator[Passage]:
    start, last, name = span
    while start <= last:
        end = min(last, start + WINDOW - 1)
        text = "\n".join(lines[start - 1 : end])
        if text.strip():
            yield Passage(start, end, name, text)
        if end == last:
            return
        start = end + 1 - OVERLAP
