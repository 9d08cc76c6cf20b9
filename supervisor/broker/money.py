"""What requests may cost: their likely price, and whether there is money for it."""

from __future__ import annotations

from supervisor.broker.account import Account
from supervisor.budget import span
from supervisor.clock import Clock
from supervisor.errors import BudgetSpent
from supervisor.ledger.ledger import Ledger
from supervisor.ledger.prices import Prices, ticks
from supervisor.messages import Request
from supervisor.quota.budgets import Budgets


class Money:
    """The budgets as the broker uses them.

    Args:
        budgets: All budgets.
        prices: What models cost.
        clock: Tells the time.
    """

    def __init__(self, budgets: Budgets, prices: Prices, clock: Clock) -> None:
        self._budgets = budgets
        self._prices = prices
        self._clock = clock

    def __bool__(self) -> bool:
        """Whether there is any budget; without one nobody need ask for prices."""
        return bool(self._budgets)

    async def restore(self, ledger: Ledger) -> None:
        """Read back what has been spent in the periods that go on.

        Raises:
            StoreError: The ledger cannot be read.
        """
        # All of the month, without a budget too: one may come with a role that is loaded later.
        for hour in await ledger.costs_since(span("month", self._clock.wall()).start):
            self._budgets.restore(hour.traffic_class, ticks(hour.cost), hour.start)

    def cost(self, account: Account, request: Request) -> int:
        """Ticks of 1e-10 US dollars that a request is likely to cost."""
        return account.likely_cost(request.model, len(request.body), self._prices)

    def shortage(self, account: Account, cost: int) -> float | None:
        """Seconds for which a request is refused for want of money.

        None where there is some, or where the class waits for it.

        Args:
            account: Its class's.
            cost: Ticks that it is likely to cost.
        """
        if not account.traffic_class.refuses:
            return None
        now = self._clock.monotonic()
        until = self._budgets.spent_until(account.owner, cost, now)
        return None if until is None else until - now


def budget_spent(name: str, wait: float) -> BudgetSpent:
    """What a refused request is told.

    Args:
        name: Its class.
        wait: Seconds until the budget's next period.
    """
    return BudgetSpent(
        f"the budget of {name}, or that of all, is spent for another {wait:.0f} s",
        hint=f"raise the budget of {name} or budget.total, or let it wait: at_budget_end",
        retry_after=wait,
    )
