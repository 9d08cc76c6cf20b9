"""The judge against the plainest possible count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.simulator.judge import Judge

MINUTE = Limit.parse("3 requests / minute")
TOKENS = Limit.parse("100 tokens / minute")

times = st.lists(st.floats(0, 300, allow_nan=False), max_size=50).map(sorted)


@given(times=times, period=st.floats(0.5, 120), amount=st.integers(1, 10))
def test_the_worst_window_is_the_fullest_half_open_stretch(
    times: list[float], period: float, amount: int
) -> None:
    """The worst of [t, t + W) over all t is what the judge says, and so is who went beyond."""
    judge = Judge([Limit(amount, "requests", period)])
    counts: list[int] = []
    for place, now in enumerate(times):
        judge.saw(now)
        counts.append(sum(then + period > now for then in times[: place + 1]))
    report = judge.report()
    assert report.worst[0].worst == max(counts, default=0)
    assert report.over == sum(count > amount for count in counts)
    assert report.attempts == len(times)


def test_two_arrivals_one_period_apart_share_no_window() -> None:
    """The window is half-open: what leaves at the instant something arrives is out."""
    judge = Judge([Limit.parse("1 requests / 10s")])
    for now in (0.0, 10.0, 20.0):
        judge.saw(now)
    assert judge.report().over == 0


def test_refused_attempts_count_as_attempts() -> None:
    """What the client sent is judged, not what the server let through."""
    judge = Judge([MINUTE])
    for _ in range(3):
        judge.saw(5.0)
    judge.saw(6.0, refused=True)
    report = judge.report()
    assert (report.attempts, report.refused, report.over) == (4, 1, 1)
    assert (report.worst[0].worst, report.worst[0].at, report.worst[0].over) == (4, 1.0, 1)


def test_an_attempt_beyond_two_limits_is_over_once() -> None:
    """`over` counts attempts; each limit counts its own."""
    judge = Judge([Limit.parse("1 requests / second"), Limit.parse("1 requests / minute")])
    judge.saw(0.0)
    judge.saw(0.5)
    report = judge.report()
    assert report.over == 1
    assert [window.over for window in report.worst] == [1, 1]


def test_tokens_count_when_they_become_known() -> None:
    """A prompt counts on arrival and an answer when it is complete."""
    judge = Judge([TOKENS])
    judge.saw(0.0, 40)
    judge.spent(30.0, 50)
    judge.saw(70.0, 40)
    assert judge.report().over == 0
    judge.saw(71.0, 11)
    report = judge.report()
    assert (report.over, report.worst[0].worst, report.tokens) == (1, 101, 141)


def test_output_tokens_leave_requests_alone() -> None:
    """Booking an answer is no attempt."""
    judge = Judge([MINUTE, TOKENS])
    judge.saw(0.0, 1)
    judge.spent(1.0, 1)
    report = judge.report()
    assert report.attempts == 1
    assert [window.worst for window in report.worst] == [1, 2]


def test_the_first_hour_is_told_apart_from_the_rest() -> None:
    """A stricter server has to be learned: refusals after the first hour count on their own."""
    judge = Judge([], settling=3600.0)
    for now in (100.0, 3699.9, 3700.0, 9000.0):
        judge.saw(now, refused=now != 100.0)
    report = judge.report()
    assert (report.attempts, report.refused) == (4, 3)
    assert (report.attempts_after_first_hour, report.refused_after_first_hour) == (2, 2)
    assert report.seconds == 8900.0


def test_a_late_report_of_an_early_arrival_counts_as_simultaneous() -> None:
    """Time never goes back for the judge, so nothing escapes its window by being slow."""
    judge = Judge([Limit.parse("1 requests / second")])
    judge.saw(10.0)
    judge.saw(9.0)
    assert judge.report().worst[0].worst == 2


def test_other_limits_start_empty_and_the_same_ones_go_on() -> None:
    """Changing the limits keeps the history of those that stay."""
    judge = Judge([MINUTE])
    judge.saw(0.0)
    judge.watch([MINUTE, Limit.parse("1 requests / second")])
    judge.saw(0.5)
    assert [window.worst for window in judge.report().worst] == [2, 1]


def test_starting_over_forgets_everything_but_the_limits() -> None:
    """After a reset the report is that of a judge that has seen nothing."""
    judge = Judge([MINUTE])
    empty = judge.report()
    judge.saw(1.0, 5, refused=True)
    assert judge.report() != empty
    judge.reset()
    assert judge.report() == empty
    assert empty.seconds == 0.0
