"""Virtual time: hours pass in no time, in the same order as they would in real time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import anyio
import pytest
from aiolimiter import AsyncLimiter
from anyio import to_thread

from supervisor.clock import LoopClock, SystemClock
from supervisor.testing import VirtualLoop, run_virtual

A_MONTH = 30 * 86_400.0


def quickly(main: Callable[[], Awaitable[float]]) -> float:
    """Run in virtual time and make sure that hardly any real time went by."""
    clock = SystemClock()
    began = clock.monotonic()
    result = run_virtual(main)
    assert clock.monotonic() - began < 5.0
    return result


def test_a_month_of_sleep_costs_nothing() -> None:
    """The clock jumps to the next timer instead of waiting for it."""

    async def main() -> float:
        began = anyio.current_time()
        await anyio.sleep(A_MONTH)
        return anyio.current_time() - began

    assert quickly(main) == pytest.approx(A_MONTH)


def test_it_never_wakes_too_early() -> None:
    """Whoever sleeps for a while sleeps at least that long, and hardly longer."""

    async def main() -> float:
        dice = Random(1)
        for _ in range(300):
            pause = dice.expovariate(1.0)
            began = anyio.current_time()
            await anyio.sleep(pause)
            assert pause - 1e-6 <= anyio.current_time() - began <= pause + 1e-6
        return anyio.current_time()

    quickly(main)


def test_timers_go_off_in_their_order() -> None:
    """Tasks that sleep wake in the order of their moments, at their moments."""
    woken: list[tuple[float, float]] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append((seconds, anyio.current_time()))

    async def main() -> float:
        async with anyio.create_task_group() as tasks:
            for seconds in (30.0, 1.0, 3_600.0, 2.0):
                tasks.start_soon(sleeper, seconds)
        return anyio.current_time()

    assert quickly(main) == pytest.approx(3_600.0)
    assert [seconds for seconds, _ in woken] == [1.0, 2.0, 30.0, 3_600.0]
    assert [moment for _, moment in woken] == pytest.approx([1.0, 2.0, 30.0, 3_600.0])


def test_work_that_is_ready_takes_no_time() -> None:
    """While something can run, no timer of a later moment goes off."""

    async def main() -> float:
        timer = anyio.Event()
        asyncio.get_running_loop().call_later(0.001, timer.set)
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert not timer.is_set()
        await timer.wait()
        return anyio.current_time()

    assert quickly(main) == pytest.approx(0.001, abs=1e-4)


def test_every_run_is_the_same() -> None:
    """The moments of two runs are equal to the last bit."""

    async def main() -> list[float]:
        dice, moments = Random(7), list[float]()

        async def worker() -> None:
            for _ in range(20):
                await anyio.sleep(dice.random())
                moments.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(worker)
        return moments

    assert run_virtual(main) == run_virtual(main)


def test_time_outs_obey() -> None:
    """A time-out of an hour ends what would last for ever, at once and at its moment."""

    async def main() -> float:
        with anyio.move_on_after(3_600.0) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        return anyio.current_time()

    assert quickly(main) == pytest.approx(3_600.0)


def test_aiolimiter_obeys() -> None:
    """An hour of a leaky bucket comes out as computed, whatever rounding leaves in it."""

    async def main() -> float:
        limiter = AsyncLimiter(7, 11.0)
        for _ in range(7 + 2_000):
            await limiter.acquire()
        return anyio.current_time()

    assert quickly(main) == pytest.approx(2_000 * 11.0 / 7, rel=1e-6)


def test_a_worker_thread_is_waited_for() -> None:
    """When only a thread can go on, the loop waits for it, and no virtual time passes."""

    async def main() -> float:
        assert await to_thread.run_sync(lambda: 42) == 42
        return anyio.current_time()

    assert quickly(main) == pytest.approx(0.0, abs=1e-3)


def test_it_starts_where_it_is_told_to() -> None:
    """The loop's first moment can be chosen, and sleeping is exact from there too."""
    loop = VirtualLoop(start=5_000.0)
    try:
        assert loop.time() == 5_000.0
        loop.run_until_complete(asyncio.sleep(10.0))
        assert loop.time() == pytest.approx(5_010.0)
    finally:
        loop.close()


@pytest.mark.parametrize(
    "start",
    [
        0.0,
        1e6,
        2.0**24,
    ],
)
def test_time_creeps_on_while_something_is_ready(start: float) -> None:
    """A timer that is re-armed at the same instant goes off in the end."""
    loop = VirtualLoop(start=start)

    async def turn() -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    try:
        loop.run_until_complete(turn())
        assert start < loop.time() < start + 1e-3
    finally:
        loop.close()


def test_the_clock_of_the_loop_goes_along() -> None:
    """Monotonic and wall time of `LoopClock` move by what was slept."""

    async def main() -> float:
        clock = LoopClock(wall_at_zero=1_000.0)
        await anyio.sleep(60.0)
        assert clock.wall() - 1_000.0 == pytest.approx(clock.monotonic(), abs=1e-6)
        return clock.monotonic()

    assert quickly(main) == pytest.approx(60.0)


def test_arguments_and_results_are_passed_on() -> None:
    """`run_virtual` gives its arguments to the function and its result back."""

    async def add(one: int, other: int) -> int:
        return one + other

    assert run_virtual(add, 2, 3) == 5


def test_errors_are_passed_on() -> None:
    """An exception of the function comes out of `run_virtual`."""

    async def main() -> None:
        await anyio.sleep(1.0)
        raise ValueError("expected")

    with pytest.raises(ValueError, match="expected"):
        run_virtual(main)
