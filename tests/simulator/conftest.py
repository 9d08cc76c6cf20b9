"""The simulator in virtual time and without a socket, as most of its tests use it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from supervisor.clock import LoopClock
from supervisor.simulator.app import app_of
from supervisor.simulator.settings import Settings
from supervisor.simulator.simulation import Simulation
from tests.simulator.bench import KEY, Bench, OpenBench


@pytest.fixture
def simulated(virtual: LoopClock) -> OpenBench:
    """Open a bench in virtual time; keyword arguments are settings, a clock may go first."""

    @asynccontextmanager
    async def open_bench(clock: LoopClock | None = None, **settings: Any) -> AsyncGenerator[Bench]:
        simulation = Simulation(Settings.read(settings), clock or virtual)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app_of(simulation)),
            base_url="http://simulator",
            headers={"authorization": f"Bearer {KEY}"},
            timeout=None,
        ) as http:
            yield Bench(http, simulation)

    return open_bench
