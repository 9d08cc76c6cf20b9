"""Servers that keep their word, written down a second time: what the quota is judged by.

Nothing here is shared with `supervisor`. Moments are multiples of `TICK`, a power of two, so that
every sum of them is exact and a law holds or does not, without a tolerance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

TICK = 1 / 64
"""Seconds; all moments and periods of the exact tests are multiples of it."""

Booking = tuple[float, int]
"""(moment, units)."""


def tick(moment: float) -> float:
    """The first multiple of `TICK` that is not before `moment`."""
    return math.ceil(moment / TICK) * TICK


def worst(bookings: Iterable[Booking], period: float) -> int:
    """Most units in any half-open interval of `period` seconds, as a sliding log sees it."""
    ordered = sorted(bookings)
    most = inside = tail = 0
    for moment, units in ordered:
        inside += units
        while ordered[tail][0] + period <= moment:
            inside -= ordered[tail][1]
            tail += 1
        most = max(most, inside)
    return most


def worst_fixed(bookings: Iterable[Booking], period: float, offset: float) -> int:
    """Most units in any of the windows that begin at `offset` and every `period` after it."""
    counts: Counter[int] = Counter()
    for moment, units in bookings:
        counts[math.floor((moment - offset) / period)] += units
    return max(counts.values(), default=0)


def refused_by_bucket(arrivals: Iterable[float], *, rate: Fraction, burst: Fraction | int) -> int:
    """Arrivals that find a token bucket empty; it holds `burst` and refills `rate` a second."""
    level, then, refused = Fraction(burst), Fraction(0), 0
    for moment in sorted(Fraction(arrival) for arrival in arrivals):
        level, then = min(Fraction(burst), level + (moment - then) * rate), moment
        if level >= 1:
            level -= 1
        else:
            refused += 1
    return refused


def bound(arrivals: Sequence[float], windows: Sequence[tuple[int, float]]) -> list[float]:
    """The earliest moments at which any policy can send: quota.md, section 2.

    Args:
        arrivals: Moments, ascending.
        windows: (N, W in seconds) of every limit.
    """
    sent: list[float] = []
    for arrival in arrivals:
        before = [sent[-n] + span for n, span in windows if len(sent) >= n]
        sent.append(max([arrival, *sent[-1:], *before]))
    return sent
