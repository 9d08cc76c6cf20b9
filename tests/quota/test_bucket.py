"""The bucket of servers that bound a burst, judged by an independent token bucket."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.quota.bucket import Bucket
from tests.properties.oracle import TICK, refused_by_bucket, tick

RATES = st.sampled_from([0.25, 1.0, 4.0, 16.0])
BURSTS = st.integers(1, 8)
JITTERS = st.sampled_from([0.0, 4 * TICK, 16 * TICK, 128 * TICK])


def greedy(bucket: Bucket, pauses: list[int]) -> list[float]:
    """Take all there is, then wait until it opens or a little longer."""
    now = 0.0
    taken: list[float] = []
    for pause in pauses:
        while bucket.room(now):
            bucket.take(now)
            taken.append(now)
        now = max(now, tick(bucket.opens_at())) + pause * TICK
    return taken


@given(
    rate=RATES,
    burst=BURSTS,
    part=st.sampled_from([0.0, 0.25, 0.75]),
    jitter=JITTERS,
    pauses=st.lists(st.sampled_from([0, 0, 1, 30, 300]), max_size=25),
    data=st.data(),
)
def test_every_arrival_conforms(
    rate: float, burst: int, part: float, jitter: float, pauses: list[int], data: st.DataObject
) -> None:
    """However late each grant arrives, the server's bucket of (burst, rate) refuses none."""
    taken = greedy(Bucket(rate=rate, burst=burst + part, jitter=jitter), pauses)
    delays = st.sampled_from([0.0, jitter, jitter / 2])
    arrivals = [moment + data.draw(delays) for moment in taken]
    assert refused_by_bucket(arrivals, rate=Fraction(rate), burst=burst + Fraction(part)) == 0


@given(rate=RATES, burst=BURSTS, jitter=JITTERS, pauses=st.lists(st.integers(0, 300), max_size=10))
def test_the_room_it_names_is_there(
    rate: float, burst: int, jitter: float, pauses: list[int]
) -> None:
    """`room` grants may really go at once, and one more may not."""
    bucket, now = Bucket(rate=rate, burst=burst, jitter=jitter), 0.0
    for pause in pauses:
        now += pause * TICK
        for left in range(bucket.room(now), 0, -1):
            assert bucket.room(now) == left
            bucket.take(now)
        assert bucket.room(now) == 0


@given(rate=RATES, burst=BURSTS, jitter=JITTERS, pauses=st.lists(st.integers(0, 9), max_size=10))
def test_it_opens_no_later_than_it_says_and_no_sooner(
    rate: float, burst: int, jitter: float, pauses: list[int]
) -> None:
    """Before `opens_at` there is no room, right after it there is."""
    bucket, now = Bucket(rate=rate, burst=burst, jitter=jitter), 0.0
    for pause in pauses:
        while bucket.room(now):
            bucket.take(now)
        assert bucket.opens_at() > now
        assert bucket.room(bucket.opens_at() - 1e-6) == 0
        assert bucket.room(bucket.opens_at() + 1e-6) == 1
        now = bucket.opens_at() + 1e-6 + pause * TICK


def test_there_is_room_at_the_very_moment_it_opens() -> None:
    """Whoever sleeps until `opens_at` does not find it closed for the last bit of a float."""
    closed = 0
    for number in range(1, 200):
        bucket = Bucket(rate=number / 7, burst=5, jitter=0.05)
        now = number / 3
        for _ in range(10):
            while bucket.room(now):
                bucket.take(now)
            now = bucket.opens_at()
            closed += bucket.room(now) == 0
            now += 1e-6
    assert closed == 0


@settings(max_examples=30)
@given(rate=RATES, burst=BURSTS)
def test_without_jitter_the_whole_burst_goes_and_the_rate_is_kept(rate: float, burst: int) -> None:
    """Where nothing varies, nothing is given away: burst at once, then `rate` a second."""
    taken = greedy(Bucket(rate=rate, burst=burst, jitter=0.0), [0] * 12)
    assert taken.count(0.0) == burst
    assert taken[burst:] == [(1 + index) / rate for index in range(11)]


def fastest(*, rate: float, burst: int, jitter: float, seconds: float) -> int:
    """Grants that any exact policy can make at most: of k > burst, all must span enough time.

    From grant i to grant j the server may see as little as g_j - g_i - J pass, in which it refills
    rate * (g_j - g_i - J); up to `burst` of them never need any.
    """
    taken: list[float] = []
    while True:
        now = taken[-1] if taken else 0.0
        for before, moment in enumerate(taken[: max(0, len(taken) + 1 - burst)]):
            count = len(taken) - before + 1
            now = max(now, moment + jitter + (count - burst) / rate)
        if now > seconds:
            return len(taken)
        taken.append(now)


@settings(max_examples=60)
@given(rate=RATES, burst=BURSTS, jitter=JITTERS)
def test_it_is_as_fast_as_any_exact_policy(rate: float, burst: int, jitter: float) -> None:
    """Whoever takes all that it gives gets as much as can be had without ever breaking it."""
    bucket, now, taken, seconds = Bucket(rate=rate, burst=burst, jitter=jitter), 0.0, 0, 40 / rate
    while now <= seconds:
        while bucket.room(now):
            bucket.take(now)
            taken += 1
        now = max(now, bucket.opens_at())
    assert taken == fastest(rate=rate, burst=burst, jitter=jitter, seconds=seconds)


@given(
    rate=RATES,
    burst=BURSTS,
    part=st.sampled_from([0.0, 0.25, 0.75]),
    jitter=JITTERS,
    pauses=st.lists(st.sampled_from([0, 0, 1, 30]), max_size=25),
    late=st.integers(0, 40),
)
def test_what_goes_out_late_is_as_if_taken_late(
    rate: float, burst: int, part: float, jitter: float, pauses: list[int], late: int
) -> None:
    """A batch that was written down slowly leaves the bucket as one that was decided then."""
    first = Bucket(rate=rate, burst=burst + part, jitter=jitter)
    second = Bucket(rate=rate, burst=burst + part, jitter=jitter)
    now = 0.0
    for pause in pauses:
        batch = first.room(now)
        assert second.room(now) == batch
        for _ in range(batch):
            first.take(now)
        now += late * TICK
        first.restamp(batch, now)
        for _ in range(batch):
            second.take(now)
        assert first.foretell(3, now) == second.foretell(3, now)
        now = max(now, tick(first.opens_at())) + pause * TICK


@given(rate=RATES, burst=BURSTS, jitter=JITTERS, before=st.integers(0, 9), ahead=st.integers(0, 12))
def test_it_tells_when_those_behind_may_go(
    rate: float, burst: int, jitter: float, before: int, ahead: int
) -> None:
    """What is foretold for a place in line holds for who waits, and is never too late."""
    bucket, now = Bucket(rate=rate, burst=burst, jitter=jitter), 0.0
    for _ in range(min(before, burst)):
        bucket.take(now)
    foretold = bucket.foretell(ahead, now)
    for _ in range(ahead):
        now = max(now, bucket.opens_at())
        assert bucket.room(now)
        bucket.take(now)
    assert foretold <= max(now, bucket.opens_at()) + 1e-6
    assert ahead - (burst - min(before, burst)) >= burst or foretold == bucket.opens_at()


def test_idle_time_is_not_saved_up() -> None:
    """After any pause a burst is a burst, not more."""
    bucket = Bucket(rate=1.0, burst=4, jitter=0.0)
    assert bucket.room(1e6) == 4
