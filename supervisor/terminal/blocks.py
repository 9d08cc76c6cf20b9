"""Cuts markdown that comes in pieces into blocks, each of which can be shown for good. Pure.

A block that is still coming is never shown and redrawn: that flickers, and leaves copies behind
when it is longer than the screen.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|\Z)")
_LONGEST = 60
"""Lines of a fenced block that are shown together; a longer one comes in several parts."""


class Blocks:
    """Collects pieces and gives out the blocks that are complete.

    A block ends at a blank line; a list only where what follows is not indented, for an item may
    go on behind it; and a fenced block at its closing fence.
    """

    def __init__(self) -> None:
        self._line = ""
        self._lines: list[str] = []
        self._fence = ""
        self._opening = ""
        self._blank = False

    def feed(self, piece: str) -> list[str]:
        """The blocks that this completes.

        Args:
            piece: More of the text; it need not end with a line.
        """
        *lines, self._line = (self._line + piece).split("\n")
        return [block for line in lines for block in self._take(line)]

    def rest(self) -> list[str]:
        """What there is at the end, complete or not."""
        last, self._line = self._line, ""
        found = self._take(last) if last else []
        return [*found, *self._end()]

    def _take(self, line: str) -> list[str]:
        if self._fence:
            return self._take_fenced(line)
        if not line.strip():
            if self._in_list():
                self._blank = True
                return []
            return self._end()
        done: list[str] = []
        if self._blank:
            # The list goes on behind a blank line only with what is indented.
            if line.startswith((" ", "\t")):
                self._lines.append("")
            else:
                done = self._end()
            self._blank = False
        if (fence := _FENCE.match(line)) and not (self._in_list() and line.startswith(" ")):
            done += self._end()
            self._fence, self._opening = fence[1], line
        self._lines.append(line)
        return done

    def _take_fenced(self, line: str) -> list[str]:
        closing = line.strip()
        if closing.startswith(self._fence) and not closing.strip(self._fence[0]):
            self._lines.append(line)
            self._fence = ""
            return self._end()
        if len(self._lines) > _LONGEST:
            part = "\n".join([*self._lines, self._fence])
            self._lines = [self._opening, line]
            return [part]
        self._lines.append(line)
        return []

    def _in_list(self) -> bool:
        return bool(self._lines and _ITEM.match(self._lines[0]))

    def _end(self) -> list[str]:
        block = "\n".join(self._lines)
        self._lines, self._fence, self._blank = [], "", False
        return [block] if block else []
