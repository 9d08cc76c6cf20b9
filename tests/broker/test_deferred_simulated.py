"""Deferred answers against the simulated API, which keeps each for a day and gives it once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import pytest

from supervisor.broker.broker import Broker
from supervisor.broker.settings import BrokerSettings
from supervisor.clock import LoopClock
from supervisor.limits import Limit
from supervisor.messages import Promise, Request
from supervisor.simulator.app import app_of
from supervisor.simulator.settings import Settings
from supervisor.simulator.simulation import Simulation
from supervisor.upstream.client import Upstream
from supervisor.upstream.key import Key
from tests.broker.deferrals import Shelf
from tests.broker.desk import CODE
from tests.broker.ledgers import WatchedLedger
from tests.upstream.api import FAKE_KEY

BODY = b'{"model":"grok-4.7","messages":[{"role":"user","content":"hello"}]}'


@dataclass(frozen=True, slots=True)
class Bench:
    """A broker on a simulated API, in virtual time."""

    broker: Broker
    ledger: WatchedLedger
    simulation: Simulation

    @property
    def posts(self) -> int:
        """Questions that came, as the API's judge has counted them."""
        return self.simulation.judge.report().attempts


@asynccontextmanager
async def bench(clock: LoopClock, *limits: str, **settings: Any) -> AsyncGenerator[Bench]:
    """Open one; keyword arguments are the simulator's settings."""
    simulation = Simulation(Settings.read({"limits": list(limits), **settings}), clock)
    transport = httpx.ASGITransport(app_of(simulation))
    upstream = Upstream("http://simulator/v1", Key(FAKE_KEY), transport=transport)
    ledger = WatchedLedger()
    broker = Broker(
        BrokerSettings(tuple(map(Limit.parse, limits))),
        upstream=upstream,
        ledger=ledger,
        clock=clock,
    )
    broker.set_class(CODE)
    async with anyio.create_task_group() as tasks:
        await tasks.start(broker.run)
        yield Bench(broker, ledger, simulation)
        tasks.cancel_scope.cancel()


def question(name: str, shelf: Shelf) -> Request:
    """A chat completion that is to be deferred."""
    return Request(id=name, traffic_class="code", body=BODY, model="grok-4.7", deferred=shelf)


@pytest.mark.parametrize("latency", [0, 50, 7_000])
async def test_asked_once_and_paid_once(virtual: LoopClock, latency: int) -> None:
    """However long it takes: one question, one answer, its tokens and its price counted once."""
    async with bench(virtual, "100 requests / minute", latency=f"{latency}s") as one:
        reply = await one.broker.ask(question("a", Shelf()))
        assert one.posts == 1
        assert reply.json()["object"] == "chat.completion"
        assert latency <= virtual.monotonic() <= max(2.1, min(2 * latency, latency + 301))
        assert reply.usage is not None
        (row,) = await one.ledger.usage()
        assert (row.answered, row.prompt) == (1, reply.usage.prompt)
        assert row.cost == reply.usage.cost
        assert row.attempts == reply.attempts


async def test_who_comes_back_in_time_finds_the_answer(virtual: LoopClock) -> None:
    """Given up in the middle and fetched by another within a day, it is asked for once."""
    shelf = Shelf()
    async with bench(virtual, "100 requests / minute", latency="1h") as one:
        with anyio.move_on_after(600.0):
            await one.broker.ask(question("a", shelf))
        await anyio.sleep(20 * 3_600.0)
        reply = await one.broker.ask(question("b", shelf))
        assert (one.posts, reply.attempts) == (1, 1)


async def test_who_comes_back_too_late_asks_anew(virtual: LoopClock) -> None:
    """After more than a day the answer is gone, and the question is asked once more."""
    shelf = Shelf(Promise("gone", virtual.wall()))
    async with bench(virtual, "100 requests / minute", latency="1s") as one:
        reply = await one.broker.ask(question("a", shelf))
        assert (one.posts, reply.attempts) == (1, 2)


async def test_many_keep_the_limits(virtual: LoopClock) -> None:
    """Posts and looks of many together keep the key's limits, tokens too, and all are answered."""
    limits = ("10 requests / 10s", "100 requests / minute", "5000 tokens / minute")
    async with bench(virtual, *limits, latency="90s") as one:
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(one.broker.ask, question(f"n{number}", Shelf()))
        report = one.simulation.judge.report()
        assert (report.attempts, report.over, report.refused) == (40, 0, 0)
        (row,) = await one.ledger.usage()
        assert row.answered == 40
        await anyio.sleep(120.0)
        assert [window.used for window in one.broker.snapshot().quota.windows] == [0, 0, 0]
