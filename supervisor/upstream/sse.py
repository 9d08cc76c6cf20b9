"""Splits a byte stream into whole server-sent events without changing a byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LARGEST_EVENT = 16 * 1024 * 1024

# Two line endings, each of one of the standard's three kinds. The groups are atomic: a `\\r\\n` is
# one ending, never two.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_MARK = 4
_HALF = (b"\r\n\r", b"\n\r")
"""Marks whose line feed may come with the next chunk."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        raw: Its bytes as they came, the blank line included.
        data: Its `data` lines joined; empty for a comment.
    """

    raw: bytes
    data: bytes


class EventSplitter:
    """Collects chunks and yields the events that are complete.

    Raises:
        ValueError: From `feed`, when an event exceeds 16 MiB: this is no event stream.
    """

    __slots__ = ("_buffer", "_returns", "_scanned")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._returns = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Add a chunk and get the events it completes."""
        buffer = self._buffer
        buffer += chunk
        self._returns = self._returns or b"\r" in chunk
        start, scan = 0, self._scanned
        while (end := self._end_of_event(scan)) >= 0:
            raw = bytes(buffer[start:end])
            start = scan = end
            yield Event(raw, data_of(raw))
        del buffer[:start]
        # What was searched once is not searched again; a mark may have begun at its end.
        self._scanned = max(0, len(buffer) - _LONGEST_MARK)
        if len(buffer) > _LARGEST_EVENT:
            raise ValueError(f"an event of more than {_LARGEST_EVENT} bytes")

    def rest(self) -> bytes:
        """What came after the last complete event."""
        return bytes(self._buffer)

    def _end_of_event(self, scan: int) -> int:
        if not self._returns:
            # The usual stream, four times as fast as by the pattern; JSON never holds a bare CR.
            at = self._buffer.find(b"\n\n", scan)
            return at + 2 if at >= 0 else -1
        mark = _BLANK_LINE.search(self._buffer, scan)
        if mark is None or (mark.end() == len(self._buffer) and mark[0] in _HALF):
            return -1
        return mark.end()


def data_of(raw: bytes) -> bytes:
    """The `data` lines of one event, joined."""
    if raw.startswith(b"data: ") and raw.count(b"\n") <= 2 and b"\r" not in raw:
        return raw[6:].rstrip(b"\n")
    lines = [line[5:].lstrip(b" ") for line in raw.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)
