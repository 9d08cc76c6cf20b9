"""A gate that answers as the test says, so that the scheduler is tried without any quota."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from supervisor.scheduler.scheduler import Scheduler
from supervisor.scheduler.ticket import Ticket

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Closed:
    """An answer of the gate: not now."""

    until: float = NEVER
    saves: bool = False
    short_of_room: bool = False


class OpenGate:
    """Lets everything through but what it is told to keep.

    Attributes:
        allowance: Most grants in a round.
        closed_until: When to look again once the allowance is used up.
        shut: Classes that may not go, and why.
        paced: Classes that need the pacer's permission, and their rates.
        shares: (priority, class) of those with a share.
        waiting: Requests of each class that want to go, by the gate's own count.
        taken: (class, tokens, priority) of each grant.
        behind: Classes that have had less than their share, where a bucket is short.
        first_at: For each class, since when the ticket that was asked about stands first.
        filled: Reserves that were filled in the last round.
        found_ready: For each class, whether its requests found room.
        saved: Times that room was saved.
    """

    def __init__(self) -> None:
        self.allowance = NEVER
        self.closed_until = NEVER
        self.shut: dict[int, Closed] = {}
        self.paced: dict[int, float] = {}
        self.shares: list[tuple[int, int]] = []
        self.waiting: Counter[int] = Counter()
        self.taken: list[tuple[int, int, int]] = []
        self.behind: list[int] = []
        self.first_at: dict[int, float] = {}
        self.filled: list[int] = []
        self.found_ready: list[tuple[int, bool]] = []
        self.saved = 0

    def open(self, now: float) -> float:
        self.filled = []
        return self.allowance

    def closed(self, now: float) -> Closed:
        return Closed(self.closed_until)

    def blocked(
        self, owner: int, tokens: int, now: float, *, priority: int, first_at: float, cost: int
    ) -> Closed | None:
        self.first_at[owner] = first_at
        return self.shut.get(owner)

    def overdue(self) -> Sequence[int]:
        return self.behind

    def pace(self, owner: int, *, priority: int) -> float | None:
        return self.paced.get(owner)

    def take(self, owner: int, tokens: int, now: float, *, priority: int, cost: int) -> None:
        self.taken.append((owner, tokens, priority))

    def fill(self, owner: int) -> None:
        self.filled.append(owner)

    def save(self) -> None:
        self.saved += 1

    def found(self, owner: int, tokens: int, *, ready: bool) -> None:
        self.found_ready.append((owner, ready))

    def by_priority(self) -> Iterable[tuple[int, int]]:
        return self.shares

    def arrived(self, owner: int) -> None:
        self.waiting[owner] += 1

    def left(self, owner: int) -> None:
        self.waiting[owner] -= 1


class Queue:
    """A scheduler behind an open gate; classes are numbered from 0 and have no bounds.

    Args:
        shares: Share of each class.
    """

    def __init__(self, *shares: float) -> None:
        self.gate = OpenGate()
        self.scheduler: Scheduler[Ticket] = Scheduler(self.gate)
        for owner, share in enumerate(shares or (0.0,)):
            self.scheduler.set_class(owner, concurrency=None, share=share)

    def submit(
        self, owner: int = 0, *, priority: int = 40, deadline: float = NEVER, now: float = 0.0
    ) -> Ticket:
        """Queue a new ticket."""
        ticket = Ticket("request", owner=owner, priority=priority)
        ticket.deadline = deadline
        self.scheduler.submit(ticket, now)
        return ticket

    def grant(self, now: float = 0.0, *, most: int = 1_000, paced: bool = False) -> list[Ticket]:
        """The grants of one round."""
        return self.scheduler.round(now, most=most, paced=paced).grants

    def serve(self, rounds: int, *, refill: Iterable[int] = ()) -> list[int]:
        """The classes that are served, one grant a round, answers at once, queues never empty."""
        served: list[int] = []
        classes = tuple(refill)
        for _ in range(rounds):
            for owner in classes:
                if not self.scheduler.waiting(owner):
                    self.submit(owner)
            for ticket in self.grant(most=1):
                self.scheduler.leave(ticket)
                served.append(ticket.owner)
        return served
