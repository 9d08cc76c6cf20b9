"""A job that waits for another holds no slot that the other needs."""

from __future__ import annotations

import anyio
import pytest

from supervisor.errors import JobFailed
from supervisor.jobs import JobRun, Jobs, JobStatus, RoleJobs
from supervisor.jobs.run import Seat
from supervisor.jobs.slots import Slots
from supervisor.messages import JsonValue
from tests.jobs.team import Team


class Boss:
    """A handler that delegates to its own role as deep, and as wide, as its input says."""

    def __init__(self) -> None:
        self.jobs: list[Jobs] = []

    async def handle(self, run: JobRun) -> JsonValue:
        depth, width = sizes(run)
        if depth:
            async with anyio.create_task_group() as tasks:
                for number in range(width):
                    tasks.start_soon(self._delegate, run, number)
        return depth

    async def _delegate(self, run: JobRun, number: int) -> None:
        depth, width = sizes(run)
        child = await self.jobs[0].submit(
            run.role,
            {"depth": depth - 1, "width": width},
            key=f"{run.id}/{number}",
            parent=run.id,
        )
        async with run.released():
            ended = await self.jobs[0].wait(child.id)
        if ended.status is not JobStatus.DONE:
            raise JobFailed(f"{number}: {ended.error}")


def sizes(run: JobRun) -> tuple[int, int]:
    """How deep and how wide a run is to delegate."""
    assert isinstance(run.input, dict)
    return run.input["depth"], run.input["width"]


@pytest.mark.parametrize(("depth", "width"), [(3, 1), (2, 2)])
async def test_a_job_can_wait_for_its_own_role(team: Team, depth: int, width: int) -> None:
    """With one slot, a job that delegates to its own role, side by side too, comes to its end."""
    boss = Boss()
    team.add("boss", boss.handle, concurrency=1)
    async with team.at_work() as jobs:
        boss.jobs.append(jobs)
        job = await jobs.wait((await jobs.submit("boss", {"depth": depth, "width": width})).id)
        family = await jobs.list()
        counts = jobs.snapshot().roles["boss"]
    assert (job.status, job.result) == (JobStatus.DONE, depth)
    assert len(family) == sum(width**level for level in range(depth + 1))
    assert {child.parent for child in family} <= {"", *(child.id for child in family)}
    assert (counts.done, counts.running, counts.waiting) == (len(family), 0, 0)


async def test_who_waits_is_seen_and_can_be_cancelled(team: Team) -> None:
    """A job that waits counts as waiting, and is cancelled like any other."""
    away = anyio.Event()
    over = anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        try:
            async with run.released():
                away.set()
                await anyio.sleep_forever()
        finally:
            over.set()
        return None

    team.add("work", handle, concurrency=1)
    team.add("echo")
    async with team.at_work() as jobs:
        job = await jobs.submit("work", 1)
        await away.wait()
        waiting = jobs.snapshot().roles["work"]
        await jobs.cancel(job.id)
        await over.wait()
        await jobs.wait((await jobs.submit("echo", 1)).id)
        after = jobs.snapshot().roles["work"]
        assert "work 0/1" in repr(jobs)
    assert waiting == RoleJobs(concurrency=1, running=1, waiting=1)
    assert after == RoleJobs(concurrency=1, cancelled=1)


class Seats:
    """Seats of one role, and who sits."""

    def __init__(self, limit: int) -> None:
        self.slots = Slots(lambda role: None)
        self.slots.set_limits({"a": limit})

    def take(self) -> Seat:
        self.slots.take("a")
        return Seat(self.slots, "a")

    @property
    def busy(self) -> int:
        return self.slots.busy("a")


async def test_a_seat_is_taken_again_by_the_last_branch_to_come_back() -> None:
    """While one branch of a handler still waits, the others go on without a slot."""
    seats = Seats(1)
    seat = seats.take()
    seat.leave()
    seat.leave()
    assert (seats.busy, seat.waiting) == (0, True)
    await seat.come_back()
    assert (seats.busy, seat.waiting) == (0, True)
    await seat.come_back()
    assert (seats.busy, seat.waiting) == (1, False)
    seat.free()
    seat.free()
    assert seats.busy == 0


async def test_who_comes_back_waits_for_a_free_slot() -> None:
    """A job that has waited goes on only when a slot of its role is free."""
    seats = Seats(1)
    seat = seats.take()
    seat.leave()
    other = seats.take()
    back: list[str] = []

    async def come_back() -> None:
        await seat.come_back()
        back.append("back")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(come_back)
        await anyio.wait_all_tasks_blocked()
        assert back == []
        other.free()
    assert (back, seats.busy) == (["back"], 1)


async def test_a_branch_that_leaves_lets_another_go_on_without_a_slot() -> None:
    """Were a branch to wait for a slot that another's child needs, neither would come back."""
    seats = Seats(1)
    seat = seats.take()
    seat.leave()
    other = seats.take()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(seat.come_back)
        await anyio.wait_all_tasks_blocked()
        seat.leave()
    other.free()
    assert seats.busy == 0
    await seat.come_back()
    assert seats.busy == 1


async def test_who_gives_up_coming_back_takes_no_slot() -> None:
    """A job that is cancelled while it waits for a slot neither holds nor blocks one."""
    seats = Seats(1)
    seat = seats.take()
    seat.leave()
    other = seats.take()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(seat.come_back)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    other.free()
    seat.free()
    assert (seats.busy, seats.slots.room("a")) == (0, 1)
