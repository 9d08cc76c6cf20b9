"""A budget's periods are the calendar's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.budget import Budget, Period, span


def wall(text: str) -> float:
    """Unix time of a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("hour", "2026-12-31T23:00", "2027-01-01T00:00"),
        ("day", "2026-12-31T00:00", "2027-01-01T00:00"),
        ("month", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_periods_are_the_calendars(period: Period, start: str, end: str) -> None:
    """Hours, days and months begin where the clock in UTC says."""
    found = span(period, wall("2026-12-31T23:59"))
    assert (found.start, found.end) == (wall(start), wall(end))


@given(moment=st.floats(0, 4e9), period=st.sampled_from(["hour", "day", "month"]))
def test_every_moment_lies_in_one_period(moment: float, period: Period) -> None:
    """Periods follow each other without gap or overlap."""
    found = span(period, moment)
    assert found.start <= moment < found.end
    assert span(period, found.end).start == found.end
    assert span(period, found.start) == found


def test_money_is_counted_exactly() -> None:
    """A tenth of a cent is no rounding error."""
    assert Budget.parse("0.001 usd / hour").ticks == 10_000_000


@pytest.mark.parametrize("text", ["0.0000001 usd / day", "1000000 usd / month", "5 usd / hour"])
def test_a_budget_reads_as_it_is_written(text: str) -> None:
    """What a budget says of itself is a budget again, however small."""
    assert str(Budget.parse(text)) == text
    assert Budget.parse(str(Budget.parse(text))) == Budget.parse(text)
