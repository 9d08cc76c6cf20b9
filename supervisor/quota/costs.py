"""What each class has cost in each hour of a month: a budget that comes later begins there. Pure.

A role may be loaded long after the start, or come back; its money of this month is spent all the
same. And the wall clock may be set: whatever period it is in then, what was spent in it is known.
"""

from __future__ import annotations

from collections.abc import Iterable

_HOUR = 3_600
_KEPT = 32 * 24
"""Hours with costs, of each class; no period has more, and a clock that went wrong adds few."""


class Costs:
    """Ticks of 1e-10 US dollars by class and hour."""

    __slots__ = ("_classes",)

    def __init__(self) -> None:
        self._classes: dict[str, dict[int, int]] = {}

    def __repr__(self) -> str:
        return f"<Costs of {', '.join(self._classes) or 'nobody'}>"

    def add(self, name: str, ticks: int, at: float) -> None:
        """Count what something has cost.

        Args:
            name: The class.
            ticks: The price.
            at: Unix time of its grant.
        """
        hours, hour = self._classes.setdefault(name, {}), int(at // _HOUR)
        hours[hour] = hours.get(hour, 0) + ticks
        if len(hours) > _KEPT:
            del hours[min(hours)]

    def since(self, name: str | None, start: float) -> int:
        """What a class has cost since then.

        Args:
            name: The class; None for all of them together.
            start: Unix time at which a period began: a full hour.
        """
        classes: Iterable[dict[int, int]] = self._classes.values()
        if name is not None:
            classes = [self._classes.get(name, {})]
        return sum(
            ticks for hours in classes for hour, ticks in hours.items() if hour * _HOUR >= start
        )
