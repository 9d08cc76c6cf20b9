"""The bucket of servers that bound a burst, judged by an independent token bucket."""

from __future__ import annotations

from fractions import Fraction

import pytest
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
    jitter=JITTERS,
    pauses=st.lists(st.sampled_from([0, 0, 1, 30, 300]), max_size=25),
    data=st.data(),
)
def test_every_arrival_conforms(
    rate: float, burst: int, jitter: float, pauses: list[int], data: st.DataObject
) -> None:
    """However late each grant arrives, the server's bucket of (burst, rate) refuses none."""
    taken = greedy(Bucket(rate=rate, burst=burst, jitter=jitter), pauses)
    delays = st.sampled_from([0.0, jitter, jitter / 2])
    arrivals = [moment + data.draw(delays) for moment in taken]
    assert refused_by_bucket(arrivals, rate=Fraction(rate), burst=burst) == 0


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


@pytest.mark.xfail(
    strict=True,
    reason="the tolerance is reduced by J also for what may go at once: 12 of 80 here. Exact and"
    " fastest is g_j >= F_(j-burst) + J + 1/rate, where F_m = max(g_m, F_(m-1) + 1/rate)",
)
def test_it_is_as_fast_as_any_exact_policy() -> None:
    """With J beside a small burst it loses little against the best that still never breaks it."""
    bucket, now, taken = Bucket(rate=100.0, burst=10, jitter=0.25), 0.0, 0
    while now <= 2.0:
        while bucket.room(now):
            bucket.take(now)
            taken += 1
        now = max(now + 1e-6, bucket.opens_at())
    assert taken >= 0.9 * fastest(rate=100.0, burst=10, jitter=0.25, seconds=2.0)


def test_the_level_falls_with_time() -> None:
    """The level is the burstiness of what was sent lately."""
    bucket = Bucket(rate=1.0, burst=4, jitter=0.0)
    for _ in range(3):
        bucket.take(10.0)
    assert [bucket.level(now) for now in (10.0, 11.0, 20.0)] == [3.0, 2.0, 0.0]


def test_idle_time_is_not_saved_up() -> None:
    """After any pause a burst is a burst, not more."""
    bucket = Bucket(rate=1.0, burst=4, jitter=0.0)
    assert bucket.room(1e6) == 4
