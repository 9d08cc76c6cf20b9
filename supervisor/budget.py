"""A budget: at most so much money in an hour, a day or a month of the calendar, in UTC. Pure.

Money is counted in the API's ticks of 1e-10 US dollars, so that sums are exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, cast

Period = Literal["hour", "day", "month"]

TICKS_PER_DOLLAR = 10_000_000_000
ALL = "all"
"""Whose budget the one for everybody together is said to be; nobody else is called so."""
EXPECTED = '"N usd / PERIOD" such as "5 usd / day", PERIOD one of hour, day, month'

_BUDGET = re.compile(
    r"\s*(?P<amount>\d+(?:\.\d+)?)\s*usd\s*/\s*(?P<period>hour|day|month)\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Span:
    """One period, in Unix time.

    Attributes:
        start: Its first second.
        end: The first second after it.
    """

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so much money in each period.

    Attributes:
        amount: US dollars, above 0.
        period: `hour`, `day` or `month`, as the calendar has them in UTC.
    """

    amount: Decimal
    period: Period

    @classmethod
    def parse(cls, text: object) -> Budget:
        """Read a budget.

        Raises:
            ValueError: It is none; the message is what was expected.
        """
        match = _BUDGET.fullmatch(text) if isinstance(text, str) else None
        if match is None or Decimal(match["amount"]) <= 0:
            raise ValueError(EXPECTED)
        return cls(Decimal(match["amount"]), cast("Period", match["period"].lower()))

    @property
    def ticks(self) -> int:
        """The amount in ticks of 1e-10 US dollars."""
        return int(self.amount * TICKS_PER_DOLLAR)

    def span(self, wall: float) -> Span:
        """The period that a moment lies in.

        Args:
            wall: Unix time in seconds.
        """
        return span(self.period, wall)

    def __str__(self) -> str:
        return f"{self.amount:f} usd / {self.period}"


def span(period: Period, wall: float) -> Span:
    """The hour, day or month of the calendar that a moment lies in, in UTC.

    Args:
        period: Which of them.
        wall: Unix time in seconds.
    """
    moment = datetime.fromtimestamp(wall, UTC).replace(minute=0, second=0, microsecond=0)
    if period == "hour":
        return Span(moment.timestamp(), (moment + timedelta(hours=1)).timestamp())
    day = moment.replace(hour=0)
    if period == "day":
        return Span(day.timestamp(), (day + timedelta(days=1)).timestamp())
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return Span(first.timestamp(), following.timestamp())
