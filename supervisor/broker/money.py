"""What requests may cost: their likely price, and whether there is money for it."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from supervisor.broker.account import Account
from supervisor.broker.entry import Entry
from supervisor.clock import Clock
from supervisor.errors import BudgetSpent
from supervisor.ledger.ledger import Answered, HourlyCost
from supervisor.ledger.prices import Prices, ticks
from supervisor.messages import Priority, Promise, Request, Usage
from supervisor.quota.budgets import Budgets
from supervisor.quota.shortage import Shortage
from supervisor.upstream.failures import Failure, FailureKind

_log = structlog.get_logger("supervisor.broker")

_REFUSED = 300
"""HTTP statuses from here on carry no answer."""
_TOLD = 1_000
"""Most models that are said to have no price; clients name what they like."""


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
        self._unknown: set[str] = set()

    def __bool__(self) -> bool:
        """Whether there is any budget; without one nobody need ask for prices."""
        return bool(self._budgets)

    def restore(
        self,
        costs: Iterable[HourlyCost],
        reserved: Iterable[HourlyCost],
        entries: Iterable[Entry],
    ) -> None:
        """Count what was spent in the periods that go on, and nothing else.

        Args:
            costs: What was spent, by hour.
            reserved: What is reserved in the ledger.
            entries: Our own requests: those that are sent or promised hold reservations.
        """
        budgets = self._budgets
        budgets.forget()
        for hour in costs:
            budgets.restore(hour.traffic_class, spent=ticks(hour.cost), at=hour.start)
        for hour in reserved:
            budgets.restore(hour.traffic_class, unpriced=ticks(hour.cost), at=hour.start)
        for entry in entries:
            name, errand = entry.request.traffic_class, entry.errand
            if entry.attempt is not None and entry.attempt.cost:
                budgets.restore(name, unpriced=-entry.attempt.cost, at=entry.attempt.granted)
            if errand is not None and errand.promise is not None and errand.cost:
                budgets.restore(name, unpriced=-errand.cost, at=errand.promise.granted)

    def cost(self, account: Account, request: Request) -> int:
        """Ticks of 1e-10 US dollars that a request is likely to cost."""
        model, unknown = request.model, self._unknown
        if not self._prices.knows(model) and model not in unknown and len(unknown) < _TOLD:
            unknown.add(model)
            _log.warning("broker.price_unknown", model=model, hint=f'set [prices."{model}"]')
        return account.likely_cost(request, self._prices)

    def bounds(self, owner: int) -> bool:
        """Whether any budget bounds a class."""
        return self._budgets.bounds(owner)

    def tell_time(self) -> None:
        """Look at both clocks: the wall's may have been set."""
        self._budgets.tell_time(now=self._clock.monotonic(), wall=self._clock.wall())

    def priced(self, usage: Usage, model: str) -> Usage:
        """The usage with its price, where that is known."""
        return self._prices.priced(usage, model)

    def learn(self, account: Account, usage: Usage | None, request: Request) -> None:
        """Learn from an answer what the next may cost."""
        if self:
            account.learn_cost(usage, request, self._prices)

    def recall(self, account: Account, answers: Iterable[Answered]) -> None:
        """Learn from a class's answers of before, the oldest first."""
        account.recall(answers, self._prices)

    def unpriced(
        self, entry: Entry, status: int, *, failure: Failure | None, usage: Usage | None
    ) -> int:
        """Ticks that count for an attempt whose price nobody will tell.

        Args:
            entry: Its request.
            status: HTTP status; 0 where none came.
            failure: What it failed of.
            usage: What it used; None when the API did not say.
        """
        if usage is not None:
            no_price = usage.cost is None and bool(self)
            return self._prices.at_most(entry.request.model, usage) if no_price else 0
        # The API bills what it has answered, and goes on with it when nobody listens any more.
        refused = max(status, (failure and failure.status) or 0) >= _REFUSED
        unseen = failure is not None and failure.kind is FailureKind.UNREACHABLE
        # A look has nothing reserved: it is the post that is billed.
        return 0 if refused or unseen else entry.cost

    def hold(self, entry: Entry, promise: Promise) -> None:
        """Wait for an answer that was promised before: what is reserved for it may come back."""
        name, now = entry.request.traffic_class, self._clock.monotonic()
        self._budgets.restore(name, unpriced=-promise.cost, at=promise.granted)
        self._budgets.take(entry.owner, promise.cost, now, priority=Priority.URGENT)

    def let_go(self, owner: int, cost: int, promise: Promise) -> None:
        """Wait no more for a promised answer: what is reserved for it stays so, for all we know.

        Args:
            owner: Its class's number.
            cost: Ticks.
            promise: When it was posted.
        """
        self._budgets.settle(owner, reserved=cost, actual=0, granted=promise.granted, unpriced=cost)

    def settle(self, entry: Entry, granted: float, usage: Usage | None, *, unpriced: int) -> None:
        """Replace what is reserved for a request by what its attempt has cost.

        Args:
            entry: The request.
            granted: Unix time of the attempt's grant.
            usage: What it used, with its price where that is known.
            unpriced: Ticks that count because nobody will tell the price.
        """
        self._budgets.settle(
            entry.owner,
            reserved=entry.cost,
            actual=0 if usage is None else ticks(usage.cost),
            granted=granted,
            unpriced=unpriced,
        )

    def shortage(self, account: Account, cost: int) -> Shortage | None:
        """Why a request is refused for want of money.

        None where there is some, or where the class waits for it.

        Args:
            account: Its class's.
            cost: Ticks that it is likely to cost.
        """
        if not account.traffic_class.refuses:
            return None
        self.tell_time()
        return self._budgets.shortage(account.owner, cost, self._clock.monotonic())


def budget_spent(name: str, shortage: Shortage) -> BudgetSpent:
    """What a refused request is told.

    Args:
        name: Its class.
        shortage: Where the money is missing.
    """
    return BudgetSpent(
        str(shortage),
        hint=f'raise {shortage.setting}, or let {name} wait for it: at_budget_end = "wait"',
        retry_after=shortage.wait,
    )
