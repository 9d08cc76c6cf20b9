"""Splits a byte stream into whole server-sent events without changing a byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_LARGEST_EVENT = 16 * 1024 * 1024


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

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Add a chunk and get the events it completes."""
        buffer = self._buffer + chunk
        start = 0
        while True:
            end = _end_of_event(buffer, start)
            if end < 0:
                break
            raw = buffer[start:end]
            start = end
            yield Event(raw, _data(raw))
        self._buffer = buffer[start:]
        if len(self._buffer) > _LARGEST_EVENT:
            raise ValueError(f"an event of more than {_LARGEST_EVENT} bytes")

    def rest(self) -> bytes:
        """What came after the last complete event."""
        return self._buffer


def _end_of_event(buffer: bytes, start: int) -> int:
    ends = [
        index + len(mark)
        for mark in (b"\n\n", b"\r\n\r\n")
        if (index := buffer.find(mark, start)) >= 0
    ]
    return min(ends, default=-1)


def _data(raw: bytes) -> bytes:
    if raw.startswith(b"data: ") and raw.count(b"\n") <= 2 and not raw.endswith(b"\r\n"):
        return raw[6:].rstrip(b"\n")
    lines = [line[5:].lstrip(b" ") for line in raw.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)
