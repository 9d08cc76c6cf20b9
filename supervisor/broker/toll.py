"""The price of what waits, as it is known now; and a slow start as long as it is not.

Answers may be far dearer than guessed, and that shows only when they have come. So a class that a
budget bounds has at first one attempt of a model under way, and with each answer one more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from supervisor.broker.account import ENOUGH, Account
from supervisor.broker.entry import Entry
from supervisor.broker.money import Money
from supervisor.quota.block import Block, Obstacle


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

    def blocked(self, ticket: Entry) -> Block | None:
        """Put the price on a waiting request; a block where too little is learned of it yet."""
        if not self._money or _is_promised(ticket):
            return None
        request = ticket.request
        account = self._accounts[request.traffic_class]
        ticket.cost = self._money.cost(account, request)
        answers = account.answers(request.model)
        if answers >= ENOUGH or ticket.learning or not self._money.bounds(ticket.owner):
            return None
        running = self._under_way[ticket.owner, request.model]
        if running <= answers:
            return None
        model = request.model or "its model"
        detail = f"the price of {model} is being learned: {running} under way, {answers} answered"
        return Block(Obstacle.BUDGET, detail, float("inf"))

    def took(self, ticket: Entry) -> None:
        """It is granted."""
        if self._money and not ticket.learning and not _is_promised(ticket):
            ticket.learning = True
            self._under_way[ticket.owner, ticket.request.model] += 1

    def ended(self, ticket: Entry) -> None:
        """Its attempt is over; a promised answer may take a day, and holds up nobody."""
        if not ticket.learning:
            return
        ticket.learning = False
        key = ticket.owner, ticket.request.model
        self._under_way[key] -= 1
        if not self._under_way[key]:
            del self._under_way[key]


def _is_promised(entry: Entry) -> bool:
    return entry.errand is not None and entry.errand.promise is not None
