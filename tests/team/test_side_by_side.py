"""What a handler asks side by side is paid for once, whatever becomes of the handler meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import anyio.lowlevel
import httpx
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from supervisor.jobs import JobStatus
from supervisor.jobs.answers import Record
from supervisor.jobs.engine import Recorder
from tests.team.conftest import Api, House

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CRASHING = """
import asyncio

from supervisor import Context, Role

class Crashing(Role[str, int]):
    async def handle(self, job: str, ctx: Context) -> int:
        async def crash() -> None:
            await ctx.ask("quick")
            if not ctx.state.get("crashed"):
                ctx.state["crashed"] = True
                raise ValueError("boom")

        async def read() -> None:
            async for _ in ctx.stream("slow stream"):
                pass

        return len(await asyncio.gather(ctx.ask("slow"), read(), crash()))
"""

GROUPED = """
import asyncio

from supervisor import Context, Role

class Grouped(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ctx.ask("slow"))
            await ctx.ask("quick")
            tasks.create_task(ctx.ask("late"))
            tasks.create_task(ctx.ask("later"))
        return "done"
"""


LEAVING = """
from supervisor import Context, Role

class Leaving(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        try:
            return "".join([piece async for piece in ctx.stream(job)])
        finally:
            ctx.log.info("leaving.left")
"""


@dataclass
class Slow(Api):
    """An API that keeps some waiting.

    Attributes:
        ready: Set when they are to be answered.
        on_quick: Called before what is not kept waiting is answered.
    """

    ready: anyio.Event = field(default_factory=anyio.Event)
    on_quick: Callable[[], None] = lambda: None

    async def handle(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle(request)
        if self.questions[-1].startswith("slow"):
            await self.ready.wait()
        else:
            await until(lambda: "slow" in self.questions)
            self.on_quick()
        return answer

    @property
    def questions(self) -> list[str]:
        """What was asked, in the order of arrival."""
        bodies = cast("list[dict[str, Any]]", self.asked)
        return [str(body["messages"][-1]["content"]) for body in bodies]


@pytest.fixture
def slow(house: House) -> Slow:
    """The house's API."""
    house.api = api = Slow()
    return api


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_a_crash_asks_nothing_again_that_is_under_way(house: House, slow: Slow) -> None:
    """The job runs again when what it has asked beside the crash is answered and on record."""
    house.write("crashing", CRASHING)
    with capture_logs() as logs:
        async with house.open() as team:
            job = await team.submit("crashing", "x")
            await until(lambda: any(log["event"] == "supervision.child_crashed" for log in logs))
            await until(lambda: len(slow.asked) == 3)
            slow.ready.set()
            with anyio.fail_after(10):
                ended = await team.jobs.wait(job.id)
    assert (ended.status, ended.runs, ended.result) == (JobStatus.DONE, 2, 3)
    assert sorted(slow.questions) == ["quick", "slow", "slow stream"]


async def test_a_stop_lets_what_is_under_way_be_answered(house: House, slow: Slow) -> None:
    """What waits is told that the process stops, and takes nothing with it that was sent."""
    house.write("grouped", GROUPED)
    async with house.open() as team:
        # What is asked after that waits.
        slow.on_quick = lambda: house.broker.pause("a test")
        job = await team.submit("grouped", "x")
        await until(lambda: sum(one.queued for one in house.broker.snapshot().classes) == 2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.broker.drain, 10.0)
            await until(lambda: house.broker.snapshot().state == "draining")
            await anyio.wait_all_tasks_blocked()
            slow.ready.set()
    slow.on_quick = lambda: None
    async with house.open() as team:
        with anyio.fail_after(10):
            ended = await team.jobs.wait(job.id)
    assert (ended.status, ended.runs) == (JobStatus.DONE, 2)
    assert sorted(slow.questions) == ["late", "later", "quick", "slow"]


async def test_a_stop_lets_a_streamed_answer_be_written_down(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is whole is paid for: who reads it is not done before it is on record."""
    house.write("leaving", LEAVING)
    writing, let_go, record = anyio.Event(), anyio.Event(), Recorder.record
    ended: list[str] = []

    async def slowly(recorder: Recorder, one: Record) -> None:
        writing.set()
        await let_go.wait()
        await record(recorder, one)
        ended.append("written")

    async def let() -> None:
        await anyio.wait_all_tasks_blocked()
        let_go.set()

    def note(_: object, __: str, event: EventDict) -> EventDict:
        if event["event"] == "leaving.left":
            ended.append("left")
        return event

    monkeypatch.setattr(Recorder, "record", slowly)
    with capture_logs([note]):
        async with house.open() as team:
            job = await team.submit("leaving", "x")
            await writing.wait()
            letting = asyncio.create_task(let())
        await letting
        async with house.open() as team:
            with anyio.fail_after(10):
                await team.jobs.wait(job.id)
    assert ended == ["written", "left", "left"]
    assert len(house.api.asked) == 1
