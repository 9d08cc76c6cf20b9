"""Text for people: coloured where somebody looks at it, in columns where it is a table."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import Enum
from typing import TextIO


class Color(Enum):
    """ANSI colours by what they say."""

    GOOD = "32"
    WARNING = "33"
    BAD = "31"
    FAINT = "2"
    STRONG = "1"


class Painter:
    """Colours text, or leaves it as it is.

    Args:
        enabled: Whether to colour.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled

    def paint(self, text: str, color: Color) -> str:
        """The text in a colour."""
        return f"\x1b[{color.value}m{text}\x1b[0m" if self._enabled and text else text


def painter_for(stream: TextIO) -> Painter:
    """A painter that suits a stream: plain for files, for `NO_COLOR` and for dumb terminals."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Painter(enabled=wanted and stream.isatty())


def local_time(seconds: float) -> str:
    """A moment as this machine's clock shows it.

    Args:
        seconds: Unix time.
    """
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], *, right: Collection[str] = ()
) -> str:
    """Rows in columns.

    Args:
        heads: The columns' titles.
        rows: As many cells each.
        right: Titles of the columns that are aligned to the right.
    """
    texts = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in texts) for column in range(len(heads))]
    lines = (
        "  ".join(
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(line, widths, heads, strict=True)
        ).rstrip()
        for line in texts
    )
    return "\n".join(lines)


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, with a mark where some are missing."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
