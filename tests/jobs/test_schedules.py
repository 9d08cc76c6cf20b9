"""Schedules hand their jobs in by the clock, each once, and say what keeps them from it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import anyio
import pytest
from structlog.testing import capture_logs

from supervisor.clock import LoopClock
from supervisor.config.schedule import ScheduleSettings
from supervisor.errors import InvalidJobInput, StoreError, UnknownRole, UnknownSchedule
from supervisor.jobs import Job, JobStatus
from supervisor.jobs.schedules import Schedules
from supervisor.jobs.timetable import Place
from supervisor.messages import JsonValue
from tests.jobs.queued import queued

START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
HOUR = 3600.0
HOURLY = ScheduleSettings(cron="@hourly", role="memory", input={"index": ["docs"]}, priority=80)


@dataclass
class World:
    """A desk, a timetable and a clock that outlive the process.

    Attributes:
        jobs: What was handed in, by key or number.
        places: How far the schedules have come.
        refusal: Why nothing can be handed in.
        forgetful: Whether nothing can be noted.
        offset: Seconds by which the wall clock was set.
    """

    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    submissions: int = 0
    moments: dict[str, str] = field(default_factory=dict[str, str])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    refusal: Exception | None = None
    forgetful: bool = False
    offset: float = 0.0

    def check(self, role: str, job_input: JsonValue) -> None:
        if self.refusal:
            raise self.refusal

    async def submit(
        self, role: str, job_input: JsonValue, *, key: str = "", priority: int | None = None
    ) -> Job:
        self.check(role, job_input)
        self.submissions += 1
        name = key or str(len(self.jobs))
        job = queued(name, role, job_input, created=self.wall(), key=key, priority=priority)
        return self.jobs.setdefault(name, job)

    async def get(self, job_id: str) -> Job:
        return self.jobs[job_id]

    async def keep(self, moments: Mapping[str, str], *, now: float) -> Mapping[str, Place]:
        for name, text in moments.items():
            if self.moments.get(name) != text:
                self.places[name] = Place(now)
        self.moments = dict(moments)
        return {name: self.places[name] for name in moments}

    async def note(self, name: str, place: Place) -> None:
        if self.forgetful:
            raise StoreError("the job store failed: disk full")
        self.places[name] = place

    def monotonic(self) -> float:
        return LoopClock().monotonic()

    def wall(self) -> float:
        return LoopClock(START).wall() + self.offset

    def schedules(self, **schedules: ScheduleSettings) -> Schedules:
        return Schedules(schedules or {"index": HOURLY}, desk=self, timetable=self, clock=self)


@asynccontextmanager
async def at_work(world: World, **schedules: ScheduleSettings) -> AsyncGenerator[Schedules]:
    """Schedules that run until the block ends."""
    made = world.schedules(**schedules)
    async with anyio.create_task_group() as tasks:
        await tasks.start(made.run)
        yield made
        tasks.cancel_scope.cancel()


@pytest.fixture
def world(virtual: LoopClock) -> World:
    """A world in which nothing was handed in yet."""
    return World()


async def test_each_moment_gets_one_job(world: World) -> None:
    """Six hours of an hourly schedule are six jobs, on time, as the configuration says."""
    async with at_work(world) as schedules:
        await anyio.sleep(6 * HOUR + 1)
        (seen,) = schedules.snapshot()
    assert len(world.jobs) == world.submissions == 6
    assert world.jobs["schedule index 2026-03-01T01:00:00Z"].created - START - HOUR < 0.01
    assert {(job.role, job.priority) for job in world.jobs.values()} == {("memory", 80)}
    assert {str(job.input) for job in world.jobs.values()} == {"{'index': ['docs']}"}
    assert (seen.name, seen.next, seen.last, seen.problem) == (
        "index",
        START + 7 * HOUR,
        START + 6 * HOUR,
        "",
    )
    assert seen.job == "schedule index 2026-03-01T06:00:00Z"


async def test_a_moment_is_not_lost_between_two_processes(world: World) -> None:
    """A process that dies before it has noted anything leaves a moment that finds its job."""
    world.forgetful = True
    async with at_work(world) as schedules:
        await anyio.sleep(HOUR + 1)
        assert "disk full" in schedules.snapshot()[0].problem
    world.forgetful = False
    async with at_work(world):
        await anyio.sleep(1)
    assert list(world.jobs) == ["schedule index 2026-03-01T01:00:00Z"]
    assert world.places["index"].settled == START + HOUR


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("skip", 0)])
async def test_an_absence(world: World, missed: str, count: int) -> None:
    """What passed while nobody was there gets one job for all or none, as configured."""
    hourly = HOURLY.model_copy(update={"missed": missed})
    async with at_work(world, index=hourly):
        pass
    await anyio.sleep(10 * HOUR + 600)
    with capture_logs() as logs:
        async with at_work(world, index=hourly):
            await anyio.sleep(1)
            assert len(world.jobs) == count
            await anyio.sleep(HOUR)
    assert len(world.jobs) == count + 1
    skipped = [log["moment"] for log in logs if log["event"] == "jobs.schedule_skipped"]
    assert skipped == ["2026-03-01T10:00:00Z"] * (1 - count)


async def test_a_clock_that_is_set(world: World) -> None:
    """Set back, the hours that come again have their jobs; set forward, one stands for all."""
    async with at_work(world):
        await anyio.sleep(3 * HOUR + 1)
        assert len(world.jobs) == 3
        world.offset -= 2 * HOUR
        await anyio.sleep(2 * HOUR)
        assert len(world.jobs) == 3
        await anyio.sleep(HOUR)
        assert len(world.jobs) == 4
        world.offset += 100 * HOUR
        await anyio.sleep(15.1)
        assert len(world.jobs) == 5


async def test_what_keeps_a_schedule_from_its_work_is_said_once(world: World) -> None:
    """An unknown role is an error in the log and in the view before the moment has come, and
    when the role is there the missed moment gets its job."""
    world.refusal = UnknownRole('no role is called "memory"', hint="there are: ceo")
    with capture_logs() as logs:
        async with at_work(world) as schedules:
            await anyio.sleep(60)
            assert "no role is called" in schedules.snapshot()[0].problem
            await anyio.sleep(2 * HOUR)
            world.refusal = InvalidJobInput("memory does not take this input")
            await anyio.sleep(60)
            world.refusal = None
            await anyio.sleep(15.1)
            assert schedules.snapshot()[0].problem == ""
    refused = [log["error"] for log in logs if log["event"] == "jobs.schedule_refused"]
    assert len(refused) == 2
    assert "no role is called" in refused[0]
    assert list(world.jobs) == ["schedule index 2026-03-01T02:00:00Z"]


async def test_a_schedule_can_be_run_by_hand(world: World) -> None:
    """A job by hand is one beside the moments, and the last one that is shown."""
    async with at_work(world) as schedules:
        assert await schedules.last_status("index") is None
        first, second = [await schedules.run_now("index") for _ in range(2)]
        assert first.id != second.id
        assert schedules.snapshot()[0].job == second.id
        world.jobs[second.id] = replace(second, status=JobStatus.DONE)
        assert await schedules.last_status("index") is JobStatus.DONE
        await anyio.sleep(HOUR + 1)
        assert len(world.jobs) == 3
        with pytest.raises(UnknownSchedule, match=r'no schedule is called "nobody" \(.*: index\)'):
            await schedules.run_now("nobody")
    assert repr(schedules) == "<Schedules index>"


async def test_by_hand_before_the_first_look(world: World) -> None:
    """A job by hand needs no schedule that runs; nothing is noted then."""
    job = await world.schedules().run_now("index")
    assert world.places == {}
    assert job.id in world.jobs


async def test_without_schedules_nothing_happens(world: World) -> None:
    """No schedule, no look at the clock."""
    made = Schedules({}, desk=world, timetable=world, clock=world)
    with anyio.move_on_after(100 * HOUR):
        await made.run()
    assert world.submissions == 0
    assert repr(made) == "<Schedules none>"
