"""Learns how much stricter than its published limit a server is.

Some servers refuse what an exact log allows: a sliding counter weighs the previous window in, a
token bucket has a burst that nobody stated. One refusal is enough to back off to a bucket with a
small burst b and rate (N - b) / (W + J), which satisfies all of them: over any interval t it
sends at most b + r*t, so a counter's estimate never exceeds b + r*W <= N. When the burst cannot
get smaller, the rate does. Nothing ever rises above the configured limit, and every step back
towards it is tried less often the more often it failed.

Two further things keep a wrong guess cheap. Until a limit has proved itself, a burst *trickles*:
a refusal comes back within a moment, and only that moment's share has been sent by then. And a
probe of more burst is small.
"""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.limits import Limit
from supervisor.quota.bucket import Bucket

_SMALLEST_BURST = 1.0
_SMALLEST_FACTOR = 0.05
_FIRST_PATIENCE = 900.0
_SHORTEST_PATIENCE = 60.0
_FIRST_BURST = 0.05
"""The part of a window that the first refusal leaves as a burst, at the least."""
_LONGEST_PATIENCE = 86_400.0
_TRICKLE_PART = 8
_TRUST_WINDOWS = 3
_NO_BOUND = float("inf")


@dataclass(frozen=True, slots=True)
class StrictnessSnapshot:
    """What was learned about one limit.

    Attributes:
        limit: The limit as configured.
        burst: Most at once; None while the configured limit itself is believed.
        rate: Grants per second; None likewise.
        refusals: Refusals that taught something, since the start.
    """

    limit: str
    burst: float | None
    rate: float | None
    refusals: int


class Strictness:
    """What is believed of one requests limit.

    Args:
        limit: The configured limit; its `burst`, where stated, is kept from the start.
        jitter: J in seconds.
    """

    __slots__ = (
        "_burst",
        "_factor",
        "_granted",
        "_jitter",
        "_level",
        "_level_at",
        "_patience",
        "_probe_at",
        "_quantum",
        "_rate",
        "_refusals",
        "_stated",
        "_trickle",
        "_trickle_rate",
        "bucket",
        "limit",
    )

    def __init__(self, limit: Limit, jitter: float) -> None:
        self.limit = limit
        self._jitter = jitter
        self._rate = limit.amount / (limit.period + jitter)
        self._level = 0.0
        self._level_at = 0.0
        self._granted = 0
        self._refusals = 0
        self._factor = 1.0
        self._burst: float | None = None
        self._patience = _FIRST_PATIENCE
        self._probe_at = float("inf")
        self._quantum = max(2.0, limit.amount / _TRICKLE_PART)
        moment = min(0.5, limit.period / 40)
        self._trickle_rate = self._quantum / moment
        self._trickle: Bucket | None = self._fresh_trickle()
        self.bucket: Bucket | None = None
        self._stated: Bucket | None = None
        if limit.burst is not None:
            rate = limit.amount / limit.period
            self._stated = Bucket(rate=rate, burst=limit.burst, jitter=jitter)
            self._trickle = None

    def room(self, now: float) -> float:
        """How many grants may go at once at `now`; infinity where nothing binds."""
        if now >= self._probe_at:
            self._try_more(now)
        room = _NO_BOUND
        for bucket in (self.bucket, self._stated, self._trickle):
            if bucket is not None and (one := bucket.room(now)) < room:
                room = one
        return room

    def opens_at(self) -> float:
        """The moment at which one more grant may go."""
        opens = float("-inf")
        for bucket in (self.bucket, self._stated, self._trickle):
            if bucket is not None:
                opens = max(opens, bucket.opens_at())
        return opens

    @property
    def binds(self) -> bool:
        """Whether a bucket may be narrower than the window."""
        return self.bucket is not None or self._stated is not None

    def ahead(self, count: int, now: float) -> float:
        """When the buckets let the next but `count` through; minus infinity without one."""
        times = [
            bucket.foretell(count, now)
            for bucket in (self.bucket, self._stated)
            if bucket is not None
        ]
        return max(times, default=float("-inf"))

    def take(self, now: float) -> None:
        """Write one grant down."""
        level = self._level - (now - self._level_at) * self._rate
        self._level = level + 1.0 if level > 0.0 else 1.0
        self._level_at = now
        if self.bucket is not None:
            self.bucket.take(now)
        if self._stated is not None:
            self._stated.take(now)
        if self._trickle is not None:
            self._trickle.take(now)
            self._granted += 1
            if self._granted > _TRUST_WINDOWS * self.limit.amount:
                self._trickle = None

    def restore(self, at: float) -> None:
        """Write one grant down that was made some time ago; others may have been made since."""
        self.take(max(at, self._level_at) if self._level else at)

    def restamp(self, count: int, now: float) -> None:
        """Move the last `count` grants to `now`: they go out later than decided."""
        for bucket in (self.bucket, self._stated):
            if bucket is not None:
                bucket.restamp(count, now)

    def refused(self, now: float) -> None:
        """The server refused although the window had room: believe less."""
        self._refusals += 1
        tried = min(self._level, self._burst or self._level)
        if self._burst is not None and self._burst <= _SMALLEST_BURST:
            self._factor = max(_SMALLEST_FACTOR, self._factor * 0.8)
        if self._burst is None:
            # A lone refused request says nothing of bursts: somebody else may use the key.
            tried = max(tried, 2 * _FIRST_BURST * self.limit.amount)
        self._burst = max(_SMALLEST_BURST, tried / 2)
        if self._refusals > 1:
            self._patience = min(_LONGEST_PATIENCE, self._patience * 6)
        self._rebuild(now)

    def _try_more(self, now: float) -> None:
        """Nothing was refused for a while: believe a little more."""
        assert self._burst is not None
        if self._factor < 1.0:
            self._factor = min(1.0, self._factor * 1.1)
        else:
            self._burst += max(1.0, self._burst / 4)
        self._patience = max(_SHORTEST_PATIENCE, self._patience / 2)
        if self._burst >= self.limit.amount / 2:
            self._burst, self._probe_at, self.bucket = None, float("inf"), None
            self._granted = 0
            self._trickle = self._fresh_trickle() if self._stated is None else None
            return
        self._rebuild(now)

    def _fresh_trickle(self) -> Bucket:
        return Bucket(rate=self._trickle_rate, burst=self._quantum, jitter=0.0)

    def _rebuild(self, now: float) -> None:
        assert self._burst is not None
        self._trickle = None
        self._probe_at = now + self._patience
        # A window of one leaves nothing beside a burst of one; half of it is slow enough.
        share = max(self.limit.amount - self._burst, self.limit.amount / 2)
        rate = self._factor * share / (self.limit.period + self._jitter)
        bucket = Bucket(rate=rate, burst=self._burst, jitter=self._jitter)
        # What was just sent fills the new bucket too.
        for _ in range(int(self._burst)):
            bucket.take(self._level_at)
        self.bucket = bucket

    def snapshot(self) -> StrictnessSnapshot:
        """What is believed, as a frozen value."""
        bucket = self.bucket or self._stated
        return StrictnessSnapshot(
            str(self.limit),
            None if bucket is None else bucket.burst,
            None if bucket is None else bucket.rate,
            self._refusals,
        )
