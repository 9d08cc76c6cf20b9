"""Deferred completions: asked for now, fetched later, readable exactly once within a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from supervisor.simulator.dialect import Reply

_KEPT = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Entry:
    reply: Reply
    ready: float


class Deferred:
    """Answers that wait to be fetched. Pure: `now` is passed in, in seconds."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._unfinished: dict[str, _Entry] = {}

    def add(self, reply: Reply, *, now: float, wait: float) -> str:
        """Keep an answer that is ready after `wait` seconds; returns the id to fetch it by."""
        stale = [name for name, entry in self._entries.items() if entry.ready + _KEPT <= now]
        for name in stale:
            del self._entries[name]
        entry = _Entry(reply, now + wait)
        self._entries[reply.id] = self._unfinished[reply.id] = entry
        return reply.id

    def finished(self, now: float) -> list[Reply]:
        """Answers that became ready since this was last called, whose tokens are to be booked."""
        if not self._unfinished:
            return []
        done = [name for name, entry in self._unfinished.items() if entry.ready <= now]
        return [self._unfinished.pop(name).reply for name in done]

    def fetch(self, name: str, *, now: float) -> Reply | Literal["pending"] | None:
        """The answer, once; None where there is none of that id, or not any more."""
        entry = self._entries.get(name)
        if entry is None or entry.ready + _KEPT <= now:
            return None
        if entry.ready > now:
            return "pending"
        return self._entries.pop(name).reply
