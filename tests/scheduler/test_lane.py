"""First in, first out, with places for those that come back and none for those that left."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.scheduler.lane import Lane
from supervisor.scheduler.ticket import Ticket, TicketState

DEEDS = st.lists(
    st.one_of(
        st.just(("push", 0)),
        st.just(("pop", 0)),
        st.tuples(st.sampled_from(["leave", "again"]), st.integers(0, 10**6)),
    ),
    max_size=80,
)


def ticket(age: int) -> Ticket:
    """A waiting ticket."""
    one = Ticket("request", owner=0, priority=40)
    one.age, one.state = age, TicketState.WAITING
    return one


def filled(count: int) -> tuple[Lane[Ticket], list[Ticket]]:
    """A lane and what waits in it."""
    lane: Lane[Ticket] = Lane(0, 1.0)
    tickets = [ticket(age) for age in range(count)]
    for one in tickets:
        lane.push(one)
    return lane, tickets


@settings(max_examples=60)
@given(deeds=DEEDS)
def test_it_is_a_queue_ordered_by_age(deeds: list[tuple[str, int]]) -> None:
    """Whatever comes, leaves and comes back, the first is the oldest and the places are true."""
    lane: Lane[Ticket] = Lane(0, 1.0)
    waiting: list[Ticket] = []
    popped: list[Ticket] = []
    for age, (deed, number) in enumerate(deeds):
        if deed == "push":
            waiting.append(ticket(age))
            lane.push(waiting[-1])
        elif deed == "pop" and waiting:
            popped.append(lane.pop())
            popped[-1].state, popped[-1].attempts = TicketState.GRANTED, 1
            assert popped[-1] is waiting.pop(0)
        elif deed == "leave" and waiting:
            waiting.pop(number % len(waiting)).state = TicketState.LEFT
            lane.discard()
        elif deed == "again" and popped:
            back = popped.pop(number % len(popped))
            back.state = TicketState.WAITING
            lane.push(back)
            waiting = sorted([*waiting, back], key=lambda one: one.age)
        assert lane.waiting == len(waiting)
        assert lane.first() is (waiting[0] if waiting else None)
        assert [lane.ahead_of(one) for one in waiting] == list(range(len(waiting)))


def test_tombstones_are_swept_behind_a_living_first() -> None:
    """When those who left outnumber the living, the order of the living stays."""
    lane, tickets = filled(300)
    for one in tickets[1:250]:
        one.state = TicketState.LEFT
        lane.discard()
    assert lane.waiting == 51
    order = [lane.pop() for _ in range(51)]
    assert order == [tickets[0], *tickets[250:]]
    assert lane.first() is None


def test_an_emptied_lane_begins_anew() -> None:
    """A lane that everybody left takes newcomers as if it were new."""
    lane, tickets = filled(3)
    for one in tickets:
        one.state = TicketState.LEFT
        lane.discard()
    late = ticket(9)
    lane.push(late)
    assert lane.pop() is late
