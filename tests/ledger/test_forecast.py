"""What was spent of late says where it leads."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.ledger.forecast import forecast, look_back, runs_out
from supervisor.ledger.ledger import HourlyCost

NOON = 1_800_014_400.0
"""Unix time of 2027-01-15 12:00 UTC."""
HOUR = 3_600.0
MONTH_LEFT = (16 * 24 + 12) * HOUR


def costs(*amounts: tuple[float, str]) -> list[HourlyCost]:
    """Costs so many hours before noon."""
    return [HourlyCost(NOON - hours * HOUR, "code", Decimal(usd)) for hours, usd in amounts]


def test_burning_is_what_the_last_day_cost() -> None:
    """The burn rate is the last 24 hours' mean; what lies before them is in the month only."""
    seen = forecast(costs((48, "10"), (24, "12"), (1, "12")), NOON)
    assert (seen.burn, seen.month) == (Decimal(1), Decimal(34))
    assert seen.month_total == 34 + Decimal(MONTH_LEFT / HOUR)


def test_a_first_answer_is_no_trend() -> None:
    """What was spent in the last minutes counts as an hour's spending."""
    assert forecast(costs((0, "0.5")), NOON + 60).burn == Decimal("0.5")


def test_nothing_leads_to_nothing() -> None:
    """Without costs there is no rate, and last month's are not this month's."""
    seen = forecast([], NOON)
    assert not any((seen.burn, seen.month, seen.month_total))
    assert forecast(costs((16 * 24, "9")), NOON).month == 0
    assert look_back(NOON) == NOON - 31 * 24 * HOUR


@given(minutes=st.integers(0, 59), spent=st.integers(0, 24))
def test_what_is_spent_evenly_burns_so(minutes: int, spent: int) -> None:
    """A dollar an hour is a dollar an hour, at whatever minute and for however long."""
    even = costs(*((hours, "1") for hours in range(30, 0, -1)), (0, str(Decimal(minutes) / 60)))
    seen = forecast(even[-1 - spent :], NOON + 60 * minutes)
    assert seen.burn == pytest.approx(Decimal(1)) or not spent


def test_the_first_answer_after_a_quiet_day_is_no_trend_either() -> None:
    """What the last 24 hours cost is their mean, however late in them it was spent."""
    assert forecast(costs((30, "5"), (0, "2.4")), NOON).burn == Decimal("0.1")


def test_when_a_budget_ends() -> None:
    """A budget ends when what is left is burnt, unless its period ends before."""
    burn = Decimal(2)
    assert runs_out(Decimal(4), burn=burn, wall=NOON, until=NOON + 3 * HOUR) == NOON + 2 * HOUR
    assert runs_out(Decimal(4), burn=burn, wall=NOON, until=NOON + HOUR) is None
    assert runs_out(Decimal(0), burn=burn, wall=NOON, until=NOON + HOUR) == NOON
    assert runs_out(Decimal(4), burn=Decimal(0), wall=NOON, until=NOON + HOUR) is None
