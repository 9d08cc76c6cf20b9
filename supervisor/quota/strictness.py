"""Learns how much stricter than its published limit a server is.

Some servers refuse what an exact log allows: a sliding counter weighs the previous window in, a
token bucket has a burst that nobody stated. One refusal is enough to back off to a bucket of
*grants* with a small burst b and rate r = (N - b) / (W + J). Grants of t + J seconds may arrive
within t, so the server sees at most b + r*(t + J) in any t, and a counter's estimate never exceeds
b + r*(W + J) = N. J is counted there, in the rate, and must not be counted again in the bucket:
one that holds each of its b places for J + 1/r sustains b / (J + 1/r), which for b < r*J + 1 is a
fraction of r; this one sustains r whatever b is, so that a small burst costs bursts and no
throughput. b is at most N / 4 (half of a stated burst), so three quarters of the rate are left
where N is not tiny. Only when refusals go on with a burst of one does the rate get lower.

A refusal counts as going on if it comes soon after the last one (`_CALM`). What is rarer is borne:
it may be anybody's on the key, or a mistake. Nothing ever rises above the configured limit, and
every step back towards it is tried less often the more often it failed. Time is counted in
windows, or in 4 s where they are shorter (a refused probe costs a pause of a second or more) and in
minutes where they are longer.

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
_FACTOR_DOWN, _FACTOR_UP = 0.8, 1.25
_FIRST_BURST = 0.05
"""The part of a window that the first refusal leaves as a burst, at the least."""
_SHORTEST_UNIT, _LONGEST_UNIT = 4.0, 60.0
"""Seconds that stand for a window where patience is counted in windows."""
_FIRST_PATIENCE, _SHORTEST_PATIENCE, _LONGEST_PATIENCE = 15, 1, 1_440
"""Windows without a refusal before more burst is tried."""
_RATE_PATIENCE = 30
"""Most windows before more rate is tried: a low rate costs more than a small burst."""
_CALM, _CALM_SECONDS = 10_000, 100.0
"""Grants, and seconds at the full rate, after which a refusal has nothing to do with the last."""
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
        "_calm",
        "_factor",
        "_granted",
        "_jitter",
        "_level",
        "_level_at",
        "_most",
        "_patience",
        "_probe_at",
        "_quantum",
        "_rate",
        "_refusals",
        "_since",
        "_start",
        "_stated",
        "_trickle",
        "_trickle_rate",
        "_unit",
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
        self._since = 0
        self._unit = min(_LONGEST_UNIT, max(_SHORTEST_UNIT, limit.period))
        self._calm = max(_CALM, _CALM_SECONDS * limit.amount / limit.period)
        self._most = (limit.burst or limit.amount / 2) / 2
        self._patience = self._start = _FIRST_PATIENCE * self._unit
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

    @property
    def smallest(self) -> bool:
        """Whether no smaller burst can be believed, so that only the rate is left to lower."""
        return self._burst is not None and self._burst <= _SMALLEST_BURST

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
        self._since += 1
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
        again = self._refusals > 0 and self._since < self._calm
        self._refusals += 1
        if self._burst is None:
            # A lone refused request says nothing of bursts: somebody else may use the key.
            least, most = _FIRST_BURST * self.limit.amount, self._most
        else:
            least, most = self._burst / 4, self._burst / 2
            if again and self.smallest:
                self._factor = max(_SMALLEST_FACTOR, self._factor * _FACTOR_DOWN)
        burst = min(max(least, self._level / 2), most)
        self._burst = burst if burst >= 2 * _SMALLEST_BURST else _SMALLEST_BURST
        first, longest = _FIRST_PATIENCE * self._unit, _LONGEST_PATIENCE * self._unit
        self._start = min(longest, self._start * 6) if again else first
        self._patience = self._start
        self._since = 0
        self._rebuild(now)

    def _try_more(self, now: float) -> None:
        """Nothing was refused for a while: believe a little more."""
        assert self._burst is not None
        if self._factor < 1.0:
            self._factor = min(1.0, self._factor * _FACTOR_UP)
        else:
            self._burst += max(1.0, self._burst / 4)
            self._patience = max(_SHORTEST_PATIENCE * self._unit, self._patience / 2)
        if self._burst >= self._most:
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
        wait = self._patience
        if self._factor < 1.0:
            wait = min(wait, _RATE_PATIENCE * self._unit)
        self._probe_at = now + wait
        # A window of one leaves nothing beside a burst of one; half of it is slow enough.
        share = max(self.limit.amount - self._burst, self.limit.amount / 2)
        rate = self._factor * share / (self.limit.period + self._jitter)
        bucket = Bucket(rate=rate, burst=self._burst, jitter=0.0)
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
