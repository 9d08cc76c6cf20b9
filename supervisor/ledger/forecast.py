"""How fast is money spent, and what will the month come to? Pure.

The burn rate is the mean of the last 24 hours, or of the time since the first cost of a month where
that is less, but of no less than one hour: a first answer must not look like a hundred dollars a
day, and neither may the first one after a quiet night. Costs are known by the hour, so the 24 are
those that have ended, and the one that goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from supervisor.budget import span
from supervisor.ledger.ledger import HourlyCost

_HOUR = 3_600.0
_LOOK_BACK = 24 * _HOUR
_MONTH = 31 * 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Forecast:
    """Money spent and to be spent, in US dollars.

    Attributes:
        burn: A hour's spending, as of late.
        month: Spent in this month so far.
        month_total: What the month will come to if it goes on like that.
    """

    burn: Decimal
    month: Decimal
    month_total: Decimal


def look_back(wall: float) -> float:
    """Unix time from which on costs are needed for a forecast.

    Args:
        wall: Unix time now.
    """
    return min(span("month", wall).start, wall - _MONTH)


def forecast(costs: Sequence[HourlyCost], wall: float) -> Forecast:
    """What costs lead to.

    Args:
        costs: What was spent, by hour, since `look_back`, oldest first.
        wall: Unix time now.
    """
    past = [one for one in costs if one.start <= wall]
    month = span("month", wall)
    spent = sum((one.cost for one in costs if one.start >= month.start), Decimal(0))
    burn = Decimal(0)
    if past:
        began = max(past[0].start, span("hour", wall).start - _LOOK_BACK)
        hours = max(wall - began, _HOUR) / _HOUR
        recent = (one.cost for one in past if one.start >= began)
        burn = sum(recent, Decimal(0)) / Decimal(hours)
    remaining = Decimal((month.end - wall) / _HOUR)
    return Forecast(burn, spent, spent + burn * remaining)


def runs_out(left: Decimal, *, burn: Decimal, wall: float, until: float) -> float | None:
    """Unix time at which a budget ends at this rate; None when it lasts until its period's end.

    Args:
        left: US dollars that are left of it.
        burn: US dollars an hour.
        wall: Unix time now.
        until: Unix time at which its period ends.
    """
    if left <= 0:
        return wall
    if burn <= 0:
        return None
    end = wall + float(left / burn) * _HOUR
    return end if end < until else None
