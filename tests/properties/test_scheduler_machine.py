"""The scheduler against a model that is too simple to be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisor.scheduler.scheduler import Scheduler
from supervisor.scheduler.ticket import Ticket
from tests.scheduler.gates import NEVER, Closed, OpenGate

CLASSES = 3
OWNERS = st.integers(0, CLASSES - 1)
PICK = st.integers(0, 10**6)


@dataclass(slots=True)
class Item:
    """What the model knows of a ticket."""

    ticket: Ticket
    state: Literal["waiting", "delayed", "flying", "gone"] = "waiting"
    not_before: float = 0.0


class SchedulerMachine(RuleBasedStateMachine):
    """Submits, grants, retries and cancels at random; the model says what each round must do."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = OpenGate()
        self.scheduler: Scheduler[Ticket] = Scheduler(self.gate)
        self.now = 0.0
        self.items: list[Item] = []
        self.concurrency = [NEVER] * CLASSES
        for owner in range(CLASSES):
            self.scheduler.set_class(owner, concurrency=None, share=0.1 * owner)

    def those(self, *states: str) -> list[Item]:
        return [item for item in self.items if item.state in states]

    def flying(self, owner: int) -> int:
        return sum(item.ticket.owner == owner for item in self.those("flying"))

    # -- what happens ------------------------------------------------------------------------------

    @rule(
        owner=OWNERS, priority=st.sampled_from([0, 40, 80]), patience=st.none() | st.integers(0, 9)
    )
    def submit(self, owner: int, priority: int, patience: int | None) -> None:
        ticket = Ticket(str(len(self.items)), owner=owner, priority=priority)
        ticket.deadline = NEVER if patience is None else self.now + patience
        self.scheduler.submit(ticket, self.now)
        self.items.append(Item(ticket))

    @precondition(lambda self: self.those("waiting", "delayed", "flying"))
    @rule(pick=PICK)
    def leave(self, pick: int) -> None:
        living = self.those("waiting", "delayed", "flying")
        item = living[pick % len(living)]
        self.scheduler.leave(item.ticket)
        item.state = "gone"

    # A retry after the deadline is left out: test_a_retry_after_the_deadline_expires knows why.
    @precondition(lambda self: self.may_retry())
    @rule(pick=PICK, delay=st.integers(0, 5))
    def retry(self, pick: int, delay: int) -> None:
        flying = self.may_retry()
        item = flying[pick % len(flying)]
        item.not_before = self.now + delay
        self.scheduler.retry(item.ticket, now=self.now, not_before=item.not_before)
        item.state = "delayed" if delay else "waiting"

    @precondition(lambda self: self.those("waiting", "delayed", "flying"))
    @rule(pick=PICK, delay=st.integers(0, 5))
    def hasten(self, pick: int, delay: int) -> None:
        living = self.those("waiting", "delayed", "flying")
        item, moment = living[pick % len(living)], self.now + delay
        self.scheduler.hasten(item.ticket, not_before=moment, now=self.now)
        if item.state == "delayed" and moment < item.not_before:
            item.not_before = moment
            item.state = "delayed" if delay else "waiting"

    def may_retry(self) -> list[Item]:
        return [item for item in self.those("flying") if item.ticket.deadline > self.now]

    @rule(owner=OWNERS, concurrency=st.none() | st.integers(1, 3))
    def change(self, owner: int, concurrency: int | None) -> None:
        self.scheduler.set_class(owner, concurrency=concurrency, share=0.1 * owner)
        self.concurrency[owner] = NEVER if concurrency is None else concurrency

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(allowance=st.integers(0, 4), shut=st.sets(OWNERS, max_size=2))
    def round(self, allowance: int, shut: set[int]) -> None:
        self.gate.allowance = allowance
        self.gate.shut = {owner: Closed() for owner in shut}
        result = self.scheduler.round(self.now, most=100, paced=False)
        self.check_expired(result.expired)
        for item in self.those("delayed"):
            if item.not_before <= self.now:
                item.state = "waiting"
        for ticket in result.grants:
            self.check_grant(ticket, shut)
        assert len(result.grants) <= allowance
        if len(result.grants) < allowance:
            assert not self.eligible(shut), "somebody who may go was left behind"
        timers = [item.not_before for item in self.those("delayed")]
        timers += [item.ticket.deadline for item in self.those("waiting", "delayed")]
        assert result.until <= min(timers, default=NEVER)

    # -- what must be so ---------------------------------------------------------------------------

    def check_expired(self, expired: list[Ticket]) -> None:
        due = [i for i in self.those("waiting", "delayed") if i.ticket.deadline <= self.now]
        assert {id(ticket) for ticket in expired} == {id(item.ticket) for item in due}
        assert len(expired) == len(due)
        for item in due:
            item.state = "gone"

    def eligible(self, shut: set[int]) -> list[Item]:
        return [
            item
            for item in self.those("waiting")
            if item.ticket.owner not in shut
            and self.flying(item.ticket.owner) < self.concurrency[item.ticket.owner]
        ]

    def check_grant(self, ticket: Ticket, shut: set[int]) -> None:
        """It may go; nobody more urgent could have gone; nobody of its class and age before it."""
        able = self.eligible(shut)
        item = next(one for one in able if one.ticket is ticket)
        assert ticket.priority == min(one.ticket.priority for one in able)
        lane = (ticket.owner, ticket.priority)
        equal = [one.ticket for one in able if (one.ticket.owner, one.ticket.priority) == lane]
        assert ticket.age == min(one.age for one in equal)
        item.state = "flying"

    @invariant()
    def the_counts_are_true(self) -> None:
        for owner in range(CLASSES):
            mine = [item.state for item in self.items if item.ticket.owner == owner]
            waiting = mine.count("waiting")
            assert self.scheduler.waiting(owner) == waiting + mine.count("delayed")
            assert self.scheduler.in_flight(owner) == mine.count("flying")
            assert self.gate.waiting[owner] == waiting


TestScheduler = pytest.mark.slow(SchedulerMachine.TestCase)
TestScheduler.settings = settings(max_examples=40, stateful_step_count=40)
TestScheduler.__doc__ = "Order, bounds, deadlines and counts hold, whatever happens."
