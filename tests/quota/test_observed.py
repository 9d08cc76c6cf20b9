"""Headers may take room away and never give any; without somebody else they take nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.quota.observed import Observed
from supervisor.quota.others import Others
from supervisor.quota.window import RequestWindow, TokenWindow

MINUTE = Limit(100, "requests", 60.0)
TIMES = st.floats(0, 300).map(lambda seconds: round(seconds, 3))


def headers(limit: int, remaining: int, unit: str = "requests") -> dict[str, str]:
    """What an answer says."""
    return {
        f"x-ratelimit-limit-{unit}": str(limit),
        f"x-ratelimit-remaining-{unit}": str(remaining),
    }


def read(observed: Observed, said: dict[str, str], now: float, *, model: str = "m") -> None:
    """An answer that came at once."""
    observed.read(said, model=model, granted_at=now, now=now)


# -- what a window makes of it --------------------------------------------------------------------


@given(st.lists(st.tuples(TIMES, st.integers(1, 50)), min_size=1))
def test_the_highest_proof_of_a_period_counts(proofs: list[tuple[float, int]]) -> None:
    """At every moment others have spent the most that was proved within the last period."""
    others = Others(60.0)
    proofs = sorted(proofs)
    for index, (now, units) in enumerate(proofs):
        if others.until <= now:
            others.expire(now)
        others.see(units, now)
        assert others.units == max(u for t, u in proofs[: index + 1] if t + 60.0 > now)
    end = proofs[-1][0] + 60.0
    while others.until <= end:
        assert others.expire(others.until) < 0
    assert (others.units, others.until) == (0, float("inf"))


@given(
    st.lists(
        st.tuples(TIMES, st.sampled_from(["take", "others", "restamp"]), st.integers(1, 40)),
        max_size=60,
    ),
    st.integers(1, 100),
)
def test_others_only_take(story: list[tuple[float, str, int]], units: int) -> None:
    """With others a window never has more room, and what it says of later is never sooner."""
    alone, shared = RequestWindow(MINUTE, 0.25), RequestWindow(MINUTE, 0.25)
    for now, what, number in sorted(story):
        if what == "others":
            shared.expire(now)
            shared.see_others(number, now)
        for window in (alone, shared):
            window.expire(now)
            if what == "take":
                window.take(now, 0)
            elif what == "restamp" and alone.used:
                window.restamp(1, now)
        assert shared.used == alone.used + shared.others.units
        assert shared.used > 100 or shared.returns_at(units) >= alone.returns_at(units)
    shared.expire(1000.0)
    assert (shared.used, shared.next_return()) == (0, float("inf"))


def test_a_tokens_window_knows_its_own() -> None:
    """What is reserved or was settled since a moment is ours; what is long gone is unknown."""
    window = TokenWindow(Limit(1000, "tokens", 60.0), 0.0)
    window.reserve(100, 0)
    assert window.counted_since(0.0) == 100
    window.settle(10.0, 0, reserved=100, actual=40)
    window.reserve(7, 0)
    assert [window.counted_since(moment) for moment in (0.0, 10.0, 10.1)] == [47, 47, 7]
    for second in range(10_000):
        window.expire(float(second))
        window.settle(float(second), 0, reserved=0, actual=1)
    assert window.counted_since(5.0) is None
    assert window.counted_since(9_999.0) == 8
    window.see_others(500, 9_999.0)
    assert window.used == 60 + 7 + 500
    # Seven are in flight, and come back only when that ends.
    assert (window.returns_at(993), window.returns_at(1000)) == (9_999.0 + 60.0, float("inf"))


# -- what a header proves -------------------------------------------------------------------------


def test_what_the_server_counts_beyond_ours() -> None:
    """Thirty of a hundred left and twenty are ours: fifty are somebody else's, for one period."""
    window = RequestWindow(MINUTE, 0.25)
    for _ in range(20):
        window.take(0.0, 0)
    observed = Observed([window])
    read(observed, headers(100, 30), 1.0)
    assert (window.used, window.others.units) == (70, 50)
    read(observed, headers(100, 75), 2.0)
    assert window.others.units == 50
    window.expire(61.3)
    assert (window.used, window.others.units) == (5, 5)
    window.expire(62.3)
    assert (window.used, window.others.units) == (0, 0)


@pytest.mark.parametrize(
    "said",
    [
        {},
        headers(100, 101),
        headers(99, 0),
        headers(101, 0),
        headers(1, 0),
        {"x-ratelimit-limit-requests": "100"},
        {"x-ratelimit-limit-requests": "x", "x-ratelimit-remaining-requests": "-1"},
        headers(100, 0, "tokens"),
    ],
)
def test_what_proves_nothing(said: dict[str, str]) -> None:
    """A header that is missing, unreadable or of an unknown window changes nothing."""
    window = RequestWindow(MINUTE, 0.25)
    read(Observed([window]), said, 1.0)
    assert window.used == 0


def test_two_windows_of_the_same_amount() -> None:
    """Where it cannot be told which window is meant, none is."""
    windows = [RequestWindow(Limit(10, "requests", period), 0.0) for period in (1.0, 60.0)]
    read(Observed(windows), headers(10, 0), 1.0)
    assert [window.used for window in windows] == [0, 0]


def test_a_limit_that_is_lowered() -> None:
    """The same model's header goes on meaning its window; another model's does not."""
    window = RequestWindow(MINUTE, 0.25)
    observed = Observed([window])
    read(observed, headers(50, 50), 0.0)
    read(observed, headers(50, 50), 0.0, model="other")
    assert window.used == 0
    read(observed, headers(100, 99), 1.0)
    read(observed, headers(50, 40), 2.0, model="other")
    assert window.others.units == 1
    read(observed, headers(50, 40), 3.0)
    assert window.used == 60


@given(
    st.integers(0, 2**32),
    st.floats(0.5, 40.0),
    st.sampled_from(["arrival", "answer"]),
    st.sampled_from([0.0, 0.25]),
)
def test_alone_nothing_is_taken(seed: int, rate: float, written: str, jitter: float) -> None:
    """However long answers take and whenever their headers were written: ours are never others'."""
    dice = random.Random(seed)
    limit = Limit(100, "requests", 10.0)
    window = RequestWindow(limit, jitter)
    observed = Observed([window])
    arrivals: list[float] = []
    events: list[tuple[float, int, float]] = []
    now = 0.0
    for _ in range(120):
        now += dice.expovariate(rate)
        events.append((now, 0, now))
        arrived = now + dice.random() * jitter
        answered = arrived + dice.expovariate(1 / 3.0)
        arrivals.append(arrived)
        events.append((answered, 1, now))
    moments = dict(zip([e[2] for e in events if not e[1]], arrivals, strict=True))
    for at, kind, granted in sorted(events):
        window.expire(at)
        if kind == 0:
            window.take(at, 0)
            continue
        moment = moments[granted] if written == "arrival" else at
        counted = sum(moment - 10.0 < arrived <= moment for arrived in arrivals)
        said = headers(100, max(0, 100 - counted))
        observed.read(said, model="m", granted_at=granted, now=at)
        assert window.others.units == 0
