"""An urgent request is instant under full load, from the first second on."""

from __future__ import annotations

from random import Random

import anyio
import pytest

from supervisor.clock import LoopClock
from supervisor.messages import TrafficClass
from tests.broker.desk import Desk, at_work
from tests.upstream.api import Answer, ScriptedApi

LIMITS = "100 requests / 1s", "3000 requests / 60s"
CLASSES = TrafficClass("urgent", priority=0, share=0.1), TrafficClass("batch", priority=80)
END = 3.2


async def again_and_again(desk: Desk, clock: LoopClock, name: str) -> None:
    """Ask one request after the other."""
    number = 0
    while clock.monotonic() < END:
        number += 1
        await desk.ask(f"{name}-{number}", "batch")


@pytest.mark.parametrize("seed", [3, 14])
async def test_the_urgent_hardly_wait_in_the_first_seconds(virtual: LoopClock, seed: int) -> None:
    """What a slower limit leaves idle in a window anyway is kept free in it: it costs nothing."""
    dice, waits = Random(seed), list[float]()

    async def ask(name: str) -> None:
        began = virtual.monotonic()
        await desk.ask(name, "urgent")
        waits.append(virtual.monotonic() - began - 0.2)

    api = ScriptedApi(default=Answer(after=0.2))
    async with (
        at_work(virtual, *LIMITS, api=api, classes=CLASSES, jitter=0.05) as desk,
        anyio.create_task_group() as tasks,
    ):
        for number in range(90):
            tasks.start_soon(again_and_again, desk, virtual, f"batch-{number}")
        for half in range(6):
            await anyio.sleep(0.5 * (half + dice.random()) - virtual.monotonic())
            tasks.start_soon(ask, f"urgent-{half}")
    assert len(waits) == 6
    assert max(waits) <= 0.05
