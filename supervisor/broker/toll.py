"""The price of what waits, as it is known now; and a slow start as long as it is not.

Answers may be far dearer than guessed, and that shows only when they have come. So a class that a
budget bounds has at first one attempt of a model under way, and with each answer one more. Answers
of before a restart count, for they are on record.

So it is with posts of deferred answers, for which those count that are promised, too: they have
cost what they will. Nobody else waits for those, for that may take a day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from supervisor.broker.account import ENOUGH, Account
from supervisor.broker.entry import Entry
from supervisor.broker.money import Money, budget_spent
from supervisor.errors import BudgetSpent
from supervisor.quota.block import Block, Obstacle
from supervisor.scheduler.ticket import TicketState


class Toll:
    """Looks at one request at a time.

    Args:
        money: What there is, and what requests cost.
        accounts: What the classes have learned, by name.
    """

    def __init__(self, money: Money, accounts: Mapping[str, Account]) -> None:
        self._money = money
        self._accounts = accounts
        self._under_way: Counter[tuple[int, str]] = Counter()
        self._promised: Counter[tuple[int, str]] = Counter()

    def blocked(self, ticket: Entry) -> Block | None:
        """Put the price on a waiting request; a block where too little is learned of it yet."""
        if not self._money or ticket.is_promised:
            return None
        request = ticket.request
        account = self._accounts[request.traffic_class]
        ticket.cost = self._money.cost(account, request)
        answers = account.answers(request.model)
        if answers >= ENOUGH or ticket.learning is not None or not self._money.bounds(ticket.owner):
            return None
        key = ticket.owner, request.model
        running = self._under_way[key]
        if ticket.errand is not None and not ticket.errand.direct:
            running += self._promised[key]
        if running <= answers:
            return None
        model = request.model or "its model"
        detail = f"the price of {model} is being learned: {running} under way, {answers} answered"
        return Block(Obstacle.BUDGET, detail, float("inf"))

    def refusal(self, ticket: Entry) -> BudgetSpent | None:
        """What it is told for which there is no money, where its class does not wait for some."""
        account = self._accounts[ticket.request.traffic_class]
        # What is promised is paid for.
        if ticket.is_promised or not account.traffic_class.refuses:
            return None
        shortage = self._money.shortage(account, self._money.cost(account, ticket.request))
        return None if shortage is None else budget_spent(account.traffic_class.name, shortage)

    def took(self, ticket: Entry) -> None:
        """It is granted."""
        if self._money and ticket.learning is None and not ticket.is_promised:
            self._count(ticket, self._under_way)

    def ended(self, ticket: Entry) -> None:
        """Its attempt is over; where that has brought a promise, the answer is still to come."""
        if ticket.learning is None:
            return
        waits = ticket.is_promised and ticket.state is not TicketState.LEFT
        self._count(ticket, self._promised if waits else None)

    @staticmethod
    def _count(ticket: Entry, among: Counter[tuple[int, str]] | None) -> None:
        key = ticket.owner, ticket.request.model
        before, ticket.learning = ticket.learning, among
        if among is not None:
            among[key] += 1
        if before is not None:
            before[key] -= 1
            if not before[key]:
                del before[key]
