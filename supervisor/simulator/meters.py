"""Four ways in which a server may count one limit: what the simulator enforces.

xAI does not say which one it uses, so a client has to live with each. All are pure (`now` is passed
in) and O(1) amortised, because benchmarks push millions of requests through them in virtual time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol

from supervisor.limits import Limit

Kind = Literal["sliding_log", "fixed_window", "sliding_counter", "token_bucket"]

# Refilling adds many small floats; a client that waits exactly long enough must not be refused
# for the last bit of their sum.
_ROUNDING = 1e-9


class Meter(Protocol):
    """Counts one limit."""

    def used(self, now: float) -> int:
        """How much counts against the limit at `now`, in the limit's unit, rounded up."""
        ...

    def take(self, now: float, amount: int) -> None:
        """Count `amount`, whether or not there is room."""
        ...


class SlidingLog:
    """Exact: everything of the last `period` counts, nothing older."""

    def __init__(self, limit: Limit) -> None:
        self._period = limit.period
        self._log: deque[tuple[float, int]] = deque()
        self._sum = 0

    def used(self, now: float) -> int:
        log = self._log
        # `t + period`, not `now - period`: the float a client computes for "when is there room?".
        while log and log[0][0] + self._period <= now:
            self._sum -= log.popleft()[1]
        return self._sum

    def take(self, now: float, amount: int) -> None:
        self._log.append((now, amount))
        self._sum += amount


class FixedWindow:
    """Counts from zero again at every multiple of `period` after `offset`."""

    def __init__(self, limit: Limit, offset: float) -> None:
        self._period = limit.period
        self._offset = offset
        self._window = -math.inf
        self._sum = 0

    def used(self, now: float) -> int:
        window = math.floor((now - self._offset) / self._period)
        if window != self._window:
            self._window, self._sum = window, 0
        return self._sum

    def take(self, now: float, amount: int) -> None:
        self.used(now)
        self._sum += amount


class SlidingCounter:
    """Estimates: this window's count plus the last window's, weighted by how much still overlaps.

    Stricter than the exact log by up to a whole window: it takes the last window's requests for
    evenly spread.
    """

    def __init__(self, limit: Limit, offset: float) -> None:
        self._period = limit.period
        self._offset = offset
        self._window = -math.inf
        self._last = 0
        self._sum = 0

    def used(self, now: float) -> int:
        position = (now - self._offset) / self._period
        window = math.floor(position)
        if window != self._window:
            self._last = self._sum if window == self._window + 1 else 0
            self._window, self._sum = window, 0
        overlap = 1.0 - (position - window)
        return math.ceil(self._last * overlap + self._sum - _ROUNDING)

    def take(self, now: float, amount: int) -> None:
        self.used(now)
        self._sum += amount


class TokenBucket:
    """Refills evenly at `amount / period` and never holds more than `burst`."""

    def __init__(self, limit: Limit, burst: int) -> None:
        self._amount = limit.amount
        self._rate = limit.amount / limit.period
        self._burst = float(burst)
        self._level = self._burst
        # Tokens are booked after they were spent, so that bucket can owe; refused requests that
        # count drain theirs, but a bucket of requests is never emptier than empty.
        self._floor = 0.0 if limit.unit == "requests" else -math.inf
        self._then = -math.inf

    def used(self, now: float) -> int:
        level = self._level + max(0.0, now - self._then) * self._rate
        self._level, self._then = min(self._burst, level), now
        # What is missing from a full allowance, so that `amount - used` is what may go now.
        return self._amount - math.floor(self._level + _ROUNDING)

    def take(self, now: float, amount: int) -> None:
        self.used(now)
        self._level = max(self._floor, self._level - amount)


def meter_maker(kind: Kind, *, burst: int | None, offset: float) -> Callable[[Limit], Meter]:
    """How limits of one server are counted.

    Args:
        kind: The algorithm.
        burst: Size of a requests bucket, for limits that do not state their own; None for the
            limit's whole amount.
        offset: Where windows begin, in seconds on the clock that `now` is read from.
    """

    def make(limit: Limit) -> Meter:
        if kind == "sliding_log":
            return SlidingLog(limit)
        if kind == "fixed_window":
            return FixedWindow(limit, offset)
        if kind == "sliding_counter":
            return SlidingCounter(limit, offset)
        unstated = burst if burst is not None and limit.unit == "requests" else limit.amount
        return TokenBucket(limit, limit.burst if limit.burst is not None else unstated)

    return make
