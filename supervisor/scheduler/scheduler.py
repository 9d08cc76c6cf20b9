"""Who goes next? Strict priority over lanes, fair among equals, first come first served within.

The scheduler decides late: it is asked only when something may go, and then takes the best
waiting request. It knows neither clock nor network; `Gate` answers whether a class may go now.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

from supervisor.scheduler.gate import Gate, Obstructed, Toll
from supervisor.scheduler.lane import Lane
from supervisor.scheduler.ticket import Ticket, TicketState

T = TypeVar("T", bound=Ticket)

_NEVER = float("inf")
_LEAST_WEIGHT = 0.01
_LOWEST = 100
"""Below every priority."""


@dataclass(slots=True)
class ClassQueue:
    """What is bounded for each class.

    Attributes:
        concurrency: Most attempts in flight; infinity for no bound.
        in_flight: Attempts in flight.
        waiting: Tickets waiting or delayed.
        weight: Part among classes of the same priority.
    """

    concurrency: float = _NEVER
    in_flight: int = 0
    waiting: int = 0
    weight: float = _LEAST_WEIGHT


@dataclass(slots=True)
class Round(Generic[T]):
    """What one round of decisions came to.

    Attributes:
        grants: Tickets that go now, in this order.
        expired: Tickets given up because their deadline has passed.
        pace: Grants per second at which the next one may go, when only the pacer is in the way.
        until: Monotonic seconds at which to look again, unless something happens before.
        allowance: Most grants there could be.
        credit: The pacer's permission has not been used.
        reserves: (priority, class) of the reserves still to be filled.
        told_to_wait: Classes that need the pacer's permission.
    """

    grants: list[T]
    expired: list[T]
    pace: float | None = None
    until: float = _NEVER
    allowance: float = _NEVER
    credit: bool = False
    reserves: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    told_to_wait: set[int] = field(default_factory=set[int])


@dataclass(frozen=True, slots=True)
class Place:
    """Who goes before a ticket, in requests.

    Attributes:
        own: Of its own class.
        equal: Of other classes of the same priority.
        urgent: Of more urgent priorities.
    """

    own: int
    equal: int
    urgent: int

    @property
    def ahead(self) -> int:
        """All of them."""
        return self.own + self.equal + self.urgent


class Scheduler(Generic[T]):
    """All that waits.

    Args:
        gate: Who knows the quota.
        toll: Who knows prices; None where nothing has one.
    """

    def __init__(self, gate: Gate, toll: Toll[T] | None = None) -> None:
        self._gate = gate
        self._toll = toll
        self._levels: dict[int, dict[int, Lane[T]]] = {}
        self._order: list[int] = []
        self._virtual: dict[int, float] = {}
        self._classes: dict[int, ClassQueue] = {}
        self._delayed: list[tuple[float, int, int, T]] = []
        self._delays = 0
        self._deadlines: list[list[Any]] = []
        self._next_age = 0

    # -- classes ------------------------------------------------------------------------------

    def set_class(self, owner: int, *, concurrency: int | None, share: float) -> None:
        """Add a class or change its bounds."""
        queue = self._classes.setdefault(owner, ClassQueue())
        queue.concurrency = _NEVER if concurrency is None else concurrency
        queue.weight = max(share, _LEAST_WEIGHT)
        for level in self._levels.values():
            if owner in level:
                level[owner].weight = queue.weight

    def waiting(self, owner: int) -> int:
        """Tickets of a class that wait or are delayed."""
        return self._classes[owner].waiting

    def in_flight(self, owner: int) -> int:
        """Attempts of a class in flight."""
        return self._classes[owner].in_flight

    def is_busy(self, owner: int) -> bool:
        """Whether a class has as many attempts in flight as it may."""
        queue = self._classes[owner]
        return queue.in_flight >= queue.concurrency

    # -- tickets --------------------------------------------------------------------------------

    def submit(self, ticket: T, now: float) -> None:
        """Queue a new ticket."""
        ticket.age = self._next_age
        self._next_age += 1
        ticket.since = now
        self._classes[ticket.owner].waiting += 1
        if ticket.deadline < _NEVER:
            ticket.timer = [ticket.deadline, ticket.age, ticket]
            heappush(self._deadlines, ticket.timer)
        self._queue(ticket)

    def retry(self, ticket: T, *, now: float, not_before: float, behind: bool = False) -> None:
        """Queue a granted ticket again; it goes no sooner than `not_before`.

        Args:
            ticket: One that was granted.
            now: Monotonic seconds.
            not_before: Monotonic seconds.
            behind: It takes the last place; else it keeps its age.
        """
        self._released(ticket)
        if behind:
            ticket.age = self._next_age
            self._next_age += 1
        self._classes[ticket.owner].waiting += 1
        ticket.since = now
        if ticket.deadline < _NEVER and ticket.timer is None:
            # It passed while the attempt was under way.
            ticket.timer = [ticket.deadline, ticket.age, ticket]
            heappush(self._deadlines, ticket.timer)
        ticket.first_at = _NEVER
        if not_before > now:
            ticket.state = TicketState.DELAYED
            ticket.not_before = not_before
            self._delay(ticket)
        else:
            self._queue(ticket)

    def hasten(self, ticket: T, *, not_before: float, now: float) -> None:
        """Let a delayed ticket go sooner; one that is not delayed, or not for so long, stays.

        Args:
            ticket: The ticket.
            not_before: Monotonic seconds.
            now: Monotonic seconds.
        """
        if ticket.state is not TicketState.DELAYED or not_before >= ticket.not_before:
            return
        ticket.not_before = not_before
        if not_before > now:
            self._delay(ticket)
        else:
            self._queue(ticket)

    def leave(self, ticket: T) -> None:
        """Take a ticket out, wherever it is: answered, failed, cancelled or given up."""
        state, ticket.state = ticket.state, TicketState.LEFT
        if ticket.timer is not None:
            # The heap keeps the empty timer until its time; the ticket must not stay with it.
            ticket.timer[2] = None
            ticket.timer = None
        if state is TicketState.GRANTED:
            self._released(ticket)
        elif state in {TicketState.WAITING, TicketState.DELAYED}:
            self._classes[ticket.owner].waiting -= 1
            if self._toll is not None:
                self._toll.ended(ticket)
            if state is TicketState.WAITING:
                self._levels[ticket.priority][ticket.owner].discard()
                self._gate.left(ticket.owner)

    def _queue(self, ticket: T) -> None:
        ticket.state = TicketState.WAITING
        level = self._levels.get(ticket.priority)
        if level is None:
            level = self._levels[ticket.priority] = {}
            self._virtual[ticket.priority] = 0.0
            insort(self._order, ticket.priority)
        lane = level.get(ticket.owner)
        if lane is None:
            lane = level[ticket.owner] = Lane(ticket.owner, self._classes[ticket.owner].weight)
        if not lane.waiting:
            lane.virtual = max(lane.virtual, self._virtual[ticket.priority])
        lane.push(ticket)
        self._gate.arrived(ticket.owner)

    def _delay(self, ticket: T) -> None:
        # One that was hastened stands there twice: numbers are compared, and never tickets.
        self._delays += 1
        heappush(self._delayed, (ticket.not_before, ticket.age, self._delays, ticket))

    def _released(self, ticket: T) -> None:
        self._classes[ticket.owner].in_flight -= 1
        if self._toll is not None:
            self._toll.ended(ticket)

    # -- a round ----------------------------------------------------------------------------------

    def round(self, now: float, *, most: int, paced: bool) -> Round[T]:
        """Decide who goes now.

        Args:
            now: Monotonic seconds.
            most: Most grants in this round.
            paced: Whether the pacer has let one through.
        """
        expired = self._expire(now)
        self._wake(now)
        allowance = min(self._gate.open(now), most)
        reserves = deque(self._gate.by_priority())
        result: Round[T] = Round([], expired, allowance=allowance, credit=paced, reserves=reserves)
        self._serve_overdue(result, now)
        for priority in self._order:
            lanes = [lane for lane in self._levels[priority].values() if lane.waiting]
            if lanes and not self._serve(priority, lanes, result=result, now=now):
                until = now if len(result.grants) >= most else self._gate.closed(now).until
                result.until = min(result.until, until)
                break
        else:
            self._fill_reserves(result, _LOWEST)
        result.until = min(result.until, self._next_timer())
        return result

    def _serve_overdue(self, result: Round[T], now: float) -> None:
        """Where permissions are short and not room, shares are kept here: one grant each."""
        for owner in self._gate.overdue():
            for priority, lane in self.lanes():
                ticket = lane.first() if lane.owner == owner else None
                if ticket is None or len(result.grants) >= result.allowance:
                    continue
                if self._may_go(ticket, result, now):
                    self._take(priority, lane, result=result, now=now)
                break

    def _take(self, priority: int, lane: Lane[T], *, result: Round[T], now: float) -> None:
        """Grant the first ticket of a lane."""
        ticket = lane.pop()
        self._virtual[priority] = max(self._virtual[priority], lane.virtual)
        lane.virtual += 1.0 / lane.weight
        self._grant(ticket, now)
        result.grants.append(ticket)

    def _serve(self, priority: int, lanes: list[Lane[T]], *, result: Round[T], now: float) -> bool:
        """Serve the classes of one priority in turn until none of them may go on.

        Returns:
            Whether there may be more grants in this round.
        """
        while lanes:
            if len(result.grants) >= result.allowance:
                return False
            lane = lanes[0] if len(lanes) == 1 else min(lanes, key=lambda one: one.virtual)
            ticket = lane.first()
            if ticket is None or not self._may_go(ticket, result, now):
                lanes.remove(lane)
                continue
            self._take(priority, lane, result=result, now=now)
            if not lane.waiting:
                lanes.remove(lane)
        return True

    def _may_go(self, ticket: T, result: Round[T], now: float) -> bool:
        queue = self._classes[ticket.owner]
        if queue.in_flight >= queue.concurrency:
            return False
        pace = self._gate.pace(ticket.owner, priority=ticket.priority)
        if pace is not None:
            # What fits goes before the reserves are filled, what does not fit goes after.
            self._fill_reserves(result, ticket.priority)
            pace = self._gate.pace(ticket.owner, priority=ticket.priority)
        block = None if self._toll is None else self._toll.blocked(ticket)
        block = block or self._gate.blocked(
            ticket.owner,
            ticket.tokens,
            now,
            priority=ticket.priority,
            first_at=ticket.first_at,
            cost=ticket.cost,
        )
        if block is not None:
            result.until = min(result.until, block.until)
            self._wait_for_room(ticket, block, now)
            return False
        if pace is not None:
            if not result.credit:
                result.pace = result.pace or pace
                result.told_to_wait.add(ticket.owner)
                return False
            result.credit = False
        return True

    def _fill_reserves(self, result: Round[T], below: int) -> None:
        """Fill the reserves of classes more urgent than `below`, most urgent first.

        Not that of a class that is being paced: it would go round the pace by its reserve.
        """
        while result.reserves and result.reserves[0][0] < below:
            _, owner = result.reserves.popleft()
            if owner not in result.told_to_wait:
                self._gate.fill(owner)

    def _wait_for_room(self, ticket: T, block: Obstructed, now: float) -> None:
        if block.saves:
            self._gate.save()
        if block.short_of_room and not ticket.waited_for_room:
            ticket.first_at = now
            self._gate.found(ticket.owner, ticket.tokens, ready=False)

    def _grant(self, ticket: T, now: float) -> None:
        ticket.state = TicketState.GRANTED
        ticket.attempts += 1
        queue = self._classes[ticket.owner]
        queue.waiting -= 1
        queue.in_flight += 1
        if self._toll is not None:
            self._toll.took(ticket)
        self._gate.left(ticket.owner)
        self._gate.take(
            ticket.owner, ticket.tokens, now, priority=ticket.priority, cost=ticket.cost
        )
        if not ticket.waited_for_room:
            self._gate.found(ticket.owner, ticket.tokens, ready=True)

    def _expire(self, now: float) -> list[T]:
        expired: list[T] = []
        while self._deadlines and (self._deadlines[0][2] is None or self._deadlines[0][0] <= now):
            ticket: T | None = heappop(self._deadlines)[2]
            if ticket is None:
                continue
            ticket.timer = None
            if ticket.state in {TicketState.WAITING, TicketState.DELAYED}:
                self.leave(ticket)
                expired.append(ticket)
        return expired

    def _wake(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            ticket = heappop(self._delayed)[3]
            if ticket.state is TicketState.DELAYED and ticket.not_before <= now:
                self._queue(ticket)

    def _next_timer(self) -> float:
        deadline = self._deadlines[0][0] if self._deadlines else _NEVER
        return min(deadline, self._delayed[0][0] if self._delayed else _NEVER)

    # -- views ------------------------------------------------------------------------------------

    def place(self, ticket: T) -> Place:
        """Where a waiting ticket stands, if nothing more urgent comes."""
        urgent = equal = 0
        own = self._levels[ticket.priority][ticket.owner].ahead_of(ticket)
        for priority, lane in self.lanes():
            if priority < ticket.priority:
                urgent += lane.waiting
            elif priority == ticket.priority and lane.owner != ticket.owner:
                equal += min(lane.waiting, own + 1)
        return Place(own=own, equal=equal, urgent=urgent)

    def first(self, owner: int) -> T | None:
        """The ticket of a class that goes next; None when none waits."""
        for _, lane in self.lanes():
            if lane.owner == owner:
                return lane.first()
        delayed = [
            entry
            for entry in self._delayed
            if entry[3].owner == owner and entry[3].state is TicketState.DELAYED
        ]
        return min(delayed)[3] if delayed else None

    def lanes(self) -> Iterator[tuple[int, Lane[T]]]:
        """(priority, lane) of everything that waits, in the order of service."""
        for priority in self._order:
            for lane in self._levels[priority].values():
                if lane.waiting:
                    yield priority, lane
