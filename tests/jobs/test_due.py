"""Which moment of a schedule is due, whatever clocks and processes do."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config.schedule import Missed
from supervisor.cron import Cron
from supervisor.jobs.due import ON_TIME, Due, due

HOURLY = Cron("0 * * * *", ZoneInfo("UTC"))
NIGHTLY = Cron("30 2 * * *", ZoneInfo("Europe/Berlin"))
START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.mark.parametrize("missed", ["once", "skip"])
def test_a_moment_is_due_when_it_has_come(missed: Missed) -> None:
    """Before it nothing is due; at it, it is; after it the next is awaited."""
    before = due(HOURLY, settled=START, now=START + HOUR - 1, missed=missed)
    assert before == Due(None, None, START, START + HOUR)
    at = due(HOURLY, settled=START, now=START + HOUR, missed=missed)
    assert at == Due(START + HOUR, None, START + HOUR, START + 2 * HOUR)
    after = due(HOURLY, settled=START + HOUR, now=START + HOUR + 1, missed=missed)
    assert after == Due(None, None, START + HOUR, START + 2 * HOUR)


def test_missed_moments_get_one_job_or_none() -> None:
    """After an absence the last moment stands for all of them, or none of them gets a job."""
    now = START + 5 * HOUR + 600
    last = START + 5 * HOUR
    assert due(HOURLY, settled=START, now=now, missed="once").moment == last
    skipped = due(HOURLY, settled=START, now=now, missed="skip")
    assert skipped == Due(None, last, last, START + 6 * HOUR)


def test_a_restart_at_the_moment_misses_nothing() -> None:
    """Whoever is back within a minute was not away."""
    now = START + HOUR + ON_TIME
    assert due(HOURLY, settled=START, now=now, missed="skip").moment == START + HOUR
    assert due(HOURLY, settled=START, now=now + 1, missed="skip").moment is None


def test_a_clock_set_back_settles_there() -> None:
    """A place that lies in the future is given up, or a wrong clock would silence a schedule."""
    ahead = START + 1000 * HOUR
    assert due(HOURLY, settled=ahead, now=START + 90, missed="once").settled == START + 90


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            st.one_of(st.floats(1, 900), st.floats(900, 3e5), st.floats(-2e5, 0)), st.booleans()
        ),
        max_size=40,
    ),
    cron=st.sampled_from([HOURLY, NIGHTLY]),
    missed=st.sampled_from(["once", "skip"]),
)
def test_no_moment_is_ahead_of_the_clock_or_done_twice(
    steps: list[tuple[float, bool]], cron: Cron, missed: Missed
) -> None:
    """Over jumps of the clock and kills before anything is noted, what is due is a real moment
    that has come, and one that was noted is not due again unless the clock was set back."""
    now = settled = highest = START
    handed_in: Counter[float] = Counter()
    for step, killed in steps:
        now += step
        found = due(cron, settled=settled, now=now, missed=missed)
        assert found.following > now
        assert found.settled <= now
        if found.moment is not None:
            assert settled < found.moment <= now
            assert cron.after(found.moment - 1) == found.moment
            handed_in[found.moment] += not killed
        if not killed:
            assert step < 0 or found.settled >= min(settled, now)
            settled = found.settled
        highest = max(highest, now)
    if all(step > 0 for step, _ in steps):
        assert all(times <= 1 for times in handed_in.values())


@settings(max_examples=30)
@given(pauses=st.lists(st.floats(0.5, 50), min_size=1, max_size=60))
def test_whoever_is_awake_misses_nothing(pauses: list[float]) -> None:
    """With a look at least every minute each moment gets its job, once, whatever is missed."""
    cron = Cron("*/5 * * * *", ZoneInfo("Asia/Kathmandu"))
    now = settled = START
    got: list[float] = []
    for pause in pauses:
        now += pause
        found = due(cron, settled=settled, now=now, missed="skip")
        settled = found.settled
        got += [] if found.moment is None else [found.moment]
    wanted = [START + 300 * number for number in range(1, int((now - START) // 300) + 1)]
    assert got == wanted
