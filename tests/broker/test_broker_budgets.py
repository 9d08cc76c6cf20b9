"""Money: reserved before sending, settled after, the same number after a restart."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anyio
import pytest

from supervisor.budget import Budget
from supervisor.clock import LoopClock
from supervisor.errors import BudgetSpent, DeadlineExceeded
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.prices import Price, Prices
from supervisor.messages import Priority, TrafficClass, Usage
from supervisor.quota.budgets import BudgetSnapshot
from tests.broker.desk import at_work, broker_of, request
from tests.broker.ledgers import WatchedLedger
from tests.upstream.api import BROKEN, CAPACITY, CUT, Answer, ScriptedApi, completion

pytestmark = pytest.mark.anyio

DOLLAR = 10_000_000_000
FEBRUARY = 1_801_440_000.0
"""Unix time of 2027-02-01 00:00 UTC."""
PRICES = Prices({"grok-4.7": Price(Decimal(0), Decimal(0), Decimal(100))})
"""An answer of 1,000 tokens costs 10 cents."""


def answer(tokens: int = 1_000, **more: Any) -> Answer:
    """An answer of so many tokens, after a second."""
    return Answer(body=completion(10, tokens), after=1.0, **more)


def role(name: str = "code", *budgets: str, **more: Any) -> TrafficClass:
    """A class with budgets."""
    return TrafficClass(name, budget=budgets, **more)


async def test_requests_together_spend_no_money_twice(virtual: LoopClock) -> None:
    """Of many at once only as many go as there is money for; the rest goes in the next hour."""
    api = ScriptedApi(default=answer())
    async with at_work(
        virtual, api=api, classes=[role("code", "1 usd / hour")], prices=PRICES
    ) as desk:
        for number in range(15):
            desk.start(str(number))
        await anyio.sleep(60)
        assert len(desk.replies) == 10
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.of, budget.spent, budget.reserved) == ("code", DOLLAR, 0)
        assert "the budget of code, 1 usd / hour," in desk.of().why
        await anyio.sleep(3_600)
        assert len(desk.replies) == 15


async def test_the_api_tells_the_price(virtual: LoopClock) -> None:
    """The price that comes with an answer counts, and not the list's."""
    api = ScriptedApi(default=Answer(body=completion(cost_in_usd_ticks=DOLLAR // 2)))
    budgets = (Budget.parse("1 usd / day"),)
    async with at_work(virtual, api=api, budgets=budgets, prices=PRICES) as desk:
        reply = await desk.ask("a")
        assert reply.usage is not None
        assert desk.broker.snapshot().budgets[0].spent == DOLLAR // 2
        assert desk.of().cost_usd == 0.5


async def test_a_client_is_refused_with_the_time(virtual: LoopClock) -> None:
    """A class that does not wait for money is told at once, and those that wait when it ends."""
    api = ScriptedApi(default=answer())
    classes = [role("code", "0.2 usd / day", refuses=True, concurrency=1)]
    async with at_work(virtual, api=api, classes=classes, prices=PRICES) as desk:
        for name in "abcd":
            desk.start(name)
        await desk.until("a", "b", "c", "d")
        assert set(desk.replies) == {"a", "b"}
        assert {type(error) for error in desk.errors.values()} == {BudgetSpent}
        with pytest.raises(BudgetSpent, match="the budget of code") as refused:
            await desk.ask("e")
        assert refused.value.retry_after is not None
        assert 0 < refused.value.retry_after <= 86_400
        assert len(api.arrivals) == 2


async def test_a_retry_for_which_no_money_is_left_is_told(virtual: LoopClock) -> None:
    """What the first attempt may have cost counts; nobody who does not wait for money hangs."""
    api = ScriptedApi(CUT, default=answer())
    classes = [role("code", "0.15 usd / month", refuses=True)]
    async with at_work(virtual, api=api, classes=classes, prices=PRICES) as desk:
        with anyio.fail_after(10), pytest.raises(BudgetSpent, match="usd left until"):
            await desk.ask("a")
        assert len(api.arrivals) == 1


async def test_who_waits_for_money_until_its_deadline_hears_so(virtual: LoopClock) -> None:
    """The error says what stood in the way, as the views did while it waited."""
    api = ScriptedApi(default=answer())
    classes = [role("code", "0.1 usd / day")]
    async with at_work(virtual, api=api, classes=classes, prices=PRICES) as desk:
        await desk.ask("a")
        with pytest.raises(
            DeadlineExceeded, match=r"passed; the budget of code, 0\.1 usd / day, is"
        ):
            await desk.ask("b", deadline=5.0)


async def test_a_dear_request_takes_no_cheap_ones_with_it(virtual: LoopClock) -> None:
    """It is refused alone: there is money for those behind it."""
    api = ScriptedApi(default=Answer(body=completion(10, 10), after=1.0))
    classes = [role("code", "0.25 usd / day", refuses=True, concurrency=1)]
    prices = Prices({"grok-4.7": Price(Decimal(10), Decimal(10), Decimal(100))})
    async with at_work(virtual, api=api, classes=classes, prices=prices) as desk:
        api.will("a", answer())
        desk.start("a")
        desk.start("dear", size=100_000)
        for name in "bc":
            desk.start(name)
        await desk.until("a", "b", "c", "dear")
        assert set(desk.replies) == {"a", "b", "c"}
        assert set(desk.errors) == {"dear"}


@pytest.mark.parametrize(
    ("total", "spent", "told"),
    [
        (
            "0.1 usd / day",
            "budget of all, 0.1 usd / day, is spent",
            "raise budget.total, or let code",
        ),
        (
            "0.2 usd / month",
            "of code, 0.15 usd / hour, has 0.05 usd left",
            "raise the budget of code",
        ),
    ],
)
async def test_who_is_refused_hears_which_budget_it_is(
    virtual: LoopClock, total: str, spent: str, told: str
) -> None:
    """Whose it is, how much is left of it until when, what is needed, and what to do."""
    api, classes = ScriptedApi(default=answer()), [role("code", "0.15 usd / hour", refuses=True)]
    budgets = (Budget.parse(total),)
    async with at_work(virtual, api=api, classes=classes, budgets=budgets, prices=PRICES) as desk:
        await desk.ask("a")
        with pytest.raises(BudgetSpent) as refused:
            await desk.ask("b")
    assert spent in refused.value.message
    assert " until 20" in refused.value.message
    assert told in refused.value.hint
    assert ("0.1 usd are likely to be needed" in refused.value.message) == ("left" in spent)


async def test_low_work_leaves_the_rest_to_others(virtual: LoopClock) -> None:
    """Near the end of everybody's money low work is slowed, and urgent work is not."""
    api = ScriptedApi(default=answer(100))
    classes = [role("memory", priority=Priority.LOWEST), role("ceo", priority=Priority.HIGH)]
    async with at_work(
        virtual, api=api, classes=classes, budgets=(Budget.parse("1 usd / day"),), prices=PRICES
    ) as desk:
        scopes = [desk.start(f"m{number}", "memory") for number in range(200)]
        await anyio.sleep(30)
        (budget,) = desk.broker.snapshot().budgets
        assert 0.15 * DOLLAR < DOLLAR - budget.spent <= 0.2 * DOLLAR
        assert "slowed down" in desk.of("memory").why
        before = virtual.monotonic()
        await desk.ask("urgent", "ceo")
        assert virtual.monotonic() - before == pytest.approx(1.0, abs=0.01)
        for scope in scopes:
            scope.cancel()


async def test_what_was_not_answered_costs_nothing(virtual: LoopClock) -> None:
    """Failed attempts give their money back, so that a retry finds it."""
    api = ScriptedApi(CAPACITY, BROKEN, answer(), default=answer())
    async with at_work(
        virtual, api=api, classes=[role("code", "0.11 usd / day")], prices=PRICES
    ) as desk:
        await desk.ask("a")
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.spent, budget.reserved) == (DOLLAR // 10, 0)


async def test_leaving_gives_the_money_back(virtual: LoopClock) -> None:
    """Whoever is cancelled while waiting has reserved nothing."""
    api = ScriptedApi(default=answer())
    async with at_work(
        virtual, api=api, classes=[role("code", "0.1 usd / day")], prices=PRICES
    ) as desk:
        desk.start("a")
        waiting = desk.start("b")
        await anyio.sleep(0.5)
        waiting.cancel()
        await desk.until("a", "b")
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.spent, budget.reserved) == (DOLLAR // 10, 0)


async def test_a_model_without_a_price_costs_what_it_did(virtual: LoopClock) -> None:
    """Where no list knows the price, the class's dearest answer of late is what is reserved."""
    api = ScriptedApi(default=Answer(body=completion(cost_in_usd_ticks=DOLLAR // 10), after=1.0))
    async with at_work(virtual, api=api, classes=[role("code", "0.5 usd / hour")]) as desk:
        await desk.ask("first")
        for number in range(10):
            desk.start(str(number))
        await anyio.sleep(60)
        assert len(desk.replies) == 4
        await anyio.sleep(2 * 3_600)
        assert len(desk.replies) == 10


async def test_a_restart_has_no_new_money(virtual: LoopClock) -> None:
    """What was spent before a restart is read back from the ledger."""
    api, ledger = ScriptedApi(default=answer()), WatchedLedger()
    classes = [role("code", "0.45 usd / day", refuses=True)]
    async with at_work(virtual, api=api, classes=classes, ledger=ledger, prices=PRICES) as desk:
        for name in "ab":
            await desk.ask(name)
    broker = broker_of(api, virtual, ledger=ledger, prices=PRICES)
    broker.set_class(classes[0])
    async with anyio.create_task_group() as tasks:
        await tasks.start(broker.run)
        assert broker.snapshot().budgets[0].spent == 2 * DOLLAR // 10
        tasks.cancel_scope.cancel()
    async with at_work(virtual, api=api, classes=classes, ledger=ledger, prices=PRICES) as desk:
        await desk.ask("c")
        await desk.ask("d")
        with pytest.raises(BudgetSpent):
            await desk.ask("e")


async def test_a_role_that_is_loaded_later_has_no_new_money(virtual: LoopClock) -> None:
    """What it spent before a restart is spent of its budget whenever it comes."""
    api, ledger = ScriptedApi(default=answer()), WatchedLedger()
    classes = [role("code", "0.2 usd / day", refuses=True)]
    async with at_work(virtual, api=api, classes=classes, ledger=ledger, prices=PRICES) as desk:
        await desk.ask("a")
    async with at_work(virtual, api=api, classes=[], ledger=ledger, prices=PRICES) as desk:
        desk.broker.set_class(classes[0])
        (budget,) = desk.broker.snapshot().budgets
        assert budget.spent == DOLLAR // 10


class SetClock(LoopClock):
    """A wall clock that somebody sets.

    Attributes:
        shift: Seconds by which it was set.
    """

    shift = 0.0

    def wall(self) -> float:
        return super().wall() + self.shift


@pytest.mark.usefixtures("virtual")
async def test_a_start_with_a_fast_clock_forgets_nothing() -> None:
    """Set back into the month before, a process that was started in this one knows that month's."""
    clock, ledger = SetClock(FEBRUARY + 600.0), WatchedLedger()
    attempt = Attempt("a/1", "code", "grok-4.7", "", FEBRUARY - 600.0, 0.0, 0, DOLLAR)
    await ledger.record([attempt])
    usage = Usage(10, 1_000, cost=Decimal("0.1"))
    ledger.settle(attempt, Settlement(200, "answered", usage, 1.0, 1_010))
    classes = [role("code", "1 usd / month")]
    async with at_work(clock, classes=classes, ledger=ledger, prices=PRICES) as desk:
        assert desk.broker.snapshot().budgets[0].spent == 0
        clock.shift = -1_200.0
        assert desk.broker.snapshot().budgets[0].spent == DOLLAR // 10
        clock.shift = 0.0
        assert desk.broker.snapshot().budgets[0].spent == 0


async def test_an_answer_under_way_at_a_kill_is_paid(virtual: LoopClock) -> None:
    """Nobody knows what it came to, so its reservation counts: until the period ends, and once."""
    api, ledger = ScriptedApi(default=answer()), WatchedLedger()
    classes = [role("code", "1 usd / hour")]
    broker = broker_of(api, virtual, ledger=ledger, prices=PRICES)
    broker.set_class(classes[0])
    before = broker.snapshot().budgets[0]
    async with anyio.create_task_group() as process:
        await process.start(broker.run)
        await broker.ask(request("a"))
        process.start_soon(broker.ask, request("b"))
        await anyio.sleep(0.5)
        before = broker.snapshot().budgets[0]
        # A kill -9 settles nothing: this ledger drops what it does not know.
        ledger.recorded = []
        process.cancel_scope.cancel()
    assert before.reserved > 0
    for _ in range(2):
        async with at_work(virtual, api=api, classes=classes, ledger=ledger, prices=PRICES) as desk:
            (budget,) = desk.broker.snapshot().budgets
            assert (budget.spent, budget.reserved) == (DOLLAR // 10, 0)
            assert (budget.unpriced, budget.left) == (before.reserved, before.left)
    async with at_work(virtual, api=api, classes=classes, ledger=ledger, prices=PRICES) as desk:
        await anyio.sleep(3_600)
        assert desk.broker.snapshot().budgets[0].left == DOLLAR


async def test_hanging_up_on_an_answer_costs_what_was_reserved(virtual: LoopClock) -> None:
    """The API finishes and bills what nobody hears any more; a restart changes nothing."""
    api, ledger = ScriptedApi(default=answer()), WatchedLedger()
    classes = [role("code", "1 usd / day")]
    seen: list[BudgetSnapshot] = []
    async with at_work(virtual, api=api, classes=classes, ledger=ledger, prices=PRICES) as desk:
        call = desk.start("a")
        await anyio.sleep(0.5)
        seen += desk.broker.snapshot().budgets
        call.cancel()
        await desk.until("a")
        seen += desk.broker.snapshot().budgets
    before, after = seen
    assert (after.spent, after.reserved, after.unpriced) == (0, 0, before.reserved)
    async with at_work(virtual, api=api, classes=classes, ledger=ledger, prices=PRICES) as desk:
        assert desk.broker.snapshot().budgets == (after,)
