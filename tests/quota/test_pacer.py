"""The one AsyncLimiter: permissions at an even rate, one at a time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import anyio
import pytest

from supervisor.clock import LoopClock
from supervisor.quota.pacer import Pacer

pytestmark = pytest.mark.anyio

BURST = 8
"""Permissions that may come at once at the fastest rate after a quiet time."""


async def paced(fastest: float, *rates: float) -> list[float]:
    """The moments at which permissions come, asked for at these rates and spent at once."""
    moments: list[float] = []
    ready = asyncio.Event()
    pacer = Pacer(fastest, ready.set)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pacer.run)
        for rate in rates:
            ready.clear()
            pacer.want(rate)
            await ready.wait()
            assert pacer.permission
            moments.append(anyio.current_time())
            pacer.spend()
        tasks.cancel_scope.cancel()
    return moments


def gaps(moments: list[float]) -> list[float]:
    """Seconds between one and the next."""
    return [after - before for before, after in pairwise(moments)]


async def test_the_fastest_rate_is_kept(virtual: LoopClock) -> None:
    """In the long run no more permissions come than the fastest rate allows."""
    moments = await paced(2.0, *[2.0] * 28)
    assert moments[-1] - moments[0] == pytest.approx((28 - BURST) / 2.0, abs=0.1)
    assert gaps(moments)[-5:] == pytest.approx([0.5] * 5, abs=0.01)


@pytest.mark.parametrize("part", [1.0, 0.5, 0.25, 0.125])
async def test_a_slower_rate_is_kept(virtual: LoopClock, part: float) -> None:
    """A rate that is a part of the fastest gives its permissions evenly that much further apart."""
    moments = await paced(2.0, *[2.0 * part] * 20)
    assert gaps(moments)[-5:] == pytest.approx([0.5 / part] * 5, abs=0.01)


async def test_a_very_slow_rate_is_kept(virtual: LoopClock) -> None:
    """The slowest pace that `Pace` asks for, a fiftieth of the fastest, is kept too."""
    moments = await paced(1.0, *[1 / 50] * 4)
    assert gaps(moments)[-2:] == pytest.approx([50.0] * 2, abs=0.1)


async def test_the_rate_may_change_between_permissions(virtual: LoopClock) -> None:
    """Each permission is paid for at the rate that was asked for it."""
    moments = await paced(1.0, *[1.0] * 12, 0.25, 1.0, 0.25)
    assert gaps(moments)[-3:] == pytest.approx([4.0, 1.0, 4.0], abs=0.01)


async def test_the_newest_wish_counts(virtual: LoopClock) -> None:
    """A faster rate that is asked for while a slow permission is waited for holds from then on."""
    ready = asyncio.Event()
    pacer = Pacer(1.0, ready.set)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pacer.run)
        for rate in (*[1.0] * 10, 1 / 50):
            await asyncio.sleep(0.5)
            pacer.spend()
            pacer.want(rate)
        await anyio.sleep(5.0)
        pacer.spend()
        ready.clear()
        pacer.want(1.0)
        began = anyio.current_time()
        await ready.wait()
        assert anyio.current_time() - began <= 10.0
        tasks.cancel_scope.cancel()


async def test_there_is_one_permission_at_a_time(virtual: LoopClock) -> None:
    """Asking again while one is there gives no second one, and idle time saves none up."""
    ready: list[float] = []
    pacer = Pacer(1.0, lambda: ready.append(anyio.current_time()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pacer.run)
        for _ in range(3):
            pacer.want(1.0)
            await anyio.sleep(100.0)
            assert pacer.permission
        pacer.spend()
        await anyio.sleep(100.0)
        assert not pacer.permission
        tasks.cancel_scope.cancel()


async def test_a_permission_is_announced(virtual: LoopClock) -> None:
    """Whoever asked is told at the moment at which the permission is there."""
    ready: list[float] = []
    pacer = Pacer(0.5, lambda: ready.append(anyio.current_time()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pacer.run)
        for _ in range(BURST + 1):
            pacer.want(0.5)
            await anyio.sleep(2.001)
            pacer.spend()
        tasks.cancel_scope.cancel()
    assert len(ready) == BURST + 1


async def test_without_a_wish_nothing_comes(virtual: LoopClock) -> None:
    """Nobody is given what nobody asked for."""
    pacer = Pacer(1.0, lambda: pytest.fail("called"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pacer.run)
        await anyio.sleep(1_000.0)
        tasks.cancel_scope.cancel()
    assert not pacer.permission
