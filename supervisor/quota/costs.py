"""What each class has cost in each hour of a month: a budget that comes later begins there. Pure.

A role may be loaded long after the start, or come back; its money of this month is spent all the
same.
"""

from __future__ import annotations

_HOUR = 3_600
_KEPT = 31 * 24
"""Hours; no period is longer."""


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
        if hour not in hours:
            for old in [one for one in hours if one <= hour - _KEPT]:
                del hours[old]
        hours[hour] = hours.get(hour, 0) + ticks

    def since(self, name: str, start: float) -> int:
        """What a class has cost since then.

        Args:
            name: The class.
            start: Unix time at which a period began: a full hour, at most a month ago.
        """
        hours = self._classes.get(name, {})
        return sum(ticks for hour, ticks in hours.items() if hour * _HOUR >= start)
