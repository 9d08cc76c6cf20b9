"""The money of answers that are fetched later, over kills: memory and ledger agree at all times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import anyio
import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supervisor.broker.broker import Broker
from supervisor.clock import LoopClock
from supervisor.errors import RequestError
from supervisor.ledger.prices import Price, Prices
from supervisor.ledger.prices import ticks as in_ticks
from supervisor.messages import TrafficClass
from supervisor.testing import VirtualLoop
from tests.broker.deferrals import Shelf
from tests.broker.desk import broker_of, request
from tests.broker.ledgers import WatchedLedger
from tests.upstream.api import JSON, ScriptedApi, completion

DOLLAR = 10_000_000_000
PRICES = Prices({"grok-4.7": Price(Decimal(0), Decimal(0), Decimal(100))})
"""An answer of 1,000 tokens costs 10 cents."""
CODE = TrafficClass("code", budget=("1.5 usd / day",))
AT_MOST = 15
JOBS = 20


class Vault(ScriptedApi):
    """Promises each answer, has it after a while, and gives it once.

    Attributes:
        slow: Seconds that it takes.
        posts: Answers that it was asked for, and bills.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slow = 1.0
        self.posts = 0
        self._ready: dict[str, float] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.posts += 1
            name = f"p{self.posts}"
            self._ready[name] = anyio.current_time() + self.slow
            return httpx.Response(200, json={"request_id": name})
        name = request.url.path.rpartition("/")[2]
        if anyio.current_time() < self._ready.get(name, 0.0):
            return httpx.Response(202)
        if self._ready.pop(name, None) is None:
            return httpx.Response(404, json={"code": "not-found", "error": "no such answer"})
        return httpx.Response(200, headers=JSON, content=completion(10, 1_000))


@dataclass(frozen=True, slots=True)
class Life:
    """A process, and how slow the API is meanwhile; in seconds."""

    seconds: float
    slow: float
    catch_up: bool


async def _job(broker: Broker, name: str, shelf: Shelf, done: set[str]) -> None:
    try:
        await broker.ask(request(name, deferred=shelf))
    except RequestError:
        return
    done.add(name)


async def _agree(broker: Broker, ledger: WatchedLedger) -> None:
    """What counts in memory is what the ledger says."""
    (shown,) = broker.snapshot().budgets
    reserved = sum(in_ticks(one.cost) for one in await ledger.reserved_since(0.0))
    spent = sum(in_ticks(one.cost) for one in await ledger.costs_since(0.0))
    assert (shown.spent, shown.reserved + shown.unpriced) == (spent, reserved)


async def _live(life: Life, api: Vault, ledger: WatchedLedger, jobs: dict[str, Shelf]) -> set[str]:
    """Go on with all jobs until the process is killed.

    Returns:
        Those that are done.
    """
    api.slow, done = life.slow, set[str]()
    broker = broker_of(api, LoopClock(), ledger=ledger, prices=PRICES)
    broker.set_class(CODE)
    async with anyio.create_task_group() as process:
        await process.start(broker.run)
        await _agree(broker, ledger)
        for name, shelf in jobs.items():
            process.start_soon(_job, broker, name, shelf, done)
        for _ in range(5):
            await anyio.sleep(life.seconds / 5)
            await _agree(broker, ledger)
            if life.catch_up:
                await broker.catch_up()
                await _agree(broker, ledger)
        # It settles nothing: this ledger drops what it does not know.
        ledger.recorded = []
        process.cancel_scope.cancel()
    return done


async def _check(lives: Sequence[Life]) -> None:
    api, ledger = Vault(), WatchedLedger()
    jobs = {str(number): Shelf() for number in range(JOBS)}
    for life in [*lives, Life(7_200.0, 1.0, catch_up=True)]:
        for name in await _live(life, api, ledger, jobs):
            del jobs[name]
        assert api.posts <= AT_MOST
    assert api.posts == AT_MOST
    assert sum(in_ticks(one.cost) for one in await ledger.costs_since(0.0)) == 15 * DOLLAR // 10
    assert not await ledger.reserved_since(0.0)


LIVES = st.builds(
    Life,
    st.sampled_from([1.3, 9.7, 60.1, 400.9]),
    st.sampled_from([0.0, 1.0, 50.0, 1_000.0]),
    st.booleans(),
)


@settings(max_examples=12)
@given(lives=st.lists(LIVES, max_size=4))
@example(lives=[Life(300.0, 1.0, catch_up=False), Life(9.7, 50.0, catch_up=False)] * 3)
@example(lives=[Life(9.7, 1_000.0, catch_up=True)] * 20)
def test_what_is_promised_is_paid_for_once(lives: Sequence[Life]) -> None:
    """However often a process is killed: what the API will bill is reserved, and then spent."""
    anyio.run(_check, lives, backend_options={"loop_factory": VirtualLoop})
