"""Answers that are fetched later: asked for once, promised, kept, looked for, paid for once."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import anyio
import orjson
import pytest
from structlog.testing import capture_logs

from supervisor.broker.snapshot import RequestsSnapshot
from supervisor.budget import Budget
from supervisor.clock import LoopClock
from supervisor.errors import (
    BudgetSpent,
    Draining,
    KeyUnusable,
    StoreError,
    UpstreamRejected,
    UpstreamUnavailable,
)
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.prices import Price, Prices
from supervisor.messages import Promise, TrafficClass, Usage
from tests.broker.deferrals import GONE, PENDING, Shelf, promised, sent
from tests.broker.desk import Desk, at_work
from tests.broker.ledgers import WatchedLedger
from tests.upstream.api import BAD_KEY, BROKEN, CUT, QUOTA, Answer, ScriptedApi, completion, flat

MINUTE = "100 requests / minute"
TOKENS = "9000 tokens / minute"
A_DAY = 86_400.0
NONSENSE = Answer(200, b"<html>")
STOP_ASKING = Answer(500, b"no", {"x-should-retry": "false"})
DOLLAR = 10_000_000_000
PRICES = Prices({"grok-4.7": Price(Decimal(0), Decimal(0), Decimal(100))})
"""An answer of 1,000 tokens costs 10 cents."""


def answer(tokens: int = 1_000) -> Answer:
    """An answer of so many tokens."""
    return Answer(body=completion(10, tokens))


def used(desk: Desk) -> int:
    """Tokens that count at the moment."""
    return desk.broker.snapshot().quota.windows[1].used


# -- the usual way --------------------------------------------------------------------------------


async def test_posted_once_and_looked_for(virtual: LoopClock) -> None:
    """One post; then looks, each after as long again, until the answer is there."""
    body = completion(7, 3)
    api = ScriptedApi(promised(), *[PENDING] * 4, Answer(body=body))
    async with at_work(virtual, MINUTE, api=api) as desk:
        reply = await desk.ask("a", deferred=Shelf())
        assert sent(desk) == ["post", *["one"] * 5]
        assert api.times == pytest.approx([0, 2, 4, 8, 16, 32], abs=0.01)
        assert (reply.status, reply.body, reply.usage) == (200, body, Usage(7, 3))
        assert (reply.attempts, round(reply.wait, 3)) == (6, 0.0)
        shown = desk.of()
        assert shown.since_start == RequestsSnapshot(requests=1, answered=1, failed=0)
        assert (shown.attempts, shown.answered) == (6, 1)
        assert round(shown.wait_p99, 3) == 0.0


async def test_a_slow_answer_costs_few_looks(virtual: LoopClock) -> None:
    """However long it takes, an answer is looked for every five minutes, and no more often."""
    api = ScriptedApi(promised(), *[PENDING] * 20, answer())
    async with at_work(virtual, MINUTE, api=api) as desk:
        await desk.ask("a", deferred=Shelf())
        gaps = [b - a for a, b in zip(api.times[9:], api.times[10:], strict=False)]
        assert gaps == pytest.approx([300.0] * len(gaps), abs=0.1)


async def test_kept_before_it_is_looked_for(virtual: LoopClock) -> None:
    """Nobody fetches what is not on record: there is no look before the promise is durable."""
    shelf = Shelf(slow=60.0)
    async with at_work(virtual, MINUTE, api=ScriptedApi(promised())) as desk:
        await desk.ask("a", deferred=shelf)
        assert desk.api.times == pytest.approx([0, 62], abs=0.01)
    assert [promise.id for promise in shelf.kept] == ["one"]


async def test_the_question_is_the_same(virtual: LoopClock) -> None:
    """But for the one field, what is posted is what would have been asked."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(promised())) as desk:
        await desk.ask("a", deferred=Shelf())
        await desk.ask("a")
        first, second = (orjson.loads(desk.api.arrivals[index].request.content) for index in (0, 2))
    assert first == {**second, "deferred": True}


@pytest.mark.parametrize("fields", [{"stream": True}, {"endpoint": "/responses"}])
async def test_only_whole_chat_completions(virtual: LoopClock, fields: dict[str, Any]) -> None:
    """Nothing else can be deferred, so nothing else is."""
    async with at_work(virtual, MINUTE) as desk:
        await desk.ask("a", deferred=Shelf(), **fields)
        assert sent(desk) == ["ask"]


async def test_what_was_promised_is_not_asked_again(virtual: LoopClock) -> None:
    """With a promise on record nothing is posted; the first look is at once."""
    shelf = Shelf(Promise("one", virtual.wall() - 500.0))
    async with at_work(virtual, MINUTE, api=ScriptedApi(PENDING)) as desk:
        reply = await desk.ask("a", deferred=shelf)
        assert sent(desk) == ["one", "one"]
        assert desk.api.times == pytest.approx([0, 300], abs=0.01)
        assert reply.usage == Usage(10, 2)
    assert shelf.kept == []


# -- what it costs --------------------------------------------------------------------------------


async def test_written_down_once(virtual: LoopClock) -> None:
    """Each attempt has a row; the answer's tokens and price are in one of them."""
    api = ScriptedApi(promised(), PENDING, PENDING, answer())
    async with at_work(virtual, MINUTE, TOKENS, api=api, prices=PRICES) as desk:
        await desk.ask("a", deferred=Shelf())
        ends = [(end.outcome, end.status, end.usage) for _, end in desk.ledger.settled]
        assert ends == [
            ("deferred", 200, None),
            ("pending", 202, None),
            ("pending", 202, None),
            ("answered", 200, Usage(10, 1_000, cost=Decimal("0.1"))),
        ]
        (row,) = await desk.ledger.usage()
        assert (row.attempts, row.answered, row.completion) == (4, 1, 1_000)
        assert row.cost == Decimal("0.1")
        shown = desk.of()
        assert (shown.prompt_tokens, shown.completion_tokens, shown.cost_usd) == (10, 1_000, 0.1)


async def test_tokens_stay_reserved(virtual: LoopClock) -> None:
    """The post's tokens are held until the answer's real ones take their place; a look has none."""
    api = ScriptedApi(promised(), *[PENDING] * 6, answer(50))
    async with at_work(virtual, MINUTE, TOKENS, api=api) as desk:
        desk.start("a", size=1_000, deferred=Shelf())
        await anyio.sleep(1.0)
        reserved = used(desk)
        assert reserved > 1_000
        await anyio.sleep(120.0)
        assert used(desk) == reserved
        assert [attempt.tokens for attempt in desk.ledger.recorded] == [reserved, *[0] * 6]
        await desk.until("a")
        assert used(desk) == 60
        await anyio.sleep(61.0)
        assert used(desk) == 0


async def test_a_promise_of_before_has_its_reservation(virtual: LoopClock) -> None:
    """What its post has reserved is read back, and replaced by what it has cost, once."""
    shelf, ledger = Shelf(Promise("one", virtual.wall(), virtual.wall(), 700)), WatchedLedger()
    post = Attempt("a/1", "code", "grok-4.7", "", virtual.wall(), 0.0, 0, 700)
    await ledger.record([post])
    ledger.settle(post, Settlement(200, "deferred", None, 0.0, 0, 700))
    api = ScriptedApi(PENDING, PENDING, answer(50))
    budgets = (Budget.parse("1 usd / day"),)
    async with at_work(
        virtual, MINUTE, TOKENS, api=api, prices=PRICES, budgets=budgets, ledger=ledger
    ) as desk:
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.spent, budget.reserved, budget.unpriced) == (0, 0, 700)
        desk.start("a", deferred=shelf)
        await anyio.sleep(1.0)
        assert used(desk) > 1_000
        for _ in range(2):
            (budget,) = desk.broker.snapshot().budgets
            assert (budget.spent, budget.reserved, budget.unpriced) == (0, 700, 0)
            await desk.broker.catch_up()
        await desk.until("a")
        assert used(desk) == 60
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.spent, budget.reserved, budget.unpriced) == (DOLLAR // 200, 0, 0)
        assert not await ledger.reserved_since(0.0)
        (row,) = await ledger.usage()
        assert (row.attempts, row.cost) == (4, Decimal("0.005"))


async def test_the_estimate_is_learned(virtual: LoopClock) -> None:
    """Answers that are fetched teach how long answers are, like all others."""
    api = ScriptedApi(*[promised(), answer(5)] * 30)
    async with at_work(virtual, MINUTE, TOKENS, api=api) as desk:
        for number in range(30):
            await desk.ask(f"n{number}", deferred=Shelf())
        assert desk.ledger.recorded[-2].tokens < 100


async def test_money_is_reserved_and_paid_once(virtual: LoopClock) -> None:
    """The price is held from the post on, so that nobody spends it twice, and settled once."""
    api = ScriptedApi(promised(), *[PENDING] * 5, answer(), default=answer())
    narrow = TrafficClass("code", budget=("0.25 usd / day",), refuses=True)
    async with at_work(virtual, api=api, classes=[narrow], prices=PRICES) as desk:
        desk.start("a", deferred=Shelf())
        await anyio.sleep(30.0)
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.spent, budget.reserved) == (0, DOLLAR // 10)
        # Whether or not somebody fetches it after a kill, the ledger keeps it.
        (kept,) = await desk.ledger.reserved_since(0.0)
        assert kept.cost == Decimal("0.1")
        await desk.until("a")
        assert not await desk.ledger.reserved_since(0.0)
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.spent, budget.reserved) == (DOLLAR // 10, 0)


async def test_dear_answers_are_not_promised_together(virtual: LoopClock) -> None:
    """Before the price is learned one post is out; its answer tells what the next one may cost."""
    api = ScriptedApi(promised(), *[PENDING] * 4, answer(6_000), default=answer(6_000))
    narrow = TrafficClass("code", budget=("1 usd / day",))
    async with at_work(virtual, api=api, classes=[narrow], prices=PRICES) as desk:
        scopes = [desk.start(str(number), deferred=Shelf()) for number in range(10)]
        await anyio.sleep(10.0)
        assert sent(desk).count("post") == 1
        assert "the price of grok-4.7 is being learned: 1 under way, 0 answered" in desk.of().why
        await anyio.sleep(600.0)
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.spent, sent(desk).count("post")) == (DOLLAR * 6 // 10, 1)
        for scope in scopes:
            scope.cancel()


async def test_who_waits_for_a_promise_holds_up_no_ask(virtual: LoopClock) -> None:
    """It may take a day: only posts wait for what is promised, one more with each answer."""
    api = ScriptedApi(default=PENDING)
    for name in "abcd":
        api.will(name, answer() if name == "b" else promised(name))
    wide = TrafficClass("code", budget=("100 usd / day",))
    async with at_work(virtual, api=api, classes=[wide], prices=PRICES) as desk:
        a = desk.start("a", deferred=Shelf())
        await anyio.sleep(1.0)
        await desk.ask("b")
        c, d = desk.start("c", deferred=Shelf()), desk.start("d", deferred=Shelf())
        await anyio.sleep(1.0)
        assert [one for one in sent(desk) if one in {"post", "ask"}] == ["post", "ask", "post"]
        a.cancel()
        await anyio.sleep(1.0)
        assert sent(desk).count("post") == 3
        c.cancel()
        d.cancel()


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_look_needs_no_money(virtual: LoopClock, *, refuses: bool) -> None:
    """What is promised is fetched although the budget is spent meanwhile; others wait or hear."""
    api = ScriptedApi(promised(), answer(2_000), default=answer())
    api.will("", *[PENDING] * 5)
    narrow = TrafficClass("code", budget=("0.2 usd / day",), refuses=refuses)
    async with at_work(virtual, api=api, classes=[narrow], prices=PRICES) as desk:
        desk.start("a", deferred=Shelf())
        await anyio.sleep(1.0)
        await desk.ask("b")
        if refuses:
            with pytest.raises(BudgetSpent):
                await desk.ask("c")
        else:
            desk.start("c")
        await desk.until("a")
        assert virtual.monotonic() < 100.0
        assert (desk.ended, list(desk.replies)) == (["a"], ["a"])
        await anyio.sleep(A_DAY)


async def test_a_promise_is_fetched_with_an_empty_budget(virtual: LoopClock) -> None:
    """It is paid for: neither a spent budget nor a prompt that seems too large is in its way."""
    narrow = TrafficClass("code", budget=("0.1 usd / day",), refuses=True)
    api = ScriptedApi(default=answer(5_000))
    async with at_work(
        virtual, MINUTE, "10000 tokens / minute", api=api, classes=[narrow], prices=PRICES
    ) as desk:
        await desk.ask("a")
        with pytest.raises(BudgetSpent):
            await desk.ask("b")
        shelf = Shelf(Promise("one", virtual.wall()))
        reply = await desk.ask("c", size=1_000_000, deferred=shelf)
        assert reply.usage == Usage(10, 5_000)
        assert sent(desk) == ["ask", "one"]


async def test_looks_count_against_the_limits(virtual: LoopClock) -> None:
    """A look spends quota like any attempt, waits for it, and keeps the age of its request."""
    api = ScriptedApi(promised(), answer())
    async with at_work(virtual, "1 requests / 10s", api=api, jitter=0.0) as desk:
        desk.start("a", deferred=Shelf())
        await anyio.sleep(1.0)
        desk.start("b")
        await desk.until("a", "b")
        assert api.times == pytest.approx([0, 10, 20], abs=0.01)
        assert sent(desk) == ["post", "one", "ask"]
        assert desk.ended == ["a", "b"]
        assert desk.replies["a"].wait == pytest.approx(8.0, abs=0.1)


async def test_what_is_held_does_not_hold_up_its_own_look(virtual: LoopClock) -> None:
    """A class whose ceiling on tokens is full of promised answers can fetch them."""
    narrow = TrafficClass("code", ceiling=("2000 tokens / minute",))
    shelves = [Shelf(Promise(name, virtual.wall())) for name in "xyz"]
    api = ScriptedApi(*[PENDING] * 3, default=answer())
    async with at_work(virtual, MINUTE, TOKENS, api=api, classes=[narrow]) as desk:
        for shelf, name in zip(shelves, "abc", strict=True):
            desk.start(name, deferred=shelf)
        await desk.until("a", "b", "c")
        assert virtual.monotonic() < 10.0


# -- what is lost ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410, 400])
async def test_a_lost_answer_is_asked_for_anew(virtual: LoopClock, status: int) -> None:
    """An id that the API does not know any more is given up; the answer is waited for then."""
    api = ScriptedApi(promised(), PENDING, Answer(status, GONE.body), answer(50))
    shelf = Shelf()
    with capture_logs() as logs:
        async with at_work(virtual, MINUTE, TOKENS, api=api) as desk:
            reply = await desk.ask("a", deferred=shelf)
            assert sent(desk) == ["post", "one", "one", "ask"]
            assert reply.usage == Usage(10, 50)
            # The lost one was perhaps made a moment ago.
            assert used(desk) == desk.ledger.recorded[0].tokens + 60
            assert desk.of().answered == 1
            reserved = [attempt.tokens for attempt in desk.ledger.recorded]
            assert reserved == [reserved[0], 0, 0, reserved[0]]
            (row,) = await desk.ledger.usage()
            assert (row.attempts, row.answered, row.completion) == (4, 1, 50)
            await anyio.sleep(61.0)
            assert used(desk) == 0
            # One that is lost says nothing of the others.
            await desk.ask("b", deferred=Shelf())
            assert sent(desk)[4:] == ["post"]
    assert len(shelf.kept) == 1
    (lost,) = [log for log in logs if log["event"] == "broker.promise_lost"]
    assert (lost["request"], lost["promise"]) == ("a", "one")


async def test_a_promise_that_is_never_kept(virtual: LoopClock) -> None:
    """After a day nobody waits any longer, whatever the API says."""
    api = ScriptedApi(promised(), answer())
    api.will("", *[PENDING] * 1_000)
    async with at_work(virtual, MINUTE, api=api) as desk:
        await desk.ask("a", deferred=Shelf())
        assert A_DAY <= virtual.monotonic() < A_DAY + 301.0
        assert sent(desk)[-2:] == ["one", "ask"]
        assert len(desk.api.arrivals) < 300


@pytest.mark.parametrize("looks", [[GONE], [PENDING] * 400], ids=["not known", "never there"])
async def test_the_money_of_a_lost_answer_counts(virtual: LoopClock, looks: list[Answer]) -> None:
    """The API may have made it, and nobody tells the price: it costs what was reserved for it."""
    api = ScriptedApi(promised(), default=answer(500))
    api.will("", *looks)
    budgets = (Budget.parse("1 usd / month"),)
    async with at_work(virtual, MINUTE, TOKENS, api=api, budgets=budgets, prices=PRICES) as desk:
        await desk.ask("a", deferred=Shelf())
        assert sent(desk)[-1] == "ask"
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.spent, budget.reserved) == (DOLLAR // 20, 0)
        assert budget.unpriced == DOLLAR // 10
        reserved = await desk.ledger.reserved_since(0.0)
        assert sum(one.cost for one in reserved) == Decimal("0.1")


async def test_an_old_promise_is_looked_for_all_the_same(virtual: LoopClock) -> None:
    """It is the API that knows whether it still has the answer, and not our clock."""
    shelf = Shelf(Promise("one", virtual.wall() - 2 * A_DAY))
    async with at_work(virtual, MINUTE, api=ScriptedApi(answer())) as desk:
        assert (await desk.ask("a", deferred=shelf)).usage == Usage(10, 1_000)
        assert sent(desk) == ["one"]


async def test_promises_that_are_worth_nothing(virtual: LoopClock) -> None:
    """An API that does not know what it has promised a moment ago is asked as usual after that."""
    api = ScriptedApi(promised(), GONE)
    with capture_logs() as logs:
        async with at_work(virtual, MINUTE, api=api) as desk:
            await desk.ask("a", deferred=Shelf())
            await desk.ask("b", deferred=Shelf())
            assert sent(desk) == ["post", "one", "ask", "ask"]
    assert [log["event"] for log in logs].count("broker.deferring_unavailable") == 1


async def test_an_answer_that_is_broken_on_its_way(virtual: LoopClock) -> None:
    """The API does not give it a second time, so it is asked for once more."""
    api = ScriptedApi(promised(), PENDING, Answer(body=b""), GONE, answer())
    async with at_work(virtual, MINUTE, api=api) as desk:
        await desk.ask("a", deferred=Shelf())
        assert sent(desk) == ["post", "one", "one", "one", "ask"]


# -- an API that cannot ---------------------------------------------------------------------------


async def test_an_api_that_answers_at_once(virtual: LoopClock) -> None:
    """One that does not know the field simply answers; that is the answer."""
    shelf = Shelf()
    async with at_work(virtual, MINUTE, TOKENS, api=ScriptedApi(answer())) as desk:
        reply = await desk.ask("a", deferred=shelf)
        assert (reply.usage, reply.attempts) == (Usage(10, 1_000), 1)
        assert used(desk) == 1_010
    assert shelf.kept == []


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_an_api_that_refuses_the_field(virtual: LoopClock, status: int) -> None:
    """It is asked as usual, at once and from then on; the log says so once for each model."""
    no = Answer(status, flat("invalid-argument", "Argument not supported: deferred"))
    api = ScriptedApi(no, answer(), answer(), no, answer())
    with capture_logs() as logs:
        async with at_work(virtual, MINUTE, TOKENS, api=api) as desk:
            reply = await desk.ask("a", deferred=Shelf())
            await desk.ask("b", deferred=Shelf())
            await desk.ask("c", deferred=Shelf(), model="grok-4.3")
            assert sent(desk) == ["post", "ask", "ask", "post", "ask"]
            assert (reply.attempts, reply.usage) == (2, Usage(10, 1_000))
            assert api.times == pytest.approx([0.0] * 5, abs=0.01)
            assert used(desk) == 3 * 1_010
    said = [log for log in logs if log["event"] == "broker.deferring_unavailable"]
    assert [log["model"] for log in said] == ["grok-4.7", "grok-4.3"]
    assert "Argument not supported: deferred" in said[0]["text"]


async def test_a_request_that_is_wrong_itself(virtual: LoopClock) -> None:
    """What is refused without the field too was not refused for it: others are still deferred."""
    no = Answer(400, flat("invalid-argument", "Model not found"))
    api = ScriptedApi(no, no, promised(), answer())
    async with at_work(virtual, MINUTE, api=api) as desk:
        with pytest.raises(UpstreamRejected, match="Model not found"):
            await desk.ask("a", deferred=Shelf())
        await desk.ask("b", deferred=Shelf())
        assert sent(desk) == ["post", "ask", "post", "one"]


# -- what fails -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [BROKEN, CUT, QUOTA])
async def test_looks_are_retried(virtual: LoopClock, bad: Answer) -> None:
    """A look that fails is repeated like any attempt, and nothing is posted for it."""
    api = ScriptedApi(promised(), bad, bad, answer())
    async with at_work(virtual, MINUTE, TOKENS, api=api) as desk:
        reply = await desk.ask("a", deferred=Shelf())
        assert sent(desk) == ["post", "one", "one", "one"]
        assert api.times == pytest.approx([0, 2, 3, 5], abs=0.01)
        assert reply.attempts == 4
        assert used(desk) == 1_010


async def test_only_failures_in_a_row_count(virtual: LoopClock) -> None:
    """In hours of looking now and then one fails: whoever has heard from the API begins anew."""
    api = ScriptedApi(promised(), *[BROKEN, PENDING] * 10, answer())
    async with at_work(virtual, MINUTE, api=api, max_retries=1) as desk:
        assert (await desk.ask("a", deferred=Shelf())).attempts == 22


async def test_looks_that_make_no_sense(virtual: LoopClock) -> None:
    """After the last retry it is an error; the promise is on record, and fetched by the next."""
    api = ScriptedApi(promised(), PENDING, *[NONSENSE] * 4, answer())
    shelf = Shelf()
    async with at_work(virtual, MINUTE, TOKENS, api=api) as desk:
        with pytest.raises(UpstreamUnavailable):
            await desk.ask("a", deferred=shelf)
        assert desk.of().since_start.failed == 1
        # What was promised may be made at this moment: its tokens count for one window more.
        assert used(desk) == desk.ledger.recorded[0].tokens
        await desk.ask("b", deferred=shelf)
        assert sent(desk) == ["post", *["one"] * 6]
        await anyio.sleep(61.0)
        assert used(desk) == 0


@pytest.mark.parametrize("bad", [BROKEN, CUT, QUOTA, STOP_ASKING])
@pytest.mark.parametrize("first", [[], [PENDING]])
async def test_a_paid_answer_outlasts_any_outage(
    virtual: LoopClock, bad: Answer, first: list[Answer]
) -> None:
    """Hours of errors say nothing of an answer that was promised: it is looked for, and fetched."""
    api = ScriptedApi(promised(), *first, *[bad] * 100, answer())
    async with at_work(virtual, MINUTE, TOKENS, api=api, max_retries=1) as desk:
        reply = await desk.ask("a", deferred=Shelf(), job="j")
        assert reply.usage == Usage(10, 1_000)
        assert sent(desk) == ["post", *["one"] * (101 + len(first))]
        assert virtual.monotonic() < A_DAY
        assert used(desk) == 1_010
        # Twenty times it waits for the pause alone that follows a refusal for quota.
        later = api.times[28:]
        assert all(b - a >= 299.0 for a, b in pairwise(later))


async def test_in_an_outage_of_all_a_promise_is_kept(virtual: LoopClock) -> None:
    """The API answers nobody for half a day: others end in their time, the paid answer is there."""
    api = ScriptedApi(promised(), default=BROKEN)
    async with at_work(virtual, MINUTE, api=api, patience=60.0) as desk:
        desk.start("a", deferred=Shelf(), job="j")
        await anyio.sleep(1.0)
        for name in "bcd":
            desk.start(name)
        await desk.until("b", "c", "d")
        assert desk.broker.snapshot().state == "halted"
        await anyio.sleep(A_DAY / 2)
        assert "a" not in desk.ended
        api.default = answer()
        await desk.until("a")
        assert desk.replies["a"].usage == Usage(10, 1_000)
        assert sent(desk).count("post") == 1
        assert sent(desk).count("one") < 200


async def test_an_answer_that_only_fails_is_asked_for_again(virtual: LoopClock) -> None:
    """What the API need not keep any more, and only fails to give, is not waited for for ever."""
    api = ScriptedApi(promised(), answer())
    api.will("", *[BROKEN] * 1_000)
    async with at_work(virtual, MINUTE, api=api) as desk:
        await desk.ask("a", deferred=Shelf(), job="j")
        assert A_DAY <= virtual.monotonic() < A_DAY + 301.0
        assert sent(desk)[-2:] == ["one", "ask"]
        assert len(desk.api.arrivals) < 310


async def test_a_post_that_fails_is_posted_again(virtual: LoopClock) -> None:
    """Before there is a promise a failure is retried as usual."""
    api = ScriptedApi(BROKEN, QUOTA, promised(), answer())
    async with at_work(virtual, MINUTE, api=api) as desk:
        await desk.ask("a", deferred=Shelf())
        assert sent(desk) == ["post", "post", "post", "one"]


async def test_a_promise_that_cannot_be_kept_on_record(virtual: LoopClock) -> None:
    """Whoever asked is told what failed, and nothing is left in the broker."""
    shelf = Shelf(broken=StoreError("the job store failed: disk is full"))
    async with at_work(virtual, MINUTE, TOKENS, api=ScriptedApi(promised())) as desk:
        with pytest.raises(StoreError, match="disk is full"):
            await desk.ask("a", deferred=shelf)
        assert sent(desk) == ["post"]
        await anyio.sleep(61.0)
        assert used(desk) == 0


async def test_cancelled(virtual: LoopClock) -> None:
    """Nobody looks for a cancelled request's answer: its place is free at once.

    Its money is not, for the API makes the answer.
    """
    api = ScriptedApi(promised(), default=PENDING)
    budgets = (Budget.parse("1 usd / day"),)
    async with at_work(virtual, MINUTE, TOKENS, api=api, budgets=budgets, prices=PRICES) as desk:
        scope = desk.start("a", deferred=Shelf())
        await anyio.sleep(9.0)
        scope.cancel()
        await desk.until("a")
        (budget,) = desk.broker.snapshot().budgets
        assert (budget.reserved, budget.unpriced) == (0, DOLLAR // 10)
        looks = len(desk.api.arrivals)
        await anyio.sleep(600.0)
        assert len(desk.api.arrivals) == looks
        assert used(desk) == 0


async def test_a_refused_key(virtual: LoopClock) -> None:
    """Who waits for a promised answer hears of a refused key, and fetches it when it is mended."""
    shelf = Shelf()
    api = ScriptedApi(promised(), BAD_KEY, answer())
    async with at_work(virtual, MINUTE, api=api) as desk:
        with pytest.raises(KeyUnusable):
            await desk.ask("a", deferred=shelf)
        desk.broker.resume()
        assert (await desk.ask("b", deferred=shelf)).usage == Usage(10, 1_000)
        assert sent(desk) == ["post", "one", "one"]


async def test_a_key_refused_to_another(virtual: LoopClock) -> None:
    """While the key is refused nobody goes on to look."""
    api = ScriptedApi(promised(), Answer(202, b"", {}, after=5.0), BAD_KEY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a", deferred=Shelf())
        await anyio.sleep(4.0)
        desk.start("b")
        await desk.until("a", "b")
        assert isinstance(desk.errors["a"], KeyUnusable)
        assert len(desk.api.arrivals) == 3


async def test_a_stop_does_not_wait_for_answers(virtual: LoopClock) -> None:
    """When the process stops, who waits for a promised answer is told at once."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(promised(), default=PENDING)) as desk:
        desk.start("a", deferred=Shelf())
        await anyio.sleep(9.0)
        await desk.broker.drain(60.0)
        assert virtual.monotonic() == pytest.approx(9.0, abs=0.01)
        assert isinstance(desk.errors["a"], Draining)


async def test_a_promise_that_comes_during_a_stop(virtual: LoopClock) -> None:
    """It is kept; the next process fetches it."""
    shelf = Shelf(slow=0.5)
    async with at_work(virtual, MINUTE, api=ScriptedApi(promised(after=5.0))) as desk:
        desk.start("a", deferred=shelf)
        await anyio.sleep(1.0)
        await desk.broker.drain(60.0)
        assert virtual.monotonic() == pytest.approx(5.5, abs=0.01)
        assert isinstance(desk.errors["a"], Draining)
        assert sent(desk) == ["post"]
    assert [promise.id for promise in shelf.kept] == ["one"]


# -- what is shown --------------------------------------------------------------------------------


async def test_why_it_waits(virtual: LoopClock) -> None:
    """It says for which answer it waits, and when that is looked for again."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(promised(), PENDING, PENDING)) as desk:
        desk.start("a", deferred=Shelf())
        await anyio.sleep(5.0)
        why = desk.broker.why("a")
        assert why is not None
        assert (why.obstacle, why.detail) == ("deferred", "waits for the deferred answer one")
        assert why.expected == pytest.approx(3.0, abs=0.01)
        assert why.waited == pytest.approx(0.0, abs=0.01)
        assert str(why) == "waits for the deferred answer one; looked for again in 3.0 s"
        shown = desk.of()
        assert (shown.queued, shown.in_flight, shown.why) == (1, 0, str(why))


async def test_why_a_look_waits(virtual: LoopClock) -> None:
    """A look that has to wait for room says for what it waits, and what for."""
    async with at_work(virtual, "1 requests / 10s", api=ScriptedApi(promised())) as desk:
        desk.start("a", deferred=Shelf())
        await anyio.sleep(5.0)
        why = desk.broker.why("a")
        assert why is not None
        assert why.obstacle == "window"
        assert why.detail == "1 of 1 requests / 10s used, to fetch the deferred answer one"
        assert why.waited == pytest.approx(3.0, abs=0.01)


async def test_why_a_failed_look_waits(virtual: LoopClock) -> None:
    """A retry is a retry, also that of a look."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(promised(), BROKEN, BROKEN)) as desk:
        desk.start("a", deferred=Shelf())
        await anyio.sleep(3.5)
        why = desk.broker.why("a")
        assert why is not None
        assert (why.obstacle, why.detail) == ("retry", "retry 2 waits for its turn")
