"""Which budget has no money for a request, how much is left of it, and until when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from supervisor.budget import ALL, TICKS_PER_DOLLAR


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why there is no money.

    Attributes:
        of: The role or client whose budget it is; `all` for everybody together.
        budget: Its text.
        left: Ticks of 1e-10 US dollars that are not spent of it.
        cost: Ticks that the request is likely to cost.
        ends: Unix time at which its period ends.
        wait: Seconds until then.
    """

    of: str
    budget: str
    left: int
    cost: int
    ends: float
    wait: float

    def __str__(self) -> str:
        until = datetime.fromtimestamp(self.ends, UTC).strftime("%Y-%m-%d %H:%M UTC")
        budget = f"the budget of {self.of}, {self.budget},"
        if self.left <= 0:
            return f"{budget} is spent until {until}"
        left, cost = (f"{Decimal(one) / TICKS_PER_DOLLAR:f}" for one in (self.left, self.cost))
        return f"{budget} has {left} usd left until {until}, and {cost} usd are likely to be needed"

    @property
    def setting(self) -> str:
        """What can be raised."""
        return "budget.total" if self.of == ALL else f"the budget of {self.of}"
