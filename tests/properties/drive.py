"""Quota and scheduler driven as the broker's dispatcher does it, with time as a plain number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from supervisor.limits import Limit
from supervisor.messages import TrafficClass
from supervisor.quota.quota import Quota
from supervisor.quota.snapshot import WindowSnapshot
from supervisor.scheduler.scheduler import Round, Scheduler
from supervisor.scheduler.ticket import Ticket
from tests.properties.oracle import TICK, tick

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission to send.

    Attributes:
        at: Its moment.
        name: The traffic class.
        ticket: Whose it is.
    """

    at: float
    name: str
    ticket: Ticket


class Drive:
    """One key's queue without asyncio: submit, let time pass, look at the grants.

    Args:
        limits: The key's limits, as texts.
        classes: Who sends.
        jitter: J in seconds.
        latency: Seconds after which an attempt is answered, with all the tokens it reserved.
        granted: Called with each grant, at its moment, instead of answering it.
        writing: How long writing a batch of grants down takes, in seconds.
    """

    def __init__(
        self,
        limits: Sequence[str | Limit],
        *classes: TrafficClass,
        jitter: float = 0.25,
        latency: float = 0.0,
        granted: Callable[[Grant], None] | None = None,
        writing: Callable[[], float] = lambda: 0.0,
    ) -> None:
        parsed = [Limit.parse(one) if isinstance(one, str) else one for one in limits]
        self.now = 0.0
        self.quota = Quota(parsed, jitter=jitter, now=0.0)
        self.scheduler: Scheduler[Ticket] = Scheduler(self.quota)
        self.owners: dict[str, int] = {}
        self.names: dict[int, str] = {}
        self.classes: dict[str, TrafficClass] = {}
        self.grants: list[Grant] = []
        self.expired: list[Ticket] = []
        self.idle_rounds = 0
        self._latency = latency
        self._writing = writing
        self._granted = self._answer_later if granted is None else granted
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._permission_at = NEVER
        for one in classes:
            self.set_class(one)

    def set_class(self, one: TrafficClass) -> None:
        """Add a class or change it."""
        owner = self.quota.set_class(one)
        self.scheduler.set_class(owner, concurrency=one.concurrency, share=one.share)
        self.owners[one.name], self.names[owner] = owner, one.name
        self.classes[one.name] = one

    def submit(
        self, name: str, *, tokens: int = 0, priority: int | None = None, deadline: float = NEVER
    ) -> Ticket:
        """Queue one request now."""
        urgency = self.classes[name].priority if priority is None else priority
        ticket = Ticket(name, owner=self.owners[name], priority=urgency, tokens=tokens)
        ticket.deadline = deadline
        self.scheduler.submit(ticket, self.now)
        return ticket

    def at(self, moment: float, deed: Callable[[], object]) -> None:
        """Do something at a later moment of `run`."""
        self._count += 1
        heappush(self._events, (tick(moment), self._count, deed))

    def backlog(self, name: str, *, waiting: int = 40, tokens: int = 0) -> None:
        """Keep a class's queue at `waiting` requests from now on."""

        def refill() -> None:
            while self.scheduler.waiting(self.owners[name]) < waiting:
                self.submit(name, tokens=tokens)
            self.at(self.now + 8 * TICK, refill)

        refill()

    def answer(self, ticket: Ticket, actual: int = 0) -> None:
        """An attempt has ended and used `actual` tokens."""
        self.quota.settle(ticket.owner, reserved=ticket.tokens, actual=actual, now=self.now)
        self.scheduler.leave(ticket)

    def _answer_later(self, grant: Grant) -> None:
        ticket = grant.ticket
        self.at(self.now + self._latency, lambda: self.answer(ticket, ticket.tokens))

    def round(self, *, most: int = 128) -> Round[Ticket]:
        """One round now."""
        permitted = self._permission_at <= self.now
        result = self.scheduler.round(self.now, most=most, paced=permitted)
        self.expired += result.expired
        if permitted and not result.credit:
            self._permission_at = NEVER
        elif result.pace is not None and self._permission_at == NEVER:
            self._permission_at = tick(self.now + 1 / result.pace)
        self._release(result.grants)
        for ticket in result.grants:
            grant = Grant(self.now, self.names[ticket.owner], ticket)
            self.grants.append(grant)
            self._granted(grant)
        return result

    def _release(self, tickets: Sequence[Ticket]) -> None:
        """Written down first, they go a little later than was decided."""
        decided = self.now
        self.now += tick(self._writing()) if tickets else 0.0
        if self.now > decided:
            owners = [ticket.owner for ticket in tickets]
            self.quota.restamp(owners, self.now)

    def run(self, until: float) -> None:
        """Decide and let time pass, up to a moment."""
        while True:
            while self._events and self._events[0][0] <= self.now:
                heappop(self._events)[2]()
            result = self.round()
            if result.grants:
                continue
            if result.until <= self.now:
                self.idle_rounds += 1
            upcoming = self._events[0][0] if self._events else NEVER
            permission = self._permission_at if self._permission_at > self.now else NEVER
            moment = min(result.until, upcoming, permission, until)
            self.now = max(tick(max(moment, self.now)), self.now + TICK)
            if self.now >= until:
                self.now = until
                return

    def window(self, index: int = 0) -> WindowSnapshot:
        """A window now."""
        return self.quota.snapshot(self.now).windows[index]

    def times(self, name: str, since: float = 0.0) -> list[float]:
        """When a class was granted something."""
        return [grant.at for grant in self.grants if grant.name == name and grant.at >= since]
