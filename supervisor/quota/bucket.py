"""A token bucket for servers that bound how much may come at once.

In the form of the generic cell rate algorithm (ITU-T I.371): one number, the theoretical arrival
time, stands for the whole bucket, so that a grant costs O(1) and idle time costs nothing.
"""

from __future__ import annotations

_ROUNDING = 1e-9
"""Seconds that the sum of many small floats may be off."""


class Bucket:
    """At most `burst` at once and `rate` a second, as the *server* sees it.

    The delay from grant to arrival varies by `jitter`, so two grants may arrive closer together
    by that much. The tolerance is reduced by it; where a burst is too small to reduce, the
    interval grows instead: from `a_j - a_i >= g_j - g_i - J` follows that every arrival conforms
    to (burst, rate) whenever the grants conform to the reduced bucket.

    Args:
        rate: Refill in grants per second.
        burst: Most grants at once, at least 1.
        jitter: J in seconds.
    """

    __slots__ = ("_arrival", "_interval", "_tolerance", "burst", "rate")

    def __init__(self, *, rate: float, burst: float, jitter: float) -> None:
        self.rate = rate
        self.burst = burst
        tolerance = (burst - 1.0) / rate
        self._interval = 1.0 / rate + max(0.0, jitter - tolerance)
        self._tolerance = max(0.0, tolerance - jitter)
        self._arrival = float("-inf")

    def room(self, now: float) -> int:
        """How many grants may go at once at `now`."""
        ahead = self._arrival - now
        ahead = max(ahead, 0.0)
        # A grant is conforming up to the tolerance; the epsilon forgives float rounding only.
        if ahead > self._tolerance + _ROUNDING:
            return 0
        return int((self._tolerance - ahead + _ROUNDING) / self._interval) + 1

    def opens_at(self) -> float:
        """The moment at which one more grant may go."""
        return self._arrival - self._tolerance

    def take(self, now: float) -> None:
        """Write one grant down."""
        arrival = self._arrival
        self._arrival = (arrival if arrival > now else now) + self._interval

    def delay(self, seconds: float) -> None:
        """What was taken last goes out later by so many seconds."""
        self._arrival += seconds

    def level(self, now: float) -> float:
        """How full the bucket is, in grants: the burstiness of what was sent lately."""
        return max(0.0, self._arrival - now) / self._interval
