"""However attempts end, in however many lives: what the API charges never exceeds a budget."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import anyio
import httpx
import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supervisor.broker.broker import Broker
from supervisor.budget import Budget
from supervisor.clock import LoopClock
from supervisor.errors import RequestError
from supervisor.ledger.prices import Price, Prices
from supervisor.messages import TrafficClass
from supervisor.quota.budgets import BudgetSnapshot
from supervisor.testing import VirtualLoop
from tests.broker.desk import broker_of, request
from tests.broker.ledgers import WatchedLedger
from tests.upstream.api import (
    BROKEN,
    CAPACITY,
    DONE,
    EVENTS,
    JSON,
    QUOTA,
    ScriptedApi,
    completion,
    delta,
    event,
    flat,
)

DOLLAR = 10_000_000_000
PRICE = DOLLAR // 10
"""Of each answer by the list, and so what is reserved for it."""
PRICES = Prices({"grok-4.7": Price(Decimal(0), Decimal(0), Decimal(100))})
TOKENS = {"prompt_tokens": 10, "completion_tokens": 1_000, "total_tokens": 1_010}
HALF = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
TOTAL = Budget.parse("1 usd / day")
CLASSES = (TrafficClass("code", budget=("0.6 usd / day",)), TrafficClass("memory"))

FREE = ("400", "429", "capacity", "500", "500 cut", "unreachable")
"""What certainly costs nothing."""
PAID = ("ticks", "usage", "silent", "timeout", "cut", "stall")
"""What is paid for: the last four without a word of the price."""
ERRORS = {
    "400": (400, flat("invalid-argument", "temperature is too high")),
    "429": (429, QUOTA.body),
    "capacity": (429, CAPACITY.body),
    "500": (500, BROKEN.body),
}


@dataclass(slots=True)
class Charge:
    """What the API charges for one attempt.

    Attributes:
        of: The class that asked.
        ticks: The price.
        told: The price has been told, or that there is none.
    """

    of: str
    ticks: int
    told: bool = False


class Meter(ScriptedApi):
    """Charges for all it answers or begins to answer, whether or not anybody hears it.

    Args:
        fates: What becomes of the first, second … attempt; the others are answered.

    Attributes:
        fates: Those that are left.
        charges: In the order of the attempts.
    """

    def __init__(self, fates: Sequence[str]) -> None:
        super().__init__()
        self.fates = deque(fates)
        self.charges: list[Charge] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        document: dict[str, Any] = orjson.loads(request.content)
        fate = self.fates.popleft() if self.fates else "usage"
        if fate == "unreachable":
            raise httpx.ConnectError("nobody there")
        of, ticks = document["user"].partition("-")[0], PRICE // (1 + (fate == "ticks"))
        charge = Charge(of, 0 if fate in FREE else ticks)
        self.charges.append(charge)
        await anyio.sleep(1_000.0 if fate == "stall" else 1.0)
        if fate in FREE:
            charge.told = True
            if fate == "500 cut":
                return httpx.Response(500, stream=_Body(self._cut()))
            status, body = ERRORS[fate]
            assert isinstance(body, bytes)
            return httpx.Response(status, content=body)
        if fate == "timeout":
            raise httpx.ReadTimeout("no answer")
        streams = request.headers["accept"] == "text/event-stream"
        chunks = self._stream if streams else self._whole
        headers = EVENTS if streams else JSON
        return httpx.Response(200, headers=headers, stream=_Body(chunks(fate, charge)))

    async def _cut(self) -> AsyncIterator[bytes]:
        yield b"half"
        raise httpx.ReadError("cut")

    async def _whole(self, fate: str, charge: Charge) -> AsyncIterator[bytes]:
        charge.told = fate in {"ticks", "usage"}
        whole = completion(10, 1_000, **_price(fate)) if charge.told else b'{"choices": []}'
        yield whole[: 10 if fate == "cut" else None]
        if fate == "cut":
            raise httpx.ReadError("cut")

    async def _stream(self, fate: str, charge: Charge) -> AsyncIterator[bytes]:
        # Some APIs count on with each chunk: what a part used is not the price.
        so_far = {} if fate == "silent" else {"usage": HALF}
        for _ in range(2):
            choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
            yield event({"choices": [choice], **so_far})
            await anyio.sleep(1.0)
        if fate == "cut":
            raise httpx.ReadError("cut")
        yield delta("", finish="stop")
        if fate != "silent":
            charge.told = True
            yield event({"choices": [], "usage": {**TOKENS, **_price(fate)}})
        yield DONE


def _price(fate: str) -> dict[str, int]:
    return {"cost_in_usd_ticks": PRICE // 2} if fate == "ticks" else {}


class _Body(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody asks.

    Attributes:
        of: The class.
        at: Seconds after the start of the process.
        stream: Whether it is streamed.
        patience: Seconds after which whoever asks hangs up.
    """

    of: str
    at: float
    stream: bool
    patience: float


@dataclass(frozen=True, slots=True)
class Life:
    """A process from its start to its end.

    Attributes:
        questions: What it is asked.
        seconds: How long it lives.
        killed: It ends by kill -9, else in good order.
    """

    questions: Sequence[Question]
    seconds: float
    killed: bool


LAST = Life([Question("memory", 0.0, stream=False, patience=900.0)] * 11, 600.0, killed=False)
"""Everybody asks for more than there is, and all is answered."""
NONE = Life([], 0.0, killed=False)
MOMENTS = st.sampled_from([0.37, 1.41, 2.83, 7.19, 90.71])
QUESTIONS = st.builds(
    Question, st.sampled_from(["code", "memory"]), st.just(0.0) | MOMENTS, st.booleans(), MOMENTS
)
LIVES = st.builds(Life, st.lists(QUESTIONS, max_size=12), MOMENTS, st.booleans())


async def _ask(broker: Broker, name: str, question: Question) -> None:
    await anyio.sleep(question.at)
    asked = request(name, question.of, stream=question.stream)
    with anyio.move_on_after(question.patience):
        try:
            if not question.stream:
                await broker.ask(asked)
                return
            async with broker.stream(asked) as reply:
                async for _ in reply:
                    pass
        except RequestError:
            pass


async def _live(
    life: Life, number: int, *, meter: Meter, ledger: WatchedLedger
) -> Sequence[BudgetSnapshot]:
    """What the budgets show at the end of a process."""
    broker = broker_of(
        meter, LoopClock(), ledger=ledger, prices=PRICES, budgets=(TOTAL,), max_retries=1
    )
    for traffic_class in CLASSES:
        broker.set_class(traffic_class)
    async with anyio.create_task_group() as process:
        await process.start(broker.run)
        for each, question in enumerate(life.questions):
            process.start_soon(_ask, broker, f"{question.of}-{number}-{each}", question)
        await anyio.sleep(life.seconds)
        if life.killed:
            # It settles nothing: this ledger drops what it does not know.
            ledger.recorded = []
        process.cancel_scope.cancel()
    return broker.snapshot().budgets


async def _check(fates: Sequence[str], lives: Sequence[Life]) -> None:
    meter, ledger = Meter(fates), WatchedLedger()
    for number, life in enumerate(lives):
        shown = await _live(life, number, meter=meter, ledger=ledger)
        if life.killed:
            shown = await _live(NONE, number, meter=meter, ledger=ledger)
        _compare(shown, meter.charges)
    meter.fates.clear()
    shown = await _live(LAST, len(lives), meter=meter, ledger=ledger)
    _compare(shown, meter.charges)
    assert min(one.left for one in shown) < PRICE


def _compare(budgets: Sequence[BudgetSnapshot], charges: Sequence[Charge]) -> None:
    for one in budgets:
        own = [each for each in charges if one.of in {"all", each.of}]
        assert sum(each.ticks for each in own) <= one.amount
        assert (one.spent, one.reserved) == (sum(each.ticks for each in own if each.told), 0)
        assert one.unpriced == PRICE * sum(not each.told for each in own)


@settings(max_examples=30)
@given(
    fates=st.lists(st.sampled_from([*FREE, *PAID]), max_size=25),
    lives=st.lists(LIVES, min_size=1, max_size=3),
)
@example(
    fates=["timeout", "timeout", "500 cut"],
    lives=[Life([Question("code", 0.0, stream=False, patience=90.71)] * 2, 90.71, killed=True)],
)
@example(
    fates=["cut"],
    lives=[Life([Question("code", 0.0, stream=True, patience=90.71)], 90.71, killed=False)],
)
def test_what_is_charged_is_counted(fates: Sequence[str], lives: Sequence[Life]) -> None:
    """Each attempt that the API may charge for is counted once, at its price or its reservation.

    So no budget is exceeded where reservations are as high as prices. What certainly cost nothing
    is free again, so all of a budget can be spent. The next process shows the same.
    """
    anyio.run(_check, fates, lives, backend_options={"loop_factory": VirtualLoop})
