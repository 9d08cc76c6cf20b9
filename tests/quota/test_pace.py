"""The even rate of what does not fit, and who is never held to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.quota.pace import Demand, Pace
from supervisor.quota.room import Room
from supervisor.quota.window import RequestWindow

PERIOD = 100.0
NEVER = float("inf")


class CountingDemand(Demand):
    """A demand that counts how often it is worked into the rates: once a plan."""

    folds = 0

    def fold(self, elapsed: float, period: float) -> None:
        self.folds += 1
        super().fold(elapsed, period)


def rooms(amount: int = 200) -> tuple[Room, RequestWindow]:
    """A window and its room."""
    window = RequestWindow(Limit(amount, "requests", PERIOD), 0.0)
    return Room(window, 0.0), window


def urgent(*, guaranteed: bool = True) -> Demand:
    """A class at the top."""
    return Demand(0, priority=0, guaranteed=guaranteed)


def low() -> Demand:
    """A class at the bottom."""
    return Demand(1, priority=80, guaranteed=False)


def plan(pace: Pace, now: float, demands: Iterable[Demand]) -> None:
    """Plan as a round does."""
    pace.plan(now, demands, backlog=0)


# -- demand ----------------------------------------------------------------------------------------


def test_both_rates_find_a_steady_demand() -> None:
    """A class that sends two a second is known to do so, soon and in the long run."""
    demand = urgent()
    for _ in range(400):
        demand.arrived += 2
        demand.fold(1.0, PERIOD)
    assert demand.lately == pytest.approx(2.0, rel=0.01)
    assert demand.long_run == pytest.approx(2.0, rel=0.01)


def test_the_long_run_is_true_from_the_start() -> None:
    """A young average is not too low for want of history."""
    demand = urgent()
    demand.arrived = 6
    demand.fold(3.0, PERIOD)
    assert demand.long_run == pytest.approx(2.0)


def test_the_first_moments_say_little_of_the_long_run() -> None:
    """Ten requests at the start of an hour are not taken for ten every nine seconds of it."""
    demand = urgent()
    demand.arrived = 10
    demand.fold(9.0, 3600.0)
    assert demand.long_run * 3600.0 <= 520.0
    demand.fold(63.0, 3600.0)
    assert demand.long_run * 3600.0 == pytest.approx(500.0, rel=0.05)


def test_a_burst_counts_lately_and_is_forgotten_sooner() -> None:
    """Lately follows a burst within a window; the long run keeps more of it after one."""
    demand = urgent()
    for _ in range(300):
        demand.fold(1.0, PERIOD)
    demand.arrived = 50
    demand.fold(1.0, PERIOD)
    assert demand.lately > 2 * demand.long_run
    for _ in range(100):
        demand.fold(1.0, PERIOD)
    assert demand.lately < demand.long_run


# -- who is paced ----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    backlogs=st.lists(st.integers(0, 5_000), min_size=1, max_size=4),
    spent=st.integers(0, 200),
    steps=st.integers(1, 60),
)
def test_whom_nobody_more_urgent_could_miss_is_never_paced(
    backlogs: list[int], spent: int, steps: int
) -> None:
    """Without a more urgent class that has a share or ever sends, greedy is optimal."""
    room, window = rooms()
    for _ in range(spent):
        window.take(0.0, 3)
    pace = Pace(room, 0.0)
    silent = urgent(guaranteed=False)
    equals = [Demand(1 + n, priority=80, guaranteed=False) for n in range(len(backlogs))]
    for demand, backlog in zip(equals, backlogs, strict=True):
        demand.backlog = demand.arrived = backlog
    for step in range(1, steps + 1):
        room.open(step * 1.0)
        plan(pace, step * 1.0, [silent, *equals])
        assert all(pace.rate(demand.owner) is None for demand in equals)


def test_what_fits_is_not_paced() -> None:
    """A backlog that fits into the window with what is usual goes as fast as it can."""
    room, _ = rooms(200)
    pace, demands = Pace(room, 0.0), [urgent(), low()]
    demands[1].backlog = 100
    room.open(1.0)
    plan(pace, 1.0, demands)
    assert pace.rate(1) is None


def test_what_does_not_fit_is_paced_and_the_more_urgent_are_not() -> None:
    """With more waiting than the window holds, the low class gets a rate and the urgent none."""
    room, window = rooms(200)
    pace, demands = Pace(room, 0.0), [urgent(), low()]
    demands[1].backlog = 500
    for _ in range(150):
        window.take(0.0, 1)
    room.open(1.0)
    plan(pace, 1.0, demands)
    rate = pace.rate(1)
    assert rate is not None
    assert 0 < rate <= pace.fastest
    assert pace.rate(0) is None


def test_nobody_is_paced_for_whom_nobody_awaits() -> None:
    """A class that has a share, but is not awaited, holds nobody back until it asks."""
    room, _ = rooms(200)
    pace, demands = Pace(room, 0.0), [urgent(), low()]
    demands[0].awaited = False
    demands[1].backlog = 500
    room.open(1.0)
    plan(pace, 1.0, demands)
    assert pace.rate(1) is None
    demands[0].arrived = 1
    room.open(2.0)
    plan(pace, 2.0, demands)
    plan(pace, 3.0, demands)
    assert pace.rate(1) is not None


def test_what_is_reserved_is_never_paced() -> None:
    """A class that holds room of its own takes it at once."""
    room, window = rooms(200)
    room.set_share(1, 0.2, initial=40)
    demands = [urgent(), Demand(1, priority=80, guaranteed=True)]
    demands[1].backlog = 500
    pace = Pace(room, 0.0)
    room.open(1.0)
    plan(pace, 1.0, demands)
    assert pace.rate(1) is not None
    assert pace.rate_now(1) == pace.rate(1)
    room.fill(1)
    assert pace.rate_now(1) is None
    assert window.used == 0


class Looked(list[Demand]):
    """Demands that count how often they are looked through."""

    looks = 0

    def __iter__(self) -> Iterator[Demand]:
        self.looks += 1
        return super().__iter__()


def test_it_is_computed_at_most_400_times_in_a_window() -> None:
    """However often decisions are made, planning stays cheap."""
    room, _ = rooms()
    pace, demands = Pace(room, 0.0), Looked([urgent(), low()])
    now = 0.0
    dice = Random(1)
    while now < PERIOD:
        now += dice.expovariate(100.0)
        pace.plan(now, demands, backlog=0)
    assert 200 < demands.looks <= 400


def test_a_surge_is_planned_for_at_once() -> None:
    """Much more backlog than at the last plan does not wait for the next one."""
    room, _ = rooms()
    pace, demands = Pace(room, 0.0), Looked([urgent(), low()])
    pace.plan(1e-3, demands, backlog=0)
    pace.plan(2e-3, demands, backlog=10_000)
    pace.plan(3e-3, demands, backlog=10_001)
    assert demands.looks == 1


# -- the rate --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Life:
    """An endless low backlog at its pace beside urgent requests, for two windows.

    Attributes:
        urgent_every: Mean seconds between urgent requests.
        share: Of the urgent class.
        sent: Low requests sent.
        came: Urgent requests.
        missed: Urgent requests that found no room.
        longest: Most seconds from a full window to its next unit.
    """

    urgent_every: float = NEVER
    share: float = 0.0
    sent: int = 0
    came: int = 0
    missed: int = 0
    longest: float = 0.0

    def live(self, history: list[float], dice: Random) -> Life:
        """Go on from a window in which grants of these moments are spent already."""
        room, window = rooms(200)
        for moment in sorted(history):
            window.take(moment, 1)
        room.set_share(0, self.share, initial=20)
        top, bottom = urgent(), low()
        pace, credit, due = Pace(room, 0.0), 0.0, self.interval(dice)
        for number in range(1, 801):
            now = number * PERIOD / 400
            room.open(now)
            bottom.backlog = 10_000
            plan(pace, now, [top, bottom])
            room.fill(0)
            while due <= now:
                top.arrived += 1
                due += self.interval(dice)
                self.came += 1
                self.missed += not self.take(room, now, 0)
            rate = pace.rate(1)
            assert rate is not None
            assert rate <= pace.fastest
            credit = min(1.0, credit + rate * PERIOD / 400)
            if credit >= 1.0 and self.take(room, now, 1):
                credit -= 1.0
                self.sent += 1
            if window.used == window.amount:
                self.longest = max(self.longest, window.returns_at(1) - now)
        return self

    def interval(self, dice: Random) -> float:
        return NEVER if self.urgent_every == NEVER else dice.expovariate(1 / self.urgent_every)

    def take(self, room: Room, now: float, owner: int) -> bool:
        assert isinstance(room.window, RequestWindow)
        if room.available(owner) < 1:
            return False
        room.took(owner, 1)
        room.window.take(now, owner)
        return True


HISTORIES = st.sampled_from(["empty", "even", "clumps"])
OFTEN = st.sampled_from([2.0, 10.0, 50.0, NEVER])


def history(kind: str, dice: Random) -> list[float]:
    """Moments of what was spent before."""
    if kind == "empty":
        return []
    if kind == "even":
        return [dice.uniform(-PERIOD, 0.0) for _ in range(150)]
    return [dice.choice([-90.0, -50.0, -10.0]) + dice.random() for _ in range(150)]


@pytest.mark.slow
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32), kind=HISTORIES, urgent_every=OFTEN)
def test_the_pace_never_runs_the_window_dry(seed: int, kind: str, urgent_every: float) -> None:
    """Whenever the window is full, its next unit is near, whatever was spent before and by whom.

    A greedy backlog would leave nothing for up to a whole period; here it is less than a tenth.
    """
    dice = Random(seed)
    life = Life(urgent_every=urgent_every).live(history(kind, dice), dice)
    assert life.longest <= PERIOD / 10


@pytest.mark.slow
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32), kind=HISTORIES, urgent_every=OFTEN)
def test_beside_a_paced_backlog_a_small_share_always_finds_room(
    seed: int, kind: str, urgent_every: float
) -> None:
    """With a share of a tenth an urgent request (all but one in a hundred) never has to wait."""
    dice = Random(seed)
    life = Life(urgent_every=urgent_every, share=0.1).live(history(kind, dice), dice)
    assert life.missed <= 1 + life.came / 100


@pytest.mark.parametrize("kind", ["empty", "even", "clumps"])
def test_the_pace_leaves_little_unused(kind: str) -> None:
    """Two windows at that pace use nearly all that could be sent in them."""
    dice = Random(7)
    spent = history(kind, dice)
    life = Life(urgent_every=10.0).live(spent, dice)
    assert life.sent + life.came - life.missed >= 0.95 * (3 * 200 - len(spent) - 200)


def test_the_last_class_never_stops_altogether() -> None:
    """Even where the more urgent want everything, the slowest pace is not nothing."""
    room, window = rooms(200)
    demands = [urgent(), low()]
    pace = Pace(room, 0.0)
    for step in range(1, 200):
        now = step * 1.0
        room.open(now)
        while window.used < 200:
            window.take(now, 0)
        demands[0].arrived, demands[0].backlog, demands[1].backlog = 20, 100, 100
        plan(pace, now, demands)
    rate = pace.rate(1)
    assert rate is not None
    assert rate >= 0.01 * pace.fastest
