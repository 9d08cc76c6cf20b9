"""The spelling of a budget: `5 usd / day`. Here it is only read; the ledger enforces it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from supervisor.limits import Limit

_BUDGET = re.compile(r"\s*(?P<amount>\d+(?:\.\d+)?)\s*usd\s*/\s*(?P<period>\S+)\s*", re.IGNORECASE)
EXPECTED = '"N usd / PERIOD" such as "5 usd / day"'


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so much money in any period.

    Attributes:
        amount: US dollars, above 0.
        period: Length of the period in seconds.
    """

    amount: Decimal
    period: float

    @classmethod
    def parse(cls, text: object) -> Budget:
        """Read a budget.

        Raises:
            ValueError: It is none; the message is what was expected.
        """
        match = _BUDGET.fullmatch(text) if isinstance(text, str) else None
        if match is None or Decimal(match["amount"]) <= 0:
            raise ValueError(EXPECTED)
        try:
            # A budget's periods are a limit's periods: one spelling, one parser.
            period = Limit.parse(f"1 requests / {match['period']}").period
        except ValueError:
            raise ValueError(EXPECTED) from None
        return cls(Decimal(match["amount"]), period)

    def __str__(self) -> str:
        return f"{self.amount} usd / {str(Limit(1, 'requests', self.period)).rpartition('/ ')[2]}"
