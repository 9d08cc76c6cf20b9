"""Requests of jobs that wait for a model to have room again: few look, and not all at once. Pure.

A job bears waiting, so that a model without capacity does not fail it. But if each of its requests
looked every eight seconds, a few dozen would spend all of the key's quota in vain, which others
need for other models. So they stand in a line, one for each model, and one looks at a time. An
answer of the model lets two more look at once: where it has room the line is gone in a moment, and
where it has room for less than half of them, the others go on looking one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.broker.entry import Entry
from supervisor.upstream.retry import DELAYS

APART = DELAYS[-1]
"""Most seconds between two looks at one model, but for chance and where the API names a time."""

_MORE = 2
"""Requests that an answer lets look at once."""


@dataclass(slots=True)
class _Line:
    """One model's: who looks, and when, soonest first."""

    entries: list[Entry] = field(default_factory=list[Entry])
    moments: list[float] = field(default_factory=list[float])


class Lines:
    """The lines of all models."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def __contains__(self, entry: object) -> bool:
        """Whether a request stands in a line."""
        if not isinstance(entry, Entry):
            return False
        line = self._lines.get(entry.request.model)
        return line is not None and entry in line.entries

    def join(self, entry: Entry, *, delay: float, now: float) -> float:
        """A request was refused for want of capacity, and is to look again.

        Args:
            entry: It stands in no line.
            delay: Seconds for which it must wait in any case.
            now: Monotonic seconds.

        Returns:
            When it may look, in monotonic seconds.
        """
        line = self._lines.setdefault(entry.request.model, _Line())
        moment = now + delay
        if line.moments:
            moment = max(moment, line.moments[-1] + min(delay, APART))
        line.entries.append(entry)
        line.moments.append(moment)
        return moment

    def leave(self, entry: Entry, *, now: float) -> tuple[Entry, float] | None:
        """A request looks, or is given up.

        Args:
            entry: It need not stand in a line.
            now: Monotonic seconds.

        Returns:
            The last of the line, where it takes this one's place, and when it may look.
        """
        line = self._lines.get(entry.request.model)
        if line is None or entry not in line.entries:
            return None
        place = line.entries.index(entry)
        moment, last = line.moments[place], line.entries[-1]
        if moment <= now or last is entry:
            del line.entries[place], line.moments[place]
            self._forget_empty(entry.request.model)
            return None
        line.entries[place] = last
        del line.entries[-1], line.moments[-1]
        return last, moment

    def answered(self, model: str) -> list[Entry]:
        """A model has room.

        Args:
            model: Its name.

        Returns:
            Those who may look at once; the last, so that the line keeps its time.
        """
        line = self._lines.get(model)
        if line is None:
            return []
        let = line.entries[-_MORE:]
        del line.entries[-_MORE:], line.moments[-_MORE:]
        self._forget_empty(model)
        return let

    def _forget_empty(self, model: str) -> None:
        if not self._lines[model].entries:
            del self._lines[model]
