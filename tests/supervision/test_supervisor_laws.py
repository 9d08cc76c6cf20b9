"""Laws that hold whatever crashes, and whatever people do by hand at the same time."""

from __future__ import annotations

import asyncio
from typing import Literal

import anyio
import pytest
from anyio.abc import TaskStatus
from hypothesis import given
from hypothesis import strategies as st

from supervisor.clock import LoopClock
from supervisor.supervision.child import ChildState
from supervisor.supervision.spec import Backoff, ChildSpec, Policy, RestartBudget, Strategy
from supervisor.supervision.supervisor import Supervisor
from supervisor.testing import run_virtual

Deed = tuple[float, Literal["crash", "finish", "restart"], int]

NAMES = "abcd"
PAUSES = st.sampled_from([0.0, 0.0, 0.1, 0.3, 1.0, 2.0])
DEEDS = st.lists(
    st.tuples(PAUSES, st.sampled_from(["crash", "crash", "finish", "restart"]), st.integers(0, 3)),
    max_size=12,
)
TIMES = st.tuples(*[st.sampled_from([0.0, 0.2, 1.5])] * len(NAMES))


class Worker:
    """A child that counts how many of it live at once."""

    def __init__(self, *, boot: float, farewell: float) -> None:
        """Not started yet."""
        self.boot = boot
        self.farewell = farewell
        self.living = 0
        self.most = 0
        self.ready_at = -1.0
        self.fate = anyio.Event()
        self.crashes = False

    async def start(self, *, task_status: TaskStatus[None]) -> None:
        """Be the child."""
        self.living += 1
        self.most = max(self.most, self.living)
        self.fate, self.crashes = anyio.Event(), False
        try:
            await anyio.sleep(self.boot)
            self.ready_at = anyio.current_time()
            task_status.started()
            await self.fate.wait()
            if self.crashes:
                raise RuntimeError("boom")
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.farewell)
            self.living -= 1


async def live_through(
    strategy: Strategy, workers: list[Worker], deeds: list[Deed]
) -> tuple[list[ChildState], int]:
    """Do the deeds, wait until all is calm; tell the states then and the tasks left at the end."""
    policy = Policy(
        strategy=strategy,
        budget=RestartBudget(max_restarts=1000),
        backoff=Backoff(initial=0.25, maximum=2, jitter=0),
    )
    specs = [ChildSpec(n, w.start, shutdown=5) for n, w in zip(NAMES, workers, strict=True)]
    supervisor = Supervisor("top", specs, policy=policy, clock=LoopClock())
    before = len(asyncio.all_tasks())
    states: list[ChildState] = []
    async with anyio.create_task_group() as group:
        await group.start(supervisor.run)
        for pause, deed, index in deeds:
            await anyio.sleep(pause)
            if deed == "restart":
                group.start_soon(supervisor.restart_child, NAMES[index])
            else:
                workers[index].crashes = deed == "crash"
                workers[index].fate.set()
        await anyio.sleep(120)
        states.extend(child.state for child in supervisor.which_children())
        group.cancel_scope.cancel()
    return states, len(asyncio.all_tasks()) - before


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one"])
@given(boots=TIMES, farewells=TIMES, deeds=DEEDS)
def test_everything_comes_back_once_and_nothing_leaks(
    strategy: Strategy,
    boots: tuple[float, ...],
    farewells: tuple[float, ...],
    deeds: list[Deed],
) -> None:
    """No child ever lives twice; when the crashes end all are running; no task is left over."""
    workers = [Worker(boot=b, farewell=f) for b, f in zip(boots, farewells, strict=True)]
    states, left = run_virtual(live_through, strategy, workers, deeds)
    assert states == ["running"] * len(NAMES)
    assert [worker.most for worker in workers] == [1] * len(NAMES)
    assert [worker.living for worker in workers] == [0] * len(NAMES)
    assert left == 0


@pytest.mark.slow
@given(boots=TIMES, farewells=TIMES, deeds=DEEDS)
def test_rest_for_one_ends_up_in_order(
    boots: tuple[float, ...], farewells: tuple[float, ...], deeds: list[Deed]
) -> None:
    """Without restarts by hand, each child became ready after the last start of those before it."""
    workers = [Worker(boot=b, farewell=f) for b, f in zip(boots, farewells, strict=True)]
    crashes = [deed for deed in deeds if deed[1] != "restart"]
    run_virtual(live_through, "rest_for_one", workers, crashes)
    moments = [worker.ready_at for worker in workers]
    assert moments == sorted(moments)
