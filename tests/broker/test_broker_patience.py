"""Who would rather wait for a refused key than be told of it."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from supervisor.broker.patience import Patience
from supervisor.clock import LoopClock
from supervisor.errors import KeyUnusable
from tests.broker.desk import Desk, at_work, request
from tests.upstream.api import BAD_KEY, Answer, ScriptedApi, flat

MINUTE = "100 requests / minute"
CLOSED = Answer(429, flat("x", "Too many requests (actual/limit): 0/0"))


async def patiently(desk: Desk, name: str, told: list[str]) -> None:
    """Ask with patience; the answer ends it."""
    await Patience(desk.broker.halt, LoopClock()).ask(
        partial(desk.broker.ask, request(name)), on_wait=lambda error: told.append(name)
    )


async def test_a_mended_key_is_noticed_by_itself(virtual: LoopClock) -> None:
    """One tries each half minute while the others wait, and when it gets through all go on."""
    told: list[str] = []
    async with at_work(virtual, MINUTE, api=ScriptedApi(BAD_KEY, BAD_KEY)) as desk:
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(patiently, desk, f"n{number}", told)
                await anyio.sleep(1)
        assert 60 < virtual.monotonic() < 63
        assert len(desk.api.arrivals) == 2 + 5
    assert sorted(told) == [f"n{number}" for number in range(5)]


async def test_resume_lets_all_go_on(virtual: LoopClock) -> None:
    """Nobody has to wait for the half minute once an operator says that it is mended."""
    told: list[str] = []
    async with at_work(virtual, MINUTE, api=ScriptedApi(BAD_KEY)) as desk:
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(patiently, desk, f"n{number}", told)
                await anyio.sleep(1)
            desk.broker.resume()
        assert virtual.monotonic() < 6
        assert len(desk.api.arrivals) == 1 + 5


async def test_a_closed_model_is_no_matter_of_patience(virtual: LoopClock) -> None:
    """What is refused for the model alone is told at once."""
    told: list[str] = []
    async with at_work(virtual, MINUTE, api=ScriptedApi(CLOSED)) as desk:
        with pytest.raises(KeyUnusable):
            await patiently(desk, "a", told)
    assert told == []
