"""A token bucket for servers that bound how much may come at once, exact under jitter.

Grants i to j, n of them, may all arrive within max(0, g_j - g_i - J), where J is the spread of the
delay from grant to arrival. The server's bucket of (burst, rate) lets all of them through, however
they are delayed, if and only if for every such i and j

    n <= burst   or   g_j >= g_i + J + (n - burst) / rate

So with b = floor(burst) places, each grant m holds one of them until

    r_m = max(g_m + J + (1 + b - burst) / rate,  r_(m-1) + 1 / rate)

and whoever finds a place free may go. No policy that never exceeds the bucket is faster. With
J = 0 it is the generic cell rate algorithm (ITU-T I.371).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_ROUNDING = 1e-9
"""Seconds that the sum of many small floats may be off."""
_LONG_AGO = float("-inf")


@dataclass(slots=True)
class _Run:
    """Places that come free one after the other, 1 / rate seconds apart.

    Attributes:
        first: When the first of them does, in monotonic seconds.
        count: How many there are.
    """

    first: float
    count: int


class Bucket:
    """At most `burst` at once and `rate` a second, as the *server* sees it.

    Args:
        rate: Refill in grants per second.
        burst: Most grants at once, at least 1.
        jitter: J in seconds.
    """

    __slots__ = ("_gone", "_held", "_hold", "_interval", "_places", "_runs", "burst", "rate")

    def __init__(self, *, rate: float, burst: float, jitter: float) -> None:
        self.rate = rate
        self.burst = burst
        self._places = int(burst)
        self._interval = 1.0 / rate
        self._hold = jitter + (1 + self._places - burst) / rate
        # What goes together comes free in one run, so there are few of them: O(1) amortised.
        self._runs: deque[_Run] = deque()
        self._held = 0
        self._gone = _LONG_AGO

    def room(self, now: float) -> int:
        """How many grants may go at once at `now`; it never decreases over calls."""
        runs, moment = self._runs, now + _ROUNDING
        while runs and runs[0].first <= moment:
            run = runs[0]
            free = min(run.count, int((moment - run.first) / self._interval) + 1)
            self._held -= free
            self._gone = run.first + (free - 1) * self._interval
            if free < run.count:
                run.first += free * self._interval
                run.count -= free
                break
            runs.popleft()
        return max(0, self._places - self._held)

    def opens_at(self) -> float:
        """The moment at which one more grant may go; minus infinity when there is room already."""
        return self.foretell(0, _LONG_AGO)

    def foretell(self, ahead: int, now: float) -> float:
        """The moment at which a grant may go that has others before it, never told too late.

        Args:
            ahead: Grants that go before it, as soon as they may.
            now: Monotonic seconds.

        Returns:
            Monotonic seconds; minus infinity when there is room already.
        """
        # It takes the place that so many others have left before: of those held now, then of those
        # that go now, then round and round.
        left = ahead - (self._places - self._held)
        if left < 0:
            return _LONG_AGO
        rounds, index = divmod(left, self._places)
        return self._free_at(index, now) + rounds * max(self._hold, self._places * self._interval)

    def _free_at(self, index: int, now: float) -> float:
        """When the place comes free that does so after `index` others, if all free ones go now."""
        for run in self._runs:
            if index < run.count:
                return run.first + index * self._interval
            index -= run.count
        first = max(now + self._hold, self._last() + self._interval)
        return first + index * self._interval

    def take(self, now: float) -> None:
        """Write one grant down."""
        self._held += 1
        free, following = now + self._hold, self._last() + self._interval
        if free > following or not self._runs:
            self._runs.append(_Run(max(free, following), 1))
        else:
            self._runs[-1].count += 1

    def restamp(self, count: int, now: float) -> None:
        """Move the last `count` grants to `now`: they go out later than decided."""
        left = count
        while left and self._runs:
            run = self._runs[-1]
            part = min(left, run.count)
            run.count -= part
            self._held -= part
            left -= part
            if not run.count:
                self._runs.pop()
        for _ in range(count):
            self.take(now)

    def _last(self) -> float:
        """When the last place that was taken comes free."""
        if not self._runs:
            return self._gone
        run = self._runs[-1]
        return run.first + (run.count - 1) * self._interval
