"""What is believed of a server that is stricter than it says."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.quota.strictness import Strictness
from supervisor.quota.window import RequestWindow
from tests.properties.oracle import TICK, refused_by_bucket, tick, worst

HOUR = 3_600.0
ANY = float("inf")


def limit(amount: int = 100, period: float = 64.0, burst: int | None = None) -> Limit:
    """A limit on requests."""
    return Limit(amount, "requests", period, burst)


def send(strictness: Strictness, now: float, seconds: float) -> list[float]:
    """Send as greedily as it allows, the window itself aside."""
    taken: list[float] = []
    end = now + seconds
    while now < end:
        while strictness.room(now) >= 1 and len(taken) < 10_000:
            strictness.take(now)
            taken.append(now)
        now = max(tick(strictness.opens_at()), now + TICK)
    return taken


def quiet(strictness: Strictness, now: float, seconds: float) -> float:
    """Let time pass, looking now and then."""
    for _ in range(2_000):
        now += seconds / 2_000
        strictness.room(now)
    return now


def trusted(one: Limit) -> Strictness:
    """One that has seen so much go well that nothing trickles any more."""
    strictness, now = Strictness(one, 0.0), 0.0
    for _ in range(3 * one.amount + 1):
        strictness.take(now)
        now += one.period
    return strictness


def test_a_limit_is_believed_in_the_end() -> None:
    """After three windows without a refusal nothing but the window itself binds."""
    assert trusted(limit(10, 1.0)).room(1e6) == ANY


def test_until_then_a_burst_trickles() -> None:
    """A limit that has not proved itself gets its burst in parts, and all of it in moments."""
    strictness = Strictness(limit(100, 60.0), 0.25)
    assert strictness.room(0.0) == 12
    taken = send(strictness, 0.0, 10.0)
    assert taken[99] < 6.0


def test_a_stated_burst_binds_from_the_start() -> None:
    """A server that says how much may come at once gets no more, and no trickle."""
    strictness = Strictness(limit(64, 64.0, burst=5), 0.0)
    assert strictness.room(0.0) == 5
    assert strictness.snapshot().burst == 5
    assert refused_by_bucket(send(strictness, 0.0, 60.0), rate=Fraction(1), burst=5) == 0


def test_a_refusal_backs_the_burst_off() -> None:
    """After one refusal at most half of what was tried goes at once, at a lower rate."""
    one = limit(100, 60.0)
    strictness = trusted(one)
    now = 1e6
    for _ in range(40):
        strictness.take(now)
    strictness.refused(now)
    learned = strictness.snapshot()
    assert learned.burst is not None
    assert learned.rate is not None
    assert learned.burst <= 20.0
    assert learned.burst + learned.rate * 60.0 <= 100
    assert learned.refusals == 1
    assert strictness.room(now) == 0


@settings(max_examples=30)
@given(
    amount=st.integers(2, 60),
    tried=st.integers(1, 60),
    pauses=st.lists(st.sampled_from([0.0, 10.0, HOUR, 24 * HOUR]), min_size=1, max_size=6),
)
def test_it_never_allows_more_than_configured(amount: int, tried: int, pauses: list[float]) -> None:
    """Whatever is refused and however it recovers, b + r * (W + J) never exceeds N."""
    one = limit(amount, 60.0)
    strictness, now = Strictness(one, 0.25), 1_000.0
    for pause in pauses:
        for _ in range(min(tried, amount)):
            strictness.take(now)
        strictness.refused(now)
        learned = strictness.snapshot()
        assert learned.burst is not None
        assert learned.rate is not None
        assert learned.burst >= 1.0
        assert learned.rate > 0
        assert learned.burst + learned.rate * 60.25 <= amount + 1e-9
        now += pause
        strictness.room(now)


def test_refused_at_the_smallest_burst_it_slows_down_to_a_floor() -> None:
    """When the burst cannot get smaller the rate does, but it never stops altogether."""
    strictness, now = Strictness(limit(100, 60.0), 0.0), 0.0
    rates: list[float] = []
    for _ in range(40):
        now += 1_000.0
        strictness.take(now)
        strictness.refused(now)
        learned = strictness.snapshot()
        assert learned.burst is not None
        assert learned.rate is not None
        if learned.burst == 1.0:
            rates.append(learned.rate)
    assert len(rates) >= 35
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 99 / 60
    assert rates[-1] == pytest.approx(0.05 * 99 / 60)


def test_it_finds_its_way_back() -> None:
    """When nothing is refused any more, burst and rate rise step by step to the limit itself."""
    strictness = trusted(limit(100, 60.0))
    now = 1e6
    for _ in range(100):
        strictness.take(now)
    strictness.refused(now)
    seen: list[float] = []
    while (burst := strictness.snapshot().burst) is not None and now < 2e6:
        seen.append(burst)
        now += 100.0
        strictness.room(now)
    assert strictness.snapshot().burst is None
    assert seen == sorted(seen)
    assert now < 1e6 + 5 * HOUR


def test_patience_grows_with_every_refusal() -> None:
    """The more often a step back was refused, the longer it waits before it tries again."""
    strictness, now = trusted(limit(100, 60.0)), 1e6
    waits: list[float] = []
    for _ in range(4):
        for _ in range(20):
            strictness.take(now)
        strictness.refused(now)
        burst, start = strictness.snapshot().burst, now
        while strictness.snapshot().burst == burst:
            now += 60.0
            strictness.room(now)
        waits.append(now - start)
    assert waits == sorted(waits)
    assert waits[1] > 2 * waits[0]
    assert waits[-1] <= 25 * HOUR


def test_after_a_refusal_a_sliding_counter_has_nothing_to_refuse() -> None:
    """What goes after one refusal never exceeds N in the sum that a sliding counter estimates."""
    one = limit(100, 64.0)
    strictness = trusted(one)
    now = 1e6
    for _ in range(100):
        strictness.take(now)
    strictness.refused(now)
    # From the second window on nothing of before is in the estimate any more.
    taken = send(strictness, now + 2 * one.period, 600.0)
    assert len(taken) > 300
    for moment in taken:
        start = moment // one.period * one.period
        last = sum(start - one.period <= other < start for other in taken)
        this = sum(start <= other <= moment for other in taken)
        assert last * (1 - (moment - start) / one.period) + this <= one.amount + 1


def test_recovery_keeps_the_window() -> None:
    """While it finds its way back, the window bounds what goes as ever."""
    one = limit(8, 4.0)
    strictness, window = Strictness(one, 0.25), RequestWindow(one, 0.25)
    now = 0.0
    taken: list[tuple[float, int]] = []
    for round_number in range(4_000):
        window.expire(now)
        if window.used < window.amount and strictness.room(now) >= 1:
            window.take(now, 0)
            strictness.take(now)
            taken.append((now, 1))
        if round_number == 300:
            strictness.refused(now)
        now += 0.5 if round_number < 3_000 else 64 * TICK * 30
    assert worst(taken, window.span) <= 8


def test_a_refusal_halves_a_stated_burst() -> None:
    """A refusal makes a stated burst smaller, however much went lately at the stated rate."""
    strictness = Strictness(limit(128, 2.0, burst=16), 8 * TICK)
    taken = send(strictness, 0.0, 2.0)
    strictness.refused(2.0)
    burst = strictness.snapshot().burst
    assert len(taken) > 64
    assert burst is not None
    assert burst <= 8


def test_refusals_far_between_are_borne() -> None:
    """One refusal in ten thousand, however often, lowers no rate and is forgotten as quickly."""
    strictness, now = Strictness(limit(100, 1.0), 0.25), 0.0
    for _ in range(8):
        strictness.refused(now)
        learned = strictness.snapshot()
        assert learned.rate is not None
        assert learned.rate >= 0.75 * 100 / 1.25
        for _ in range(14_000):
            now += 1 / 80
            strictness.take(now)
            strictness.room(now)
        assert strictness.snapshot().burst is None


# -- bugs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusals", [1, 2, 3])
@pytest.mark.parametrize("jitter", [0.0, 0.05, 0.25, 1.0])
@pytest.mark.parametrize(("amount", "period"), [(100, 1.0), (10, 1.0), (100, 60.0)])
def test_a_learned_burst_does_not_throttle(
    amount: int, period: float, jitter: float, refusals: int
) -> None:
    """A small burst costs bursts: three quarters still go, a fifth less after each more refusal."""
    strictness, now = Strictness(limit(amount, period), jitter), 0.0
    for _ in range(refusals):
        now += period
        strictness.take(now)
        strictness.refused(now)
    end, taken = now + 3 * (period + jitter), 0
    while (now := max(now, strictness.opens_at())) < end:
        assert strictness.room(now) >= 1
        strictness.take(now)
        taken += 1
    assert taken >= 0.75 * 0.8 ** (refusals - 1) * 3 * amount - 1


def test_a_short_window_recovers_in_its_own_time() -> None:
    """After one refusal a limit per second is believed again within three minutes."""
    strictness = Strictness(limit(100, 1.0), 0.25)
    strictness.refused(0.0)
    quiet(strictness, 0.0, 180.0)
    assert strictness.snapshot().burst is None


def test_a_refused_limit_of_one_is_survived() -> None:
    """A server that refuses `1 requests / second` slows us down; it does not crash us."""
    strictness = Strictness(limit(1, 1.0), 0.25)
    strictness.take(0.0)
    strictness.refused(0.1)
    assert strictness.room(HOUR) >= 1


def test_a_stated_burst_survives_a_refusal() -> None:
    """Neither a refusal nor the way back from it ever allows more than the stated burst."""
    strictness, now = Strictness(limit(100, 60.0, burst=4), 0.25), 0.0
    strictness.take(now)
    strictness.refused(now)
    for _ in range(100):
        now += HOUR
        assert strictness.room(now) <= 4
