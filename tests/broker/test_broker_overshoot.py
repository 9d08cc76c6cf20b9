"""How far a budget can be overshot, however dear answers turn out to be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supervisor.broker.account import ENOUGH
from supervisor.budget import Budget
from supervisor.clock import LoopClock
from supervisor.errors import BudgetSpent
from supervisor.ledger.prices import KNOWN, Price, Prices
from supervisor.messages import TrafficClass, Usage
from supervisor.testing import VirtualLoop
from tests.broker.desk import at_work
from tests.broker.ledgers import WatchedLedger
from tests.upstream.api import Answer, ScriptedApi, completion

pytestmark = pytest.mark.anyio

DOLLAR = 10_000_000_000
PRICES = Prices({"grok-4.7": Price(Decimal(0), Decimal(0), Decimal(100))})
"""An answer of 1,000 tokens costs 10 cents."""


def answer(tokens: int) -> Answer:
    """An answer of so many tokens, after a second."""
    return Answer(body=completion(10, tokens), after=1.0)


def role(budget: str, *, refuses: bool = False) -> TrafficClass:
    """A class with one budget."""
    return TrafficClass("code", budget=(budget,), refuses=refuses)


async def spend(tokens: int, at_once: int, before: int) -> int:
    """Ticks that a budget of one dollar an hour has paid after a minute of many at once.

    Some more were asked before a restart.
    """
    api, ledger = ScriptedApi(default=answer(tokens)), WatchedLedger()
    fixed: dict[str, Any] = {"api": api, "ledger": ledger, "prices": PRICES}
    classes = [role("1 usd / hour")]
    async with at_work(LoopClock(), classes=classes, **fixed) as desk:
        scopes = [desk.start(f"before {number}") for number in range(before)]
        await anyio.sleep(10)
        for scope in scopes:
            scope.cancel()
    async with at_work(LoopClock(), classes=classes, **fixed) as desk:
        scopes = [desk.start(str(number)) for number in range(at_once)]
        await anyio.sleep(60)
        (budget,) = desk.broker.snapshot().budgets
        for scope in scopes:
            scope.cancel()
        return budget.spent


@settings(max_examples=12)
@given(tokens=st.integers(100, 60_000), at_once=st.integers(1, 60), before=st.integers(0, 20))
@example(tokens=900, at_once=60, before=9)
def test_an_answer_at_most_is_paid_beyond_the_end(tokens: int, at_once: int, before: int) -> None:
    """However many ask at once: answers that are alike never overshoot by more than two of them."""
    options = {"loop_factory": VirtualLoop}
    spent = anyio.run(spend, tokens, at_once, before, backend_options=options)
    assert spent <= DOLLAR + 2 * tokens * DOLLAR // 10_000


async def test_a_slow_answer_holds_nobody_after_a_restart(virtual: LoopClock) -> None:
    """What was learned is on record: a new process need not wait for a first answer again."""
    api, ledger = ScriptedApi(default=answer(10)), WatchedLedger()
    fixed: dict[str, Any] = {"api": api, "ledger": ledger, "prices": PRICES}
    budgets = (Budget.parse("1 usd / day"),)
    async with at_work(virtual, budgets=budgets, **fixed) as desk:
        for number in range(ENOUGH):
            await desk.ask(f"before {number}")
    slow = Answer(body=completion(10, 10), after=40.0)
    async with at_work(virtual, budgets=budgets, **fixed) as desk:
        api.will("slow", slow)
        desk.start("slow")
        others = [str(number) for number in range(10)]
        for name in others:
            desk.start(name)
        with anyio.fail_after(5):
            await desk.until(*others)


LISTED = Prices({"grok-4.7": KNOWN["grok-4.7"]})


async def lengthen(size: int, prices: Prices) -> Decimal:
    """Part of a budget that is spent after short questions and, at once, many long ones.

    The budget is as much as three of the long ones cost.
    """
    api = ScriptedApi(default=Answer(body=told(1), after=1.0))
    most = 3 * LISTED.at_most("grok-4.7", Usage(size // 4, 32))
    budget = Decimal(most) / DOLLAR
    classes = [role(f"{budget} usd / hour")]
    async with at_work(LoopClock(), api=api, classes=classes, prices=prices) as desk:
        for number in range(10):
            await desk.ask(f"short {number}")
        for number in range(30):
            api.will(str(number), Answer(body=told(size // 4), after=1.0))
        scopes = [desk.start(str(number), size=size) for number in range(30)]
        await anyio.sleep(60)
        (shown,) = desk.broker.snapshot().budgets
        for scope in scopes:
            scope.cancel()
        assert shown.spent > most // 10
        return Decimal(shown.spent) / most


def told(prompt: int) -> bytes:
    """An answer to so many tokens, with its price."""
    cost = LISTED.at_most("grok-4.7", Usage(prompt, 32))
    return completion(prompt, 32, cost_in_usd_ticks=cost)


@settings(max_examples=8)
@given(size=st.integers(4_000, 200_000), prices=st.sampled_from([LISTED, Prices()]))
@example(size=810_000, prices=LISTED)
@example(size=810_000, prices=Prices())
def test_long_questions_after_short_ones(size: int, prices: Prices) -> None:
    """What was learned of short ones, which are JSON for the most part, fits long ones, too."""
    spent = anyio.run(lengthen, size, prices, backend_options={"loop_factory": VirtualLoop})
    assert spent <= 1


async def test_who_waits_goes_at_the_price_of_today(virtual: LoopClock) -> None:
    """What was dear when it was queued and has become cheap does not wait for the next hour."""
    api = ScriptedApi(default=answer(10))
    async with at_work(virtual, api=api, classes=[role("0.15 usd / hour")], prices=PRICES) as desk:
        for number in range(40):
            desk.start(str(number))
        await anyio.sleep(120)
        assert len(desk.replies) == 40


async def test_nobody_is_refused_for_what_is_only_reserved(virtual: LoopClock) -> None:
    """While answers are under way it is not known that the money is spent: the rest waits."""
    api = ScriptedApi(default=answer(10))
    classes = [role("0.15 usd / hour", refuses=True)]
    async with at_work(virtual, api=api, classes=classes, prices=PRICES) as desk:
        for number in range(40):
            desk.start(str(number))
        await anyio.sleep(120)
        assert len(desk.replies) == 40
        assert not desk.errors


async def test_who_is_refused_was_out_of_money(virtual: LoopClock) -> None:
    """Dear answers do end the money, and then the rest is told."""
    api = ScriptedApi(default=answer(1_000))
    async with at_work(
        virtual, api=api, classes=[role("0.5 usd / hour", refuses=True)], prices=PRICES
    ) as desk:
        for number in range(20):
            desk.start(str(number))
        await anyio.sleep(120)
        (budget,) = desk.broker.snapshot().budgets
        assert (len(desk.replies), budget.spent) == (5, DOLLAR // 2)
        assert {type(error) for error in desk.errors.values()} == {BudgetSpent}


async def test_an_answer_that_tells_no_usage_costs_what_was_reserved(virtual: LoopClock) -> None:
    """Nobody gets answers for nothing because the API does not count them."""
    silent = Answer(body=b'{"choices": [{"message": {"content": "hm"}}]}', after=1.0)
    api = ScriptedApi(default=silent)
    async with at_work(virtual, api=api, classes=[role("1 usd / hour")], prices=PRICES) as desk:
        scopes = [desk.start(str(number)) for number in range(40)]
        await anyio.sleep(120)
        assert 0 < len(desk.replies) <= 11
        for scope in scopes:
            scope.cancel()
