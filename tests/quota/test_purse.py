"""Near the end of a budget low work goes evenly, nobody holds up anybody, and it never stops."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.budget import Budget
from supervisor.messages import Priority
from tests.quota.till import CENT, NOON, Till

HOUR = 3_600
STEP = 20
"""Seconds between two looks."""


def goes(till: Till, owner: int, cost: int, now: float) -> bool:
    """Whether a low request may go; then it does, and costs what was expected."""
    if not till.may(owner, cost, now=now, priority=Priority.LOW):
        return False
    till.budgets.take(owner, cost, now, priority=Priority.LOW)
    till.budgets.settle(owner, reserved=cost, actual=cost, granted=NOON + now)
    return True


def test_others_do_not_hold_up_a_class_near_its_own_end() -> None:
    """A class is slowed by what was spent of its own budgets, and not by what others spend."""
    till = Till(total="100 usd / hour", own="1 usd / hour")
    till.spend(0, 90 * CENT)
    gone: list[int] = []
    for now in range(0, HOUR, STEP):
        assert goes(till, 1, CENT, now)
        gone += [now] if goes(till, 0, CENT, now) else []
    assert gone == list(range(0, HOUR, 360))


def test_cheap_work_does_not_starve_dear_work() -> None:
    """A dear request of one class goes in its time, however many cheap ones of another wait."""
    till = Till(total="1 usd / hour", own="9 usd / hour")
    till.spend(0, 85 * CENT)
    costs, gone = (3 * CENT, CENT // 10), list[int]()
    for now in range(0, HOUR, STEP):
        # As the scheduler does: among equals whoever has had less goes first.
        for owner in sorted((1, 0), key=gone.count):
            gone += [owner] if goes(till, owner, costs[owner], now) else []
    assert gone.count(0) >= 4
    assert gone.count(1) >= 4


def test_a_dear_request_takes_its_time() -> None:
    """After a cheap request a dear one of its class waits as its own price says, not that one's."""
    till = Till(total="1 usd / hour", own="9 usd / hour")
    till.spend(0, 85 * CENT)
    assert goes(till, 0, CENT, 0.0)
    block = till.budgets.blocked(0, 7 * CENT, 0.0, priority=Priority.LOW)
    assert block is not None
    assert block.until == HOUR / 2
    assert till.budgets.blocked(1, 7 * CENT, HOUR / 14, priority=Priority.LOW) is None


@settings(max_examples=25)
@given(
    costs=st.lists(st.integers(CENT, 9 * CENT), min_size=1, max_size=3),
    owns=st.lists(st.integers(25, 400), min_size=3, max_size=3),
)
@pytest.mark.parametrize("total", ["1 usd / hour", "3 usd / hour"])
def test_it_moves_until_the_end(total: str, costs: list[int], owns: list[int]) -> None:
    """Near the end of several budgets at once low work goes evenly, and never comes to a stop.

    It spends the rest no faster than the time passes, but for one request; what is slowed is never
    more urgent than what is not; when the period ends nobody waits for whom there is money.
    """
    till = Till(total=total)
    amount = Budget.parse(total).ticks
    till.budgets.restore("gone", spent=amount * 4 // 5 + 1, at=NOON)
    for owner, _ in enumerate(costs):
        own = Budget.parse(f"{owns[owner] / 100} usd / hour")
        till.budgets.set_class(owner, str(owner), [own], now=0.0)
    rest = amount // 5 - 1
    for now in range(0, HOUR, STEP):
        for owner, cost in enumerate(costs):
            urgent = till.may(owner, cost, now=now)
            assert urgent or not till.may(owner, cost, now=now, priority=Priority.LOW)
            while goes(till, owner, cost, now):
                pass
        assert rest - till.budgets.snapshot(now)[0].left <= rest * now / HOUR + max(costs)
    for owner, cost in enumerate(costs):
        assert not till.may(owner, cost + max(costs), now=HOUR - 1)
