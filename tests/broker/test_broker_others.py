"""Somebody else on the same key, in virtual time: seen in the headers, before it hurts."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import httpx
import pytest

from supervisor.broker.broker import Broker
from supervisor.broker.settings import BrokerSettings
from supervisor.clock import LoopClock
from supervisor.ledger.memory import MemoryLedger
from supervisor.limits import Limit
from supervisor.messages import Request, TrafficClass
from supervisor.simulator.app import app_of
from supervisor.simulator.settings import Settings
from supervisor.simulator.simulation import Simulation
from supervisor.upstream.client import Upstream
from supervisor.upstream.key import Key
from tests.upstream.api import FAKE_KEY

LIMIT = "60 requests / minute"
BODY = b'{"model":"grok-4.7","messages":[{"role":"user","content":"hello"}]}'


@dataclass(frozen=True, slots=True)
class Shared:
    """A simulated key that a broker and somebody else use."""

    simulation: Simulation
    broker: Broker
    http: httpx.AsyncClient

    async def somebody(self, *, every: float, until: float) -> None:
        """Another program that asks and asks, and knows of no limit."""
        while anyio.current_time() < until:
            with anyio.move_on_after(every):
                await self.http.post("/chat/completions", content=BODY)
                await anyio.sleep_forever()

    async def ask(self, count: int) -> None:
        """All of ours, at once."""

        async def one(number: int) -> None:
            request = Request(id=f"r{number}", traffic_class="code", body=BODY, model="grok-4.7")
            await self.broker.ask(request)

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(one, number)


class Deaf(httpx.AsyncBaseTransport):
    """A transport that drops the headers about limits."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        for name in list(response.headers):
            if name.startswith("x-ratelimit"):
                del response.headers[name]
        return response


async def refused(clock: LoopClock, *, deaf: bool, every: float, ours: int) -> tuple[int, float]:
    """Refusals of ours, and the time until all of ours were answered."""
    simulation = Simulation(Settings.read({"limits": [LIMIT], "latency": "300ms"}), clock)
    wire = httpx.ASGITransport(app_of(simulation))
    base = "http://simulator/v1"
    upstream = Upstream(base, Key(FAKE_KEY), transport=Deaf(wire) if deaf else wire)
    settings = BrokerSettings((Limit.parse(LIMIT),))
    broker = Broker(
        settings, upstream=upstream, ledger=MemoryLedger(), clock=clock, spread=lambda: 0.0
    )
    broker.set_class(TrafficClass("code"))
    auth = {"authorization": "Bearer xai-somebody-else", "content-type": "application/json"}
    count, took = 0, 0.0
    async with (
        httpx.AsyncClient(transport=wire, base_url=base, headers=auth, timeout=None) as http,
        anyio.create_task_group() as tasks,
    ):
        await tasks.start(broker.run)
        shared = Shared(simulation, broker, http)
        began = anyio.current_time()
        tasks.start_soon(lambda: shared.somebody(every=every, until=began + 3600))
        await anyio.sleep(90)
        await shared.ask(ours)
        took = anyio.current_time() - began - 90
        count = broker.snapshot().classes[0].refused
        tasks.cancel_scope.cancel()
    return count, took


@pytest.mark.parametrize("every", [2.0, 5.0])
async def test_headers_spare_the_refusals(virtual: LoopClock, every: float) -> None:
    """Somebody uses a part of the limit: with the headers hardly any of ours is refused for it."""
    blind, _ = await refused(virtual, deaf=True, every=every, ours=200)
    seeing, took = await refused(virtual, deaf=False, every=every, ours=200)
    assert seeing <= 4
    assert blind > seeing
    # What the other leaves of the limit is used: 60 a minute less its own.
    assert took <= 1.15 * 60 * 200 / (60 - 60 / every) + 60


async def test_alone_it_costs_nothing(virtual: LoopClock) -> None:
    """Where nobody else is, reading the headers makes nothing slower."""
    _, blind = await refused(virtual, deaf=True, every=1e6, ours=200)
    _, seeing = await refused(virtual, deaf=False, every=1e6, ours=200)
    assert seeing == pytest.approx(blind, abs=0.01)
