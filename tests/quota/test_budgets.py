"""Money is reserved before it is spent, and nobody together spends more than there is."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.budget import Budget
from supervisor.messages import Priority
from supervisor.quota.block import Obstacle
from supervisor.quota.budgets import Budgets
from tests.quota.till import CENT, DOLLAR, NOON, Till


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 40 * CENT), st.booleans()), max_size=60
    )
)
def test_no_budget_is_exceeded_by_what_was_expected(steps: list[tuple[int, int, bool]]) -> None:
    """However requests overlap: where they cost what was expected, no budget is exceeded."""
    till, under_way = Till(), list[tuple[int, int]]()
    for owner, cost, ends in steps:
        if till.may(owner, cost):
            till.budgets.take(owner, cost, 0.0, priority=Priority.MEDIUM)
            under_way.append((owner, cost))
        if ends and under_way:
            done, price = under_way.pop(0)
            till.budgets.settle(done, reserved=price, actual=price, granted=NOON)
        for one in till.budgets.snapshot(0.0):
            assert one.spent + one.reserved <= one.amount
    assert sum(price for _, price in under_way) == till.budgets.snapshot(0.0)[0].reserved


def test_both_budgets_hold() -> None:
    """A class's own budget stops it, that of all stops everybody; the reason says until when."""
    till = Till()
    till.spend(0, 45 * CENT)
    assert till.may(0, 5 * CENT)
    block = till.budgets.blocked(0, 6 * CENT, 0.0, priority=Priority.MEDIUM)
    assert block is not None
    assert (block.obstacle, block.until) == (Obstacle.BUDGET, 3_600.0)
    assert block.detail == (
        "the budget of code, 0.5 usd / hour, has 0.05 usd left until 2027-01-15 13:00 UTC,"
        " and 0.06 usd are likely to be needed"
    )
    assert till.may(1, 55 * CENT)
    assert not till.may(1, 56 * CENT)


def test_a_new_period_has_new_money() -> None:
    """At the end of its period a budget is whole again, less what is still under way."""
    till = Till()
    till.spend(0, 50 * CENT)
    assert not till.may(0, CENT)
    till.budgets.take(0, 0, 0.0, priority=Priority.MEDIUM)
    assert till.may(0, 50 * CENT, now=3_600.0)
    assert not till.may(1, 51 * CENT, now=3_600.0)


def test_a_late_price_belongs_to_the_period_of_its_grant() -> None:
    """What was granted before the period's end is no money of the next one."""
    till = Till()
    till.budgets.take(0, 10 * CENT, 0.0, priority=Priority.MEDIUM)
    assert till.may(0, 10 * CENT, now=3_700.0)
    till.budgets.settle(0, reserved=10 * CENT, actual=30 * CENT, granted=NOON)
    total, own = till.budgets.snapshot(3_700.0)
    assert (own.spent, own.reserved, total.spent) == (0, 0, 30 * CENT)


def test_low_work_is_slowed_before_the_end() -> None:
    """In the last fifth low requests come no faster than the rest lasts; others go at once."""
    till = Till(total="1 usd / hour", own="1 usd / hour")
    till.spend(1, 90 * CENT)
    assert till.may(1, CENT, priority=Priority.LOW)
    till.budgets.take(1, CENT, 0.0, priority=Priority.LOW)
    till.budgets.settle(1, reserved=CENT, actual=CENT, granted=NOON)
    block = till.budgets.blocked(1, CENT, 1.0, priority=Priority.LOW)
    assert block is not None
    assert block.detail == "9% of the budget of all, 1 usd / hour, are left: slowed down"
    assert block.until == 3_599.0 / 9
    assert till.may(1, CENT, now=1.0)
    assert till.may(1, CENT, now=400.0, priority=Priority.LOW)


def test_one_request_may_be_dearer_than_a_budget() -> None:
    """What costs more than a whole budget goes where nothing else was spent, not never."""
    till = Till()
    assert till.may(0, 3 * DOLLAR)
    till.spend(0, 3 * DOLLAR)
    assert not till.may(0, 1)
    assert not till.may(1, 1)


def test_what_was_spent_is_read_back() -> None:
    """After a restart the money of periods that go on is gone, by whoever spent it."""
    till = Till()
    till.budgets.restore("code", spent=20 * CENT, at=NOON)
    till.budgets.restore("gone", spent=30 * CENT, at=NOON - 3_600)
    total, own = till.budgets.snapshot(0.0)
    assert (total.of, total.spent, own.of, own.spent) == ("all", 50 * CENT, "code", 20 * CENT)


def test_a_budget_that_comes_later_has_been_spent_from() -> None:
    """A class that is loaded after others, or gets another budget, has no new money."""
    till = Till()
    till.budgets.restore("late", spent=10 * CENT, at=NOON)
    till.budgets.restore("late", spent=20 * CENT, at=NOON - 3_600)
    till.budgets.restore("late", spent=40 * CENT, at=NOON - 31 * 86_400)
    till.budgets.restore("late", unpriced=CENT, at=NOON - 3_600)
    till.spend(0, 5 * CENT)
    texts = "1 usd / hour", "1 usd / day", "1 usd / month"
    till.budgets.set_class(2, "late", map(Budget.parse, texts), now=0.0)
    till.budgets.set_class(0, "code", map(Budget.parse, texts[:1]), now=0.0)
    shown = {(one.of, one.budget): one for one in till.budgets.snapshot(0.0)}
    spent = {name: one.spent for name, one in shown.items()}
    assert [spent["late", text] for text in texts] == [10 * CENT, 30 * CENT, 30 * CENT]
    assert spent["code", "1 usd / hour"] == 5 * CENT
    assert [shown["late", text].unpriced for text in texts] == [0, CENT, CENT]


def test_what_has_no_price_counts_as_it_was_reserved() -> None:
    """Until the period ends, told apart from what was spent; when all is read anew it goes."""
    till = Till(own="1 usd / hour")
    till.budgets.take(0, 30 * CENT, 0.0, priority=Priority.MEDIUM)
    till.budgets.settle(0, reserved=30 * CENT, actual=0, granted=NOON, unpriced=30 * CENT)
    till.budgets.restore("code", unpriced=10 * CENT, at=NOON)
    total, own = till.budgets.snapshot(0.0)
    assert (own.spent, own.reserved, own.unpriced, own.left) == (0, 0, 40 * CENT, 60 * CENT)
    assert till.may(0, 60 * CENT)
    assert not till.may(0, 2 * DOLLAR)
    assert not till.may(0, 61 * CENT)
    till.budgets.set_class(1, "memory", [Budget.parse("1 usd / day")], now=0.0)
    till.budgets.take(0, CENT, 0.0, priority=Priority.MEDIUM)
    total, own, _ = till.budgets.snapshot(3_600.0)
    assert (total.unpriced, own.unpriced, own.left) == (40 * CENT, 0, 99 * CENT)
    till.budgets.forget()
    total, own, _ = till.budgets.snapshot(3_600.0)
    assert (total.left, own.reserved, own.left) == (99 * CENT, CENT, 99 * CENT)


def test_the_wall_clock_may_be_set() -> None:
    """A clock that is set back begins no period anew; one that is set forward begins the next."""
    till = Till()
    till.spend(0, 50 * CENT)
    till.budgets.tell_time(now=1.0, wall=NOON - 7_200)
    assert not till.may(0, CENT, now=1.0)
    till.budgets.tell_time(now=2.0, wall=NOON + 3_600)
    assert till.may(0, CENT, now=2.0)


HOUR = 3_600.0
MOVES = st.lists(
    st.tuples(st.sampled_from([-26, -2, -1, 0, 0, 1, 24, 700]), st.integers(1, 40 * CENT)),
    max_size=40,
)
"""Hours by which the wall clock is set, and what is asked for then."""


@given(moves=MOVES, unpriced=st.booleans())
@example(moves=[(0, 30 * CENT), (1, CENT), (-1, 30 * CENT)], unpriced=False)
@example(moves=[(0, 30 * CENT), (-1, 15 * CENT), (0, 15 * CENT)], unpriced=False)
def test_no_clock_opens_a_period_twice(moves: list[tuple[int, int]], *, unpriced: bool) -> None:
    """However the wall clock is set: what is dated in one hour is no more than an hour's budget.

    And whoever starts anew then and reads all of it back has spent the same.
    """
    till, wall = Till(total="1 usd / month"), NOON
    hours, rows = defaultdict[float, int](int), list[tuple[float, int]]()
    for now, (hop, cost) in enumerate(moves):
        wall += hop * HOUR
        till.budgets.tell_time(now=float(now), wall=wall)
        if till.may(0, cost, now=float(now)):
            till.budgets.take(0, cost, float(now), priority=Priority.MEDIUM)
            spent, lost = (0, cost) if unpriced else (cost, 0)
            till.budgets.settle(0, reserved=cost, actual=spent, granted=wall, unpriced=lost)
            hours[wall] += cost
            rows.append((wall, cost))
    assert max(hours.values(), default=0) <= 50 * CENT
    last = float(len(moves))
    till.budgets.tell_time(now=last, wall=wall)
    following = Till(total="1 usd / month").budgets
    following.tell_time(now=last, wall=wall)
    for at, cost in rows:
        spent, lost = (0, cost) if unpriced else (cost, 0)
        following.restore("code", spent=spent, unpriced=lost, at=at)
    assert following.snapshot(last) == till.budgets.snapshot(last)


def test_a_clock_that_is_set_right_after_the_start_opens_nothing() -> None:
    """Started with a clock that was behind: what was read back is spent when it is set right."""
    till = Till(wall=NOON - 40 * 86_400)
    till.budgets.restore("code", spent=50 * CENT, at=NOON)
    assert not till.may(0, CENT)
    till.budgets.tell_time(now=1.0, wall=NOON)
    assert not till.may(0, CENT, now=1.0)
    assert not till.may(1, 51 * CENT, now=1.0)
    assert till.may(1, 50 * CENT, now=1.0)


def test_a_clock_that_went_far_wrong_is_forgiven() -> None:
    """A year ahead and back: the periods of today have what is left of them, and do end."""
    till = Till()
    till.spend(0, 20 * CENT)
    till.budgets.tell_time(now=1.0, wall=NOON + 365 * 86_400)
    assert till.may(0, 50 * CENT, now=1.0)
    till.budgets.tell_time(now=2.0, wall=NOON)
    assert till.may(0, 30 * CENT, now=2.0)
    assert not till.may(0, 31 * CENT, now=2.0)
    till.budgets.tell_time(now=3.0, wall=NOON + HOUR)
    assert till.may(0, 50 * CENT, now=3.0)


def test_a_budget_that_stays_keeps_what_was_spent() -> None:
    """Changing a class's other settings gives it no new money."""
    till = Till()
    till.spend(0, 50 * CENT)
    till.budgets.set_class(0, "code", [Budget.parse("0.5 usd / hour")], now=0.0)
    assert not till.may(0, CENT)
    till.budgets.set_class(0, "code", [Budget.parse("0.6 usd / hour")], now=0.0)
    assert till.may(0, CENT)


def test_a_budget_that_comes_while_requests_are_under_way() -> None:
    """They hold money of it, too, and none of it twice; when they have ended nothing is left."""
    till = Till()
    till.budgets.take(0, 30 * CENT, 0.0, priority=Priority.MEDIUM)
    new = [Budget.parse(text) for text in ("0.4 usd / day", "0.40 usd / day")]
    for _ in range(2):
        till.budgets.set_class(0, "code", new, now=0.0)
        assert [one.reserved for one in till.budgets.snapshot(0.0)] == [30 * CENT] * 2
        assert not till.may(0, 11 * CENT)
    till.budgets.settle(0, reserved=30 * CENT, actual=20 * CENT, granted=NOON)
    assert [(one.reserved, one.spent) for one in till.budgets.snapshot(0.0)] == [
        (0, 20 * CENT),
        (0, 20 * CENT),
    ]
    till.spend(0, 10 * CENT)
    assert [one.spent for one in till.budgets.snapshot(0.0)] == [30 * CENT] * 2


def test_without_budgets_nothing_is_asked() -> None:
    """Where no budget is configured there is none, and everything may go."""
    budgets = Budgets([], now=0.0, wall=NOON)
    budgets.set_class(0, "code", [], now=0.0)
    assert not budgets
    assert budgets.blocked(0, DOLLAR, 0.0, priority=Priority.LOWEST) is None
