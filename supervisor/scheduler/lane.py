"""First in, first out: the waiting requests of one class at one priority."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from supervisor.scheduler.ticket import Ticket, TicketState

T = TypeVar("T", bound=Ticket)


class Lane(Generic[T]):
    """A FIFO queue in which a retry takes the place its age gives it.

    Fresh tickets arrive in the order of their age, so a deque holds them; the few that come back
    stand in a heap beside it. One that gives up leaves a tombstone, swept when it surfaces or
    when tombstones outnumber the living.

    Args:
        owner: Number of the class.
        weight: Its part among classes of the same priority.

    Attributes:
        waiting: Living tickets.
        virtual: Virtual time of the class for fair queueing among equals: grants / weight.
    """

    __slots__ = ("_dead", "_fresh", "_returned", "owner", "virtual", "waiting", "weight")

    def __init__(self, owner: int, weight: float) -> None:
        self.owner = owner
        self.weight = weight
        self.waiting = 0
        self.virtual = 0.0
        self._dead = 0
        self._fresh: deque[T] = deque()
        self._returned: list[tuple[int, T]] = []

    def push(self, ticket: T) -> None:
        """Queue a ticket."""
        self.waiting += 1
        fresh = self._fresh
        if (fresh and ticket.age < fresh[-1].age) or ticket.attempts:
            heappush(self._returned, (ticket.age, ticket))
        else:
            fresh.append(ticket)

    def first(self) -> T | None:
        """The oldest living ticket."""
        if not self.waiting:
            self._clear()
            return None
        fresh, returned = self._fresh, self._returned
        while fresh and fresh[0].state is not TicketState.WAITING:
            fresh.popleft()
            self._dead -= 1
        while returned and returned[0][1].state is not TicketState.WAITING:
            heappop(returned)
            self._dead -= 1
        if returned and (not fresh or returned[0][0] < fresh[0].age):
            return returned[0][1]
        return fresh[0]

    def pop(self) -> T:
        """Take the oldest living ticket out; there must be one."""
        ticket = self.first()
        assert ticket is not None
        if self._fresh and self._fresh[0] is ticket:
            self._fresh.popleft()
        else:
            heappop(self._returned)
        self.waiting -= 1
        return ticket

    def discard(self) -> None:
        """One of the waiting tickets has changed its state and no longer counts."""
        self.waiting -= 1
        self._dead += 1
        if self._dead > 64 and self._dead > self.waiting:
            self._sweep()

    def _clear(self) -> None:
        self._fresh.clear()
        self._returned.clear()
        self._dead = 0

    def _sweep(self) -> None:
        living = TicketState.WAITING
        self._fresh = deque(ticket for ticket in self._fresh if ticket.state is living)
        self._returned = [entry for entry in self._returned if entry[1].state is living]
        heapify(self._returned)
        self._dead = 0

    def ahead_of(self, ticket: T) -> int:
        """How many living tickets of this lane go before `ticket`."""
        living = TicketState.WAITING
        count = sum(
            1 for age, other in self._returned if age < ticket.age and other.state is living
        )
        for other in self._fresh:
            if other.age >= ticket.age:
                break
            count += other.state is living
        return count
