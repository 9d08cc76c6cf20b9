"""The server's own limiters against definitions that are slow and obvious."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.simulator.judge import Judge
from supervisor.simulator.limits import Remaining, ServerLimits
from supervisor.simulator.meters import Kind

KINDS: tuple[Kind, ...] = ("sliding_log", "fixed_window", "sliding_counter", "token_bucket")


def per(text: str) -> Limit:
    return Limit.parse(text)


# Times, periods and amounts that floats hold exactly, so that the definitions need no tolerance.
arrivals = st.lists(st.integers(0, 24), max_size=40).map(
    lambda gaps: [sum(gaps[: place + 1]) / 8 for place in range(len(gaps))]
)
amounts = st.sampled_from([1, 2, 4, 8])
periods = st.sampled_from([1.0, 2.0, 4.0])


def log_has_room(now: float, taken: list[float], limit: Limit) -> bool:
    return sum(now - limit.period < then <= now for then in taken) < limit.amount


def fixed_has_room(now: float, taken: list[float], limit: Limit) -> bool:
    window = now // limit.period
    return sum(then // limit.period == window for then in taken) < limit.amount


def counter_has_room(now: float, taken: list[float], limit: Limit) -> bool:
    position = Fraction(now) / Fraction(limit.period)
    window = math.floor(position)
    this = sum(then // limit.period == window for then in taken)
    last = sum(then // limit.period == window - 1 for then in taken)
    return last * (1 - (position - window)) + this + 1 <= limit.amount


def bucket_has_room(now: float, taken: list[float], limit: Limit) -> bool:
    level, before = Fraction(limit.amount), Fraction(0)
    for then in [*taken, now]:
        refill = (Fraction(then) - before) * limit.amount / Fraction(limit.period)
        level, before = min(Fraction(limit.amount), level + refill), Fraction(then)
        if then is not now:
            level -= 1
    return level >= 1


DEFINITIONS: dict[Kind, Callable[[float, list[float], Limit], bool]] = {
    "sliding_log": log_has_room,
    "fixed_window": fixed_has_room,
    "sliding_counter": counter_has_room,
    "token_bucket": bucket_has_room,
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(times=arrivals, amount=amounts, period=periods)
def test_admits_exactly_what_its_definition_admits(
    kind: Kind, times: list[float], amount: int, period: float
) -> None:
    """Each algorithm admits a request if and only if its definition has room for it."""
    limit = Limit(amount, "requests", period)
    server = ServerLimits([limit], kind)
    taken: list[float] = []
    for now in times:
        room = DEFINITIONS[kind](now, taken, limit)
        assert (server.admit(now) is None) is room
        if room:
            taken.append(now)


@pytest.mark.parametrize("kind", ["sliding_log", "fixed_window", "token_bucket"])
@settings(max_examples=50)
@given(times=arrivals, amount=amounts, period=periods, offset=st.integers(0, 31))
def test_a_client_at_the_bound_is_never_refused(
    kind: Kind, times: list[float], amount: int, period: float, offset: int
) -> None:
    """A server that keeps its word admits every client that keeps at most N in any window."""
    server = ServerLimits([Limit(amount, "requests", period)], kind, offset=offset / 8)
    sent: list[float] = []
    for arrival in times:
        now = max(arrival, sent[-1] if sent else 0.0)
        if len(sent) >= amount:
            now = max(now, sent[-amount] + period)
        assert server.admit(now) is None
        sent.append(now)


@settings(max_examples=50)
@given(times=arrivals, amount=amounts)
def test_the_sliding_log_never_lets_the_judge_see_too_much(times: list[float], amount: int) -> None:
    """What an exact log admits holds at most N in any window, as the judge counts it."""
    limit = Limit(amount, "requests", 2.0)
    server, judge = ServerLimits([limit]), Judge([limit])
    for now in times:
        if server.admit(now) is None:
            judge.saw(now)
    assert judge.report().over == 0


def test_a_fixed_window_admits_nearly_twice_its_limit_over_its_edge() -> None:
    """Requests on both sides of an edge are counted apart, which is why clients count windows."""
    limit = per("10 requests / 2s")
    server, judge = ServerLimits([limit], "fixed_window"), Judge([limit])
    for now in [1.9] * 10 + [2.1] * 10:
        assert server.admit(now) is None
        judge.saw(now)
    assert judge.report().worst[0].worst == 20


def test_windows_begin_at_the_offset() -> None:
    """A fixed window starts at `offset` plus whole periods, wherever that is."""
    server = ServerLimits([per("1 requests / minute")], "fixed_window", offset=30.0)
    assert server.admit(29.0) is None
    assert server.admit(29.9) is not None
    assert server.admit(30.0) is None
    assert server.admit(89.9) is not None


def test_an_unstated_burst_is_smaller_than_the_limit() -> None:
    """A bucket with an own burst refuses what its published number would allow at once."""
    server = ServerLimits([per("100 requests / minute")], "token_bucket", burst=10)
    verdicts = [server.admit(0.0) is None for _ in range(12)]
    assert verdicts == [True] * 10 + [False] * 2
    assert server.admit(0.6) is None


def test_a_stated_burst_goes_before_the_unstated_one() -> None:
    """A limit that states its burst is a bucket of that size."""
    server = ServerLimits([per("100 requests / minute burst 3")], "token_bucket", burst=10)
    assert [server.admit(0.0) is None for _ in range(4)] == [True, True, True, False]


def test_a_bucket_does_not_refuse_for_rounding() -> None:
    """Who sends at exactly the refill rate is never refused, however long it goes on."""
    server = ServerLimits([per("7 requests / 3s")], "token_bucket", burst=1)
    assert all(server.admit(k * (3 / 7)) is None for k in range(50_000))


def test_a_refusal_consumes_nothing_of_the_other_limits() -> None:
    """A request that one limit refuses leaves the others as they were."""
    server = ServerLimits([per("2 requests / second"), per("3 requests / minute")])
    assert [server.admit(0.0) is None for _ in range(5)] == [True, True, False, False, False]
    assert server.admit(1.0) is None
    refusal = server.admit(2.0)
    assert refusal is not None
    assert (refusal.limit.amount, refusal.actual, refusal.period) == (3, 4, "Minute")


@pytest.mark.parametrize("kind", ["sliding_log", "fixed_window", "sliding_counter"])
def test_refused_requests_count_where_the_server_says_so(kind: Kind) -> None:
    """With `count_refused` hammering a full limit keeps it full."""
    server = ServerLimits([per("2 requests / 10s")], kind, count_refused=True)
    for tenth in range(200):
        server.admit(tenth / 10)
    assert server.admit(19.95) is not None


def test_counting_refused_ones_never_empties_a_bucket_below_empty() -> None:
    """A bucket that was hammered fills up again as fast as any other."""
    server = ServerLimits([per("10 requests / 10s")], "token_bucket", count_refused=True)
    for _ in range(1000):
        server.admit(0.0)
    assert server.admit(1.0) is None


def test_a_refusal_names_the_limit_that_was_full() -> None:
    """Requests are looked at before tokens; the refusal says which limit and how much."""
    server = ServerLimits([per("1000 tokens / minute"), per("5 requests / second")])
    assert server.admit(0.0, 900) is None
    refusal = server.admit(0.1, 101)
    assert refusal is not None
    assert (refusal.limit.unit, refusal.actual, refusal.period) == ("tokens", 1001, "Minute")
    assert server.admit(0.2, 100) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [("second", "Second"), ("hour", "Hour"), ("day", "Day"), ("90s", "90s"), ("1m", "Minute")],
)
def test_a_refusal_writes_the_period_as_the_api_does(text: str, word: str) -> None:
    """Named periods have a word, others their seconds."""
    server = ServerLimits([per(f"1 requests / {text}")])
    server.admit(0.0)
    refusal = server.admit(0.0)
    assert refusal is not None
    assert refusal.period == word


@pytest.mark.parametrize("kind", KINDS)
def test_output_tokens_are_booked_when_they_become_known(kind: Kind) -> None:
    """An answer's tokens count from the moment they are booked, room or not."""
    server = ServerLimits([per("100 tokens / 10s")], kind)
    assert server.admit(0.0, 10) is None
    server.book_output(1.0, 500)
    assert server.remaining(1.0).tokens == 0
    assert server.admit(2.0, 1) is not None
    assert server.admit(60.0, 1) is None


def test_the_headers_speak_of_the_first_limit_of_each_unit() -> None:
    """There is one header for each unit, so several limits share the first one's place."""
    server = ServerLimits(
        [per("9 requests / second"), per("50 requests / minute"), per("100 tokens / minute")]
    )
    server.admit(0.0, 30)
    assert server.remaining(0.0) == Remaining(9, 8, 100, 70)
    assert ServerLimits([]).remaining(0.0) == Remaining()


def test_an_idle_window_is_forgotten_by_the_counter() -> None:
    """The weighted window looks one window back and no further."""
    server = ServerLimits([per("4 requests / second")], "sliding_counter")
    for _ in range(4):
        server.admit(0.5)
    assert server.admit(1.1) is not None
    assert [server.admit(2.0) is None for _ in range(5)] == [True] * 4 + [False]
