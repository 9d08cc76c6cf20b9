"""What the server says is left, held against our own count.

A successful answer carries a limit and what remains of it. If the server has counted more than
everything of ours that it can have counted, the rest is somebody else's: another program on the
same key, or this one's predecessor on another machine. That much is taken off our windows, so
that we do not run into refusals. Nothing is ever put on.

Three things make a header worth little, and none of them may cost anything. It belongs to an
unknown window: only one whose amount is the limit that it names is meant, and once that was seen,
the same model's header goes on meaning it when its limit is lowered. It was written at an unknown
moment between sending and answer: all of ours that any such moment could have counted is granted.
And answers overlap: what they prove is not added up, the highest proof of a period counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from supervisor.limits import Limit, Unit

_MOST_MODELS = 100
"""Models whose headers are told apart; names come from whoever asks."""
_UNITS: tuple[Unit, ...] = ("requests", "tokens")


class Counted(Protocol):
    """What is needed of a window."""

    limit: Limit
    span: float

    def counted_since(self, moment: float) -> int | None: ...
    def see_others(self, units: int, now: float) -> None: ...


class Observed:
    """Compares headers with windows.

    Args:
        windows: All windows of the key.
    """

    def __init__(self, windows: Sequence[Counted]) -> None:
        self._windows = windows
        self._meant: dict[tuple[str, Unit], Counted] = {}

    def read(
        self, headers: Mapping[str, str], *, model: str, granted_at: float, now: float
    ) -> None:
        """Take off the windows what an answer proves to be spent by others.

        Args:
            headers: The answer's, lower-case names.
            model: The model that answered; limits are a model's own.
            granted_at: When the attempt was granted, in monotonic seconds.
            now: Monotonic seconds.
        """
        for unit in _UNITS:
            limit = _number(headers.get(f"x-ratelimit-limit-{unit}"))
            remaining = _number(headers.get(f"x-ratelimit-remaining-{unit}"))
            if limit is None or remaining is None or remaining > limit:
                continue
            window = self._window(model, unit, limit)
            if window is not None:
                _compare(window, limit - remaining, limit, granted_at=granted_at, now=now)

    def _window(self, model: str, unit: Unit, limit: int) -> Counted | None:
        """The window that a header means; None when that cannot be told."""
        fits = [one for one in self._windows if one.limit.unit == unit]
        named = [one for one in fits if one.limit.amount == limit]
        if len(named) == 1:
            if len(self._meant) < _MOST_MODELS:
                self._meant[model, unit] = named[0]
            return named[0]
        meant = self._meant.get((model, unit))
        return meant if meant is not None and not named and limit < meant.limit.amount else None


def _compare(window: Counted, spent: int, limit: int, *, granted_at: float, now: float) -> None:
    # Whatever the moment of the header: the window that ended there began no earlier than this.
    ours = window.counted_since(granted_at - window.span)
    if ours is None:
        return
    # Where the limit was lowered, what is missing of it is as good as spent.
    others = max(0, spent - ours) + window.limit.amount - limit
    if others > 0:
        window.see_others(others, now)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
