"""Who goes next: order, deadlines, retries, cancellation, bounds."""

from __future__ import annotations

import gc
import weakref

import pytest

from supervisor.scheduler.scheduler import Place, Scheduler
from supervisor.scheduler.ticket import Ticket, TicketState
from tests.scheduler.gates import NEVER, Closed, OpenGate, Queue


def test_first_come_first_served_within_a_class() -> None:
    """Tickets of one class and priority go in the order in which they came."""
    queue = Queue()
    tickets = [queue.submit() for _ in range(5)]
    assert queue.grant(most=2) + queue.grant() == tickets


def test_the_more_urgent_go_first() -> None:
    """No ticket goes while a more urgent one may."""
    queue = Queue(0.0, 0.0, 0.0)
    low, high, middle = queue.submit(0, priority=80), queue.submit(1, priority=0), queue.submit(2)
    assert queue.grant() == [high, middle, low]


def test_a_ticket_may_inherit_a_more_urgent_priority() -> None:
    """A ticket is served at its own priority, not at its class's."""
    queue = Queue(0.0)
    ordinary, delegated = queue.submit(priority=80), queue.submit(priority=20)
    assert queue.grant() == [delegated, ordinary]


def test_it_decides_late() -> None:
    """A more urgent request that comes before room opens goes before those that waited for it."""
    queue = Queue(0.0, 0.0)
    queue.gate.allowance = 0
    low = queue.submit(0, priority=80)
    assert queue.grant(1.0) == []
    high = queue.submit(1, priority=20, now=2.0)
    queue.gate.allowance = 1
    assert queue.grant(3.0) == [high]
    assert queue.grant(4.0) == [low]


def test_a_blocked_class_does_not_hold_up_others() -> None:
    """What may not go is passed by what may, even when that is less urgent."""
    queue = Queue(0.0, 0.0)
    queue.gate.shut[0] = Closed(until=9.0)
    blocked, free = queue.submit(0, priority=0), queue.submit(1, priority=80)
    result = queue.scheduler.round(0.0, most=10, paced=False)
    assert result.grants == [free]
    assert result.until == 9.0
    assert blocked.state is TicketState.WAITING


# -- retries ---------------------------------------------------------------------------------------


def test_a_retry_keeps_its_age_and_its_place() -> None:
    """A ticket that is tried again goes before all of its class that came later."""
    queue = Queue()
    tickets = [queue.submit() for _ in range(4)]
    first = queue.grant(most=2)
    for ticket in reversed(first):
        queue.scheduler.retry(ticket, now=1.0, not_before=1.0)
    assert queue.grant(1.0) == tickets
    assert [ticket.attempts for ticket in tickets] == [2, 2, 1, 1]


def test_a_retry_never_goes_too_soon() -> None:
    """A delayed ticket goes at its moment, not before, and the round says when that is."""
    queue = Queue()
    (ticket,) = [queue.submit()]
    queue.grant()
    queue.scheduler.retry(ticket, now=1.0, not_before=5.0)
    early = queue.scheduler.round(4.9, most=1, paced=False)
    assert (early.grants, early.until) == ([], 5.0)
    assert ticket.state is TicketState.DELAYED
    assert queue.grant(5.0) == [ticket]


def test_a_delayed_retry_wants_nothing_yet() -> None:
    """While a retry is delayed its class has it waiting, but does not demand room for it."""
    queue = Queue()
    ticket = queue.submit()
    queue.grant()
    queue.scheduler.retry(ticket, now=0.0, not_before=5.0)
    assert (queue.scheduler.waiting(0), queue.gate.waiting[0]) == (1, 0)
    queue.gate.allowance = 0
    queue.grant(5.0)
    assert (queue.scheduler.waiting(0), queue.gate.waiting[0]) == (1, 1)


# -- leaving ---------------------------------------------------------------------------------------


def test_a_cancelled_ticket_is_never_granted_and_costs_nothing() -> None:
    """Who leaves the queue takes no quota and frees its place at once."""
    queue = Queue()
    kept, cancelled = queue.submit(), queue.submit()
    queue.scheduler.leave(cancelled)
    assert queue.scheduler.waiting(0) == 1
    assert queue.grant() == [kept]
    assert len(queue.gate.taken) == 1
    assert queue.gate.waiting[0] == 0


def test_a_delayed_ticket_can_be_cancelled() -> None:
    """A retry that is cancelled while it is delayed never comes back."""
    queue = Queue()
    ticket = queue.submit()
    queue.grant()
    queue.scheduler.retry(ticket, now=0.0, not_before=5.0)
    queue.scheduler.leave(ticket)
    assert queue.grant(6.0) == []
    assert (queue.scheduler.waiting(0), queue.scheduler.in_flight(0)) == (0, 0)


@pytest.mark.parametrize("granted", [False, True])
def test_leaving_twice_is_leaving_once(granted: bool) -> None:  # noqa: FBT001  (parametrised)
    """A ticket may be taken out any number of times, wherever it is."""
    queue = Queue()
    ticket = queue.submit()
    if granted:
        queue.grant()
    queue.scheduler.leave(ticket)
    queue.scheduler.leave(ticket)
    assert (queue.scheduler.waiting(0), queue.scheduler.in_flight(0)) == (0, 0)


# -- deadlines -------------------------------------------------------------------------------------


def test_nothing_goes_at_its_deadline_or_after_it() -> None:
    """A ticket whose deadline has come is reported as expired, once, and never granted."""
    queue = Queue()
    ticket = queue.submit(deadline=5.0)
    late = queue.scheduler.round(5.0, most=1, paced=False)
    assert (late.grants, late.expired) == ([], [ticket])
    assert ticket.state is TicketState.LEFT
    after = queue.scheduler.round(6.0, most=1, paced=False)
    assert (after.grants, after.expired) == ([], [])


def test_just_before_its_deadline_it_may_go() -> None:
    """A deadline costs nothing before it has come."""
    queue = Queue()
    ticket = queue.submit(deadline=5.0)
    assert queue.grant(4.999) == [ticket]


def test_the_round_says_when_a_deadline_comes() -> None:
    """Whoever waits for a round's `until` learns of an expiry at its moment."""
    queue = Queue()
    queue.gate.allowance = 0
    queue.submit(deadline=5.0)
    assert queue.scheduler.round(0.0, most=1, paced=False).until == 5.0


def test_what_is_in_flight_does_not_expire() -> None:
    """A deadline concerns sending, not answering."""
    queue = Queue()
    ticket = queue.submit(deadline=5.0)
    queue.grant()
    assert queue.scheduler.round(6.0, most=1, paced=False).expired == []
    assert queue.scheduler.in_flight(0) == 1
    assert ticket.state is TicketState.GRANTED


def test_a_delayed_retry_expires() -> None:
    """A retry whose deadline comes before its delay has passed is given up at the deadline."""
    queue = Queue()
    ticket = queue.submit(deadline=5.0)
    queue.grant()
    queue.scheduler.retry(ticket, now=1.0, not_before=9.0)
    assert queue.scheduler.round(5.0, most=1, paced=False).expired == [ticket]
    assert queue.grant(9.0) == []


def test_a_retry_after_the_deadline_expires() -> None:
    """A ticket whose deadline passed while it was in flight is not sent again."""
    queue = Queue()
    ticket = queue.submit(deadline=10.0)
    queue.grant(1.0)
    queue.grant(11.0)
    queue.scheduler.retry(ticket, now=12.0, not_before=13.0)
    result = queue.scheduler.round(13.0, most=1, paced=False)
    assert (result.grants, result.expired) == ([], [ticket])


class Parcel(Ticket):
    """A ticket that can be watched."""


def answered(scheduler: Scheduler[Parcel]) -> list[weakref.ref[Parcel]]:
    """A thousand parcels that came with a deadline in an hour, went, and were answered."""
    watched: list[weakref.ref[Parcel]] = []
    for _ in range(1_000):
        parcel = Parcel("request", owner=0, priority=40)
        parcel.deadline = 3_600.0
        scheduler.submit(parcel, 0.0)
        watched.append(weakref.ref(parcel))
    for parcel in scheduler.round(0.0, most=1_000, paced=False).grants:
        scheduler.leave(parcel)
    return watched


def test_an_answered_request_is_not_kept_until_its_deadline() -> None:
    """What has left holds no memory: with long deadlines that would be every body of an hour."""
    scheduler: Scheduler[Parcel] = Scheduler(OpenGate())
    scheduler.set_class(0, concurrency=None, share=0.0)
    watched = answered(scheduler)
    scheduler.round(1.0, most=1, paced=False)
    gc.collect()
    assert sum(one() is not None for one in watched) == 0


# -- bounds ----------------------------------------------------------------------------------------


def test_concurrency_is_kept_over_rounds_and_priorities() -> None:
    """A class has at most so many attempts in flight, whatever priorities its tickets have."""
    queue = Queue()
    queue.scheduler.set_class(0, concurrency=2, share=0.0)
    tickets = [queue.submit(priority=priority) for priority in (80, 40, 0)]
    assert queue.grant() == [tickets[2], tickets[1]]
    assert queue.scheduler.is_busy(0)
    assert queue.grant() == []
    queue.scheduler.leave(tickets[2])
    assert queue.grant() == [tickets[0]]


def test_a_waiting_retry_is_not_in_flight() -> None:
    """A retry gives its slot back while it waits."""
    queue = Queue()
    queue.scheduler.set_class(0, concurrency=1, share=0.0)
    first, second = queue.submit(), queue.submit()
    assert queue.grant() == [first]
    queue.scheduler.retry(first, now=0.0, not_before=5.0)
    assert queue.grant(1.0) == [second]


def test_a_bound_can_be_changed() -> None:
    """A changed concurrency holds from the next round on and keeps what is in flight."""
    queue = Queue()
    queue.scheduler.set_class(0, concurrency=1, share=0.0)
    queue.submit()
    queue.submit()
    assert len(queue.grant()) == 1
    queue.scheduler.set_class(0, concurrency=None, share=0.0)
    assert len(queue.grant()) == 1
    assert queue.scheduler.in_flight(0) == 2


def test_a_batch_is_bounded_and_the_rest_follows_at_once() -> None:
    """A round grants at most `most` and asks to be called again at once when more may go."""
    queue = Queue()
    for _ in range(5):
        queue.submit()
    result = queue.scheduler.round(7.0, most=3, paced=False)
    assert (len(result.grants), result.until) == (3, 7.0)


def test_an_exhausted_allowance_says_when_it_opens() -> None:
    """When pause or burst stop everybody, the round says when to look again."""
    queue = Queue()
    queue.gate.allowance, queue.gate.closed_until = 1, 3.0
    queue.submit()
    queue.submit()
    result = queue.scheduler.round(0.0, most=10, paced=False)
    assert (len(result.grants), result.until) == (1, 3.0)


# -- pace and reserves -----------------------------------------------------------------------------


def test_one_permission_is_one_paced_grant() -> None:
    """A paced class goes only with the pacer's permission, one request each."""
    queue = Queue()
    queue.gate.paced[0] = 0.5
    first, _ = queue.submit(), queue.submit()
    without = queue.scheduler.round(0.0, most=10, paced=False)
    assert (without.grants, without.pace) == ([], 0.5)
    given = queue.scheduler.round(0.0, most=10, paced=True)
    assert (given.grants, given.credit, given.pace) == ([first], False, 0.5)


def test_an_unused_permission_is_kept() -> None:
    """A permission that nobody needed stays for the next round."""
    queue = Queue()
    queue.submit()
    assert queue.scheduler.round(0.0, most=10, paced=True).credit


def test_reserves_are_filled_before_what_does_not_fit() -> None:
    """Unpaced work goes before reserves are filled, paced work after those above it."""
    queue = Queue(0.1, 0.1, 0.0)
    queue.gate.shares = [(20, 0), (60, 1)]
    queue.gate.paced[2] = 1.0
    queue.submit(2, priority=40)
    queue.gate.shut[2] = Closed()
    queue.grant()
    assert queue.gate.filled == [0, 1]


class KeepingGate(OpenGate):
    """A gate at which a class whose reserve is filled need not be paced, as at the real one."""

    def fill(self, owner: int) -> None:
        super().fill(owner)
        self.paced.pop(owner, None)


def test_who_waits_for_room_is_counted_once() -> None:
    """A request that found a window full teaches its reserve once, and not again when it goes."""
    queue = Queue()
    queue.submit()
    queue.gate.shut[0] = Closed(short_of_room=True, saves=True)
    queue.grant(0.0)
    queue.grant(1.0)
    del queue.gate.shut[0]
    queue.grant(2.0)
    assert queue.gate.found_ready == [(0, False)]
    assert queue.gate.saved == 2


def test_who_found_room_says_so() -> None:
    """A request that went without waiting for a window teaches its reserve that it sufficed."""
    queue = Queue()
    queue.submit()
    queue.grant()
    assert queue.gate.found_ready == [(0, True)]


# -- views -----------------------------------------------------------------------------------------


def test_a_place_counts_those_ahead() -> None:
    """A ticket's place names how many of its own, of equal and of more urgent classes go first."""
    queue = Queue(0.0, 0.0, 0.0)
    queue.submit(0)
    mine = queue.submit(0)
    for _ in range(5):
        queue.submit(1)
    for _ in range(3):
        queue.submit(2, priority=0)
    assert queue.scheduler.place(mine) == Place(own=1, equal=2, urgent=3)
    assert queue.scheduler.place(mine).ahead == 6


def test_the_first_of_a_class_is_its_most_urgent_and_oldest() -> None:
    """`first` names the ticket of a class that goes next, none when none waits."""
    queue = Queue(0.0, 0.0)
    queue.submit(0, priority=80)
    urgent = queue.submit(0, priority=20)
    assert queue.scheduler.first(0) is urgent
    assert queue.scheduler.first(1) is None


def test_a_timer_is_never_needed_when_nothing_waits() -> None:
    """An empty queue asks for nothing."""
    result = Queue().scheduler.round(0.0, most=1, paced=False)
    assert (result.grants, result.expired, result.until) == ([], [], NEVER)
