"""What the project exists for: nothing it grants ever breaks a limit at a server of its word."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.messages import TrafficClass
from supervisor.scheduler.ticket import Ticket, TicketState
from tests.properties.drive import Drive, Grant
from tests.properties.oracle import TICK, Booking, refused_by_bucket, tick, worst, worst_fixed

JITTERS = st.sampled_from([0.0, 4 * TICK, 16 * TICK])
PERIODS = st.sampled_from([0.5, 1.0, 4.0, 16.0])
SEEDS = st.integers(0, 2**32)


@st.composite
def request_limits(draw: st.DrawFn) -> tuple[Limit, ...]:
    """One to three limits on requests, some with a burst."""
    limits: list[Limit] = []
    for period in draw(st.lists(PERIODS, min_size=1, max_size=3, unique=True)):
        amount = draw(st.integers(2, 12))
        burst = draw(st.none() | st.integers(1, amount))
        limits.append(Limit(amount, "requests", period, burst))
    return tuple(limits)


@st.composite
def token_limits(draw: st.DrawFn) -> tuple[Limit, ...]:
    """Up to two limits on tokens."""
    periods = draw(st.lists(PERIODS, max_size=2, unique=True))
    return tuple(Limit(draw(st.integers(50, 400)), "tokens", period) for period in periods)


@st.composite
def teams(draw: st.DrawFn) -> tuple[TrafficClass, ...]:
    """One to four classes with every kind of bound."""
    shares = draw(st.lists(st.sampled_from([0.0, 0.1, 0.25]), min_size=1, max_size=4))
    ceilings = st.lists(
        st.sampled_from(["1 requests / 1s", "3 requests / 4s", "60 tokens / 1s"]), max_size=2
    )
    return tuple(
        TrafficClass(
            f"class{index}",
            priority=draw(st.sampled_from([0, 20, 80])),
            share=share,
            ceiling=tuple(draw(ceilings)),
            concurrency=draw(st.none() | st.integers(1, 3)),
        )
        for index, share in enumerate(shares)
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt as the server saw it; seconds."""

    grant: Grant
    arrived: float
    ended: float
    actual: int


class Server:
    """Answers after a while, and notes when each attempt really arrived and ended.

    Now and then it fails one, which is then tried again, or somebody cancels in the queue.
    """

    def __init__(self, dice: Random, jitter: float) -> None:
        self.dice = dice
        self.jitter = jitter
        self.sent: list[Sent] = []
        self.drive: Drive | None = None

    def delay(self) -> float:
        return self.dice.choice([0.0, self.jitter, tick(self.dice.random() * self.jitter)])

    def granted(self, grant: Grant) -> None:
        """Receive an attempt; called by the drive."""
        drive = self.drive
        assert drive is not None
        arrived = grant.at + self.delay()
        ended = arrived + tick(self.dice.choice([0.0, 0.1, 3.0]) * self.dice.random())
        actual = self.dice.randint(0, grant.ticket.tokens)
        self.sent.append(Sent(grant, arrived, ended, actual))
        drive.at(ended + self.delay(), lambda: self._settle(grant, actual))

    def _settle(self, grant: Grant, actual: int) -> None:
        drive, ticket = self.drive, grant.ticket
        assert drive is not None
        drive.quota.settle(ticket.owner, reserved=ticket.tokens, actual=actual, now=drive.now)
        if self.dice.random() < 0.1 and ticket.attempts < 4:
            later = drive.now + self.dice.choice([0.0, 0.5])
            drive.scheduler.retry(ticket, now=drive.now, not_before=later)
        else:
            drive.scheduler.leave(ticket)


def live(
    limits: tuple[Limit, ...], team: tuple[TrafficClass, ...], *, jitter: float, seed: int
) -> tuple[Server, Drive]:
    """Let random work run on a key for a while, as greedily as the quota allows."""
    server = Server(Random(seed), jitter)
    dice = Random(seed + 1)
    slow = dice.choice([0.0, 0.0, 0.3])
    drive = server.drive = Drive(
        limits,
        *team,
        jitter=jitter,
        granted=server.granted,
        writing=lambda: slow * dice.random(),
    )
    largest = min(100, drive.quota.largest(0) or 0)

    def cancel(ticket: Ticket) -> None:
        if ticket.state in {TicketState.WAITING, TicketState.DELAYED}:
            drive.scheduler.leave(ticket)

    for _ in range(dice.randint(5, 40)):
        name = dice.choice(team).name
        size = dice.choice([1, 1, 3, 12])
        tokens = dice.randint(0, largest)

        def arrive(name: str = name, size: int = size, tokens: int = tokens) -> None:
            tickets = [drive.submit(name, tokens=tokens) for _ in range(size)]
            if dice.random() < 0.1:
                drive.at(drive.now + 0.5, lambda: cancel(tickets[-1]))

        drive.at(dice.random() * 30.0, arrive)
    drive.run(40.0)
    return server, drive


@pytest.mark.slow
@settings(max_examples=30)
@given(limits=request_limits(), tokens=token_limits(), team=teams(), jitter=JITTERS, seed=SEEDS)
def test_no_limit_is_ever_exceeded_at_the_server(
    limits: tuple[Limit, ...],
    tokens: tuple[Limit, ...],
    team: tuple[TrafficClass, ...],
    jitter: float,
    seed: int,
) -> None:
    """Whatever comes and however late it arrives, no window and no stated burst is ever broken."""
    server, _ = live(limits + tokens, team, jitter=jitter, seed=seed)
    check([sent.arrived for sent in server.sent], limits)


def check(arrivals: list[float], limits: tuple[Limit, ...]) -> None:
    """Count as a sliding log, as fixed windows, and as token buckets where a burst is stated."""
    once: list[Booking] = [(moment, 1) for moment in arrivals]
    for limit in limits:
        assert worst(once, limit.period) <= limit.amount
        for offset in (0.0, 0.25, 7.5):
            assert worst_fixed(once, limit.period, offset) <= limit.amount
        if limit.burst is not None:
            rate = Fraction(limit.amount) / Fraction(limit.period)
            assert refused_by_bucket(arrivals, rate=rate, burst=limit.burst) == 0


@pytest.mark.slow
@settings(max_examples=30)
@given(tokens=token_limits(), team=teams(), jitter=JITTERS, seed=SEEDS)
def test_no_token_limit_is_exceeded_however_the_server_books(
    tokens: tuple[Limit, ...], team: tuple[TrafficClass, ...], jitter: float, seed: int
) -> None:
    """Tokens booked on arrival, at the end, or partly each, never exceed a limit on tokens."""
    server, _ = live(tokens, team, jitter=jitter, seed=seed)
    on_arrival = [(sent.arrived, sent.actual) for sent in server.sent]
    at_end = [(sent.ended, sent.actual) for sent in server.sent]
    partly = [(sent.arrived, sent.actual // 2) for sent in server.sent]
    partly += [(sent.ended, sent.actual - sent.actual // 2) for sent in server.sent]
    for limit in tokens:
        for bookings in (on_arrival, at_end, partly):
            assert worst(bookings, limit.period) <= limit.amount
            assert worst_fixed(bookings, limit.period, 0.25) <= limit.amount


@pytest.mark.slow
@settings(max_examples=30)
@given(limits=request_limits(), tokens=token_limits(), team=teams(), jitter=JITTERS, seed=SEEDS)
def test_no_class_exceeds_its_own_bounds(
    limits: tuple[Limit, ...],
    tokens: tuple[Limit, ...],
    team: tuple[TrafficClass, ...],
    jitter: float,
    seed: int,
) -> None:
    """A class never has more in flight than its concurrency, nor more granted than its ceilings."""
    server, drive = live(limits + tokens, team, jitter=jitter, seed=seed)
    for one in team:
        mine = [sent for sent in server.sent if sent.grant.name == one.name]
        for ceiling in map(Limit.parse, one.ceiling):
            units = [(sent.grant.at, 1 if ceiling.unit == "requests" else sent.actual)
                     for sent in mine]  # fmt: skip
            assert worst(units, ceiling.period) <= ceiling.amount
        if one.concurrency is not None:
            # Half-open, and settled no sooner than ended: what overlaps was in flight together.
            edges = [(sent.grant.at, 1) for sent in mine] + [(sent.ended, -1) for sent in mine]
            inside = most = 0
            for _, step in sorted(edges):
                inside += step
                most = max(most, inside)
            assert most <= one.concurrency
        assert drive.scheduler.in_flight(drive.owners[one.name]) >= 0


@pytest.mark.slow
@settings(max_examples=30)
@given(limits=request_limits(), team=teams(), jitter=JITTERS, seed=SEEDS)
def test_a_restart_never_has_a_fresh_burst(
    limits: tuple[Limit, ...], team: tuple[TrafficClass, ...], jitter: float, seed: int
) -> None:
    """Windows read back after a restart bound old and new attempts together."""
    server, drive = live(limits, team, jitter=jitter, seed=seed)
    again = Server(Random(seed + 2), jitter)
    successor = again.drive = Drive(limits, *team, jitter=jitter, granted=again.granted)
    successor.now = drive.now
    for grant in drive.grants:
        successor.quota.restore(successor.owners[grant.name], grant.at)
    for one in team:
        for _ in range(8):
            successor.submit(one.name)
    successor.run(drive.now + 8.0)
    check([sent.arrived for sent in server.sent + again.sent], limits)
