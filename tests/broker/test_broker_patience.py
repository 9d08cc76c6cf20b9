"""Who would rather wait for a refused key than be told of it."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from supervisor.broker.patience import Patience
from supervisor.clock import LoopClock
from supervisor.errors import KeyUnusable, LedgerUnavailable
from tests.broker.desk import Desk, at_work, request
from tests.broker.ledgers import FULL_DISK
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


async def test_a_ledger_that_fails_is_waited_for(virtual: LoopClock) -> None:
    """Ever more slowly: what could not be written down has used its place in the windows."""
    told: list[str] = []
    async with at_work(virtual, MINUTE) as desk:
        desk.ledger.broken = FULL_DISK
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patiently, desk, "a", told)
            await anyio.sleep(130)
            assert not desk.api.arrivals
            assert desk.of().since_start.failed == 9  # after 0, 1, 3, 7, 15, 31, 63, 95, 127 s
            desk.ledger.broken = None
        assert virtual.monotonic() < 130 + 32
    assert (desk.api.names, told) == (["a"], ["a"])


async def test_a_ledger_that_fails_is_told_at_once_to_who_has_no_patience(
    virtual: LoopClock,
) -> None:
    """A caller learns that it was not sent, and when to try again."""
    async with at_work(virtual, MINUTE) as desk:
        desk.ledger.broken = FULL_DISK
        with pytest.raises(LedgerUnavailable, match="disk is full") as refused:
            await desk.broker.ask(request("a"))
    assert (refused.value.status, refused.value.retry_after) == (503, 5.0)
