"""Pace what does not fit: spread the least urgent work evenly instead of racing to the wall.

When more is wanted than the longest window holds, rushing gains nothing for whoever waits at the
end, and leaves no room for the urgent for the rest of the window (quota.md, section 3: p99 of
half an hour). The window knows when every spent unit comes back, so the fastest even rate that
never runs dry is known too: with u free now, E(h) returning within h seconds and D the rate at
which more urgent classes will want theirs,

    rate = min over h of (u + E(h) - D*h) / h

the first slope of the greatest convex minorant of what can be spent. A little faster than that
(`_LEAD`) uses up what was left over.

A class that nobody more urgent could miss is never paced: greedy is optimal for it.
Pure: the `Pacer` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from math import exp

from supervisor.quota.room import Room

_LEAD = 1.25
_FITS = 0.9
"""Demand up to this part of what the window can give is taken to fit into it."""
_SMALL = 0.02
"""A backlog of this part of the window is small, even when nothing is free at the moment."""
_SURGE = 0.05
"""So much more backlog than at the last plan, as a part of the window, calls for a new one."""
_GLIMPSE = 0.02
"""What came in less than this part of the window is taken to be all that came in so much of it."""
_GRID = tuple(step / 24 for step in range(1, 25))
_LEAST = 0.02
"""Slowest pace, as a part of the sustainable rate: the last class never stops altogether."""


class Demand:
    """What one class wants: its backlog, and how fast requests come lately and in the long run.

    Args:
        owner: The class's number.
        priority: 0 (most urgent) to 99.
        guaranteed: Whether it has a share.

    Attributes:
        awaited: Whether less urgent work makes room for it also while it asks nothing; those that
            have a share are, unless somebody knows better.
    """

    __slots__ = (
        "_lately",
        "_long_run",
        "_seen",
        "arrived",
        "awaited",
        "backlog",
        "guaranteed",
        "lately",
        "long_run",
        "owner",
        "priority",
    )

    def __init__(self, owner: int, *, priority: int, guaranteed: bool) -> None:
        self.owner = owner
        self.priority = priority
        self.guaranteed = guaranteed
        self.awaited = guaranteed
        self.backlog = 0
        self.arrived = 0
        self.lately = 0.0
        self.long_run = 0.0
        self._lately = self._long_run = self._seen = 0.0

    def fold(self, elapsed: float, period: float) -> None:
        """Work the arrivals of the last `elapsed` seconds into both rates (per second)."""
        rate = self.arrived / elapsed
        self.arrived = 0
        self._lately += (1.0 - exp(-10.0 * elapsed / period)) * (rate - self._lately)
        self._long_run += (1.0 - exp(-2.0 * elapsed / period)) * (rate - self._long_run)
        # An average that starts at nothing is too low until it has seen enough; and what came in
        # the first moments says little of the rest.
        self._seen += elapsed
        seen = max(self._seen, _GLIMPSE * period)
        self.lately = self._lately
        self.long_run = self._long_run / (1.0 - exp(-2.0 * seen / period))


class Pace:
    """The rates at which classes that do not fit may go, for one window.

    Args:
        room: The longest window.
        now: Monotonic seconds.
    """

    __slots__ = ("_backlog", "_folded_at", "_levels", "_plan", "_room", "_step")

    def __init__(self, room: Room, now: float) -> None:
        self._room = room
        self._folded_at = now
        self._step = room.window.span / 400
        self._plan: dict[int, float] = {}
        self._levels: list[tuple[int, float | None]] = []
        self._backlog = 0

    @property
    def fastest(self) -> float:
        """Grants per second that no pace ever exceeds."""
        return _LEAD * self._room.window.amount / self._room.window.span

    @property
    def paces(self) -> bool:
        """Whether any class, or any priority, is paced at all."""
        return bool(self._plan)

    def rate(self, owner: int) -> float | None:
        """Grants per second for a class; None when it need not be paced."""
        return self._plan.get(owner)

    def rate_at(self, priority: int) -> float | None:
        """Grants per second for what waits at a priority that is not its class's own."""
        rates = [rate for level, rate in self._levels if level <= priority]
        return rates[-1] if rates else None

    def rate_now(self, owner: int) -> float | None:
        """The same for the next grant: what a class has reserved is never paced."""
        rate = self._plan.get(owner)
        if rate is None:
            return None
        reserve = self._room.reserve_of(owner)
        return None if reserve is not None and reserve.held >= 1 else rate

    def plan(self, now: float, demands: Iterable[Demand], *, backlog: int) -> None:
        """Compute the rates anew, 400 times in a window, or when much more waits at once.

        Args:
            now: Monotonic seconds.
            demands: All classes, most urgent first.
            backlog: How many requests wait in all.
        """
        elapsed = now - self._folded_at
        surge = backlog - self._backlog > _SURGE * self._room.window.amount
        if elapsed < self._step and not (surge and elapsed > 0):
            return
        self._backlog = backlog
        self._folded_at = now
        span = self._room.window.span
        self._plan, self._levels = {}, []
        above, urgent_rate, contested = 0, 0.0, False
        for priority, level in groupby(demands, key=lambda demand: demand.priority):
            members = list(level)
            for demand in members:
                demand.fold(elapsed, span)
                above += demand.backlog
            wanted = above + span * sum(demand.lately for demand in members)
            small = sum(demand.backlog for demand in members) <= _SMALL * self._room.window.amount
            fits = (small or above <= self._within(now, 0.0, 0.0)) and (
                wanted <= _FITS * self._within(now, span, urgent_rate)
            )
            pace = self._even_rate(now, urgent_rate) if contested and not fits else None
            self._levels.append((priority, pace))
            if pace is not None:
                self._plan.update((demand.owner, pace) for demand in members)
            urgent_rate += sum(demand.long_run for demand in members)
            contested = contested or any(
                demand.awaited or demand.long_run * span >= 1 for demand in members
            )

    def _within(self, now: float, horizon: float, urgent_rate: float) -> float:
        window = self._room.window
        free = window.amount - window.used - self._room.kept()
        return free + window.returning(now, horizon) - urgent_rate * horizon

    def _even_rate(self, now: float, urgent_rate: float) -> float:
        span = self._room.window.span
        even = min(self._within(now, part * span, urgent_rate) / (part * span) for part in _GRID)
        return max(_LEAD * even, _LEAST * self.fastest)
