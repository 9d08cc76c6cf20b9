"""The contract of jobs, the same on every database: submit, order, end, cancel, retry, look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from supervisor.errors import (
    Draining,
    InvalidJobInput,
    JobFailed,
    StoreError,
    UnknownJob,
    UpstreamUnavailable,
)
from supervisor.jobs import JobRun, JobStatus, RoleJobs
from supervisor.messages import JsonValue
from tests.jobs.team import Team

INPUTS: list[JsonValue] = [
    None,
    True,
    7,
    1.5,
    "tëxt \ud83d\0",
    [1, [None]],
    {"a": {"": []}},
    10**25,
]


class Gate:
    """Handlers that note who began, and wait until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._moved = anyio.Event()
        self._open = anyio.Event()

    async def handle(self, run: JobRun) -> JsonValue:
        self.begun.append(str(run.input))
        self._tell()
        try:
            await self._open.wait()
        finally:
            self.ended.append(str(run.input))
            self._tell()
        return run.input

    def open(self) -> None:
        self._open.set()

    async def until(self, seen: Callable[[], bool]) -> None:
        while not seen():
            await self._moved.wait()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()


async def test_a_job_is_done_and_its_result_kept(team: Team) -> None:
    """A submitted job is carried out, and its result is what its role returned."""
    team.add("echo")
    async with team.at_work() as jobs:
        submitted = [await jobs.submit("echo", value) for value in INPUTS]
        ended = [await jobs.wait(job.id) for job in submitted]
    assert [job.input for job in ended] == INPUTS
    assert [job.result for job in ended] == INPUTS
    for before, after in zip(submitted, ended, strict=True):
        assert (before.status, before.runs, before.started, before.ended) == (
            "queued",
            0,
            None,
            None,
        )
        assert (after.status, after.runs, after.error) == (JobStatus.DONE, 1, None)
        assert isinstance(after.status, JobStatus)
        assert after.started is not None
        assert after.ended is not None
        assert after.created <= after.started <= after.ended


async def test_the_run_knows_its_job(team: Team) -> None:
    """Whoever carries a job out sees its id, role, input, parent and priority."""
    seen: list[JobRun] = []

    async def handle(run: JobRun) -> JsonValue:
        seen.append(run)
        return None

    team.add("look", handle)
    async with team.at_work() as jobs:
        job = await jobs.submit("look", {"a": 1}, parent="p", priority=7)
        await jobs.wait(job.id)
    (run,) = seen
    assert (run.id, run.role, run.input, run.parent) == (job.id, "look", {"a": 1}, "p")
    assert (run.priority, run.number) == (7, 1)
    assert repr(run) == f"<JobRun look {job.id} number=1>"


@pytest.mark.parametrize("error", [JobFailed, ValueError])
async def test_no_text_of_a_role_stops_others_jobs(team: Team, error: type[Exception]) -> None:
    """Halves of surrogate pairs, which models emit, and NULs end their own job and no more."""
    text = "half \ud83d and \0"

    async def handle(run: JobRun) -> JsonValue:
        raise error(text)

    team.add("odd", handle)
    team.add("echo")
    async with team.at_work() as jobs:
        odd = await jobs.wait((await jobs.submit("odd", 1, key=text)).id)
        same = await jobs.submit("odd", 2, key=text)
        other = await jobs.wait((await jobs.submit("echo", 1)).id)
    assert odd.status is JobStatus.FAILED
    assert r"half \ud83d and \x00" in str(odd.error)
    assert (same.id, same.key) == (odd.id, r"half \ud83d and \x00")
    assert other.status is JobStatus.DONE


async def test_the_same_key_is_the_same_job(team: Team) -> None:
    """However often and however closely a key is submitted, its job is carried out once."""
    ran: list[JsonValue] = []

    async def handle(run: JobRun) -> JsonValue:
        ran.append(run.input)
        return "first"

    team.add("a", handle)
    team.add("b", handle)
    async with team.at_work() as jobs:
        ids: list[str] = []

        async def submit(value: int) -> None:
            ids.append((await jobs.submit("a", value, key="k")).id)

        async with anyio.create_task_group() as tasks:
            for value in range(5):
                tasks.start_soon(submit, value)
        await jobs.wait(ids[0])
        again = await jobs.submit("a", "other input", key="k")
        other = await jobs.submit("b", "other role", key="k")
        await jobs.wait(other.id)
    assert len(set(ids)) == 1
    assert (again.id, again.status, again.key) == (ids[0], JobStatus.DONE, "k")
    assert other.id != ids[0]
    assert len(ran) == 2


async def test_jobs_start_by_priority_then_by_age(team: Team) -> None:
    """Of the queued, the most urgent starts first; none of its own counts as the role's."""
    gate = Gate()
    team.add("work", gate.handle, concurrency=1)
    async with team.at_work() as jobs:
        jobs.set_roles({"work": 1}, priority={"work": 50})
        await jobs.submit("work", "running")
        await gate.until(lambda: len(gate.begun) == 1)
        # More urgent than the role itself: it has a slot although the role has none left.
        await jobs.submit("work", "rushing", priority=49)
        await gate.until(lambda: len(gate.begun) == 2)
        for name, priority in [("c1", None), ("d1", 51), ("b1", 50), ("a1", 0), ("c2", None)]:
            await jobs.submit("work", name, priority=priority)
        await jobs.submit("work", "a2", priority=0)
        last = await jobs.submit("work", "d2", priority=51)
        gate.open()
        await jobs.wait(last.id)
    assert gate.begun == ["running", "rushing", "a1", "a2", "c1", "b1", "c2", "d1", "d2"]


async def test_no_more_run_than_the_role_allows(team: Team) -> None:
    """A role's jobs run side by side up to its concurrency, and others do not wait for them."""
    gate = Gate()
    team.add("slow", gate.handle, concurrency=2)
    team.add("echo")
    async with team.at_work() as jobs:
        slow = [await jobs.submit("slow", number) for number in range(5)]
        other = await jobs.wait((await jobs.submit("echo", "x")).id)
        await gate.until(lambda: len(gate.begun) == 2)
        counts = jobs.snapshot().roles["slow"]
        jobs.set_roles({"slow": 3, "echo": 4})
        await gate.until(lambda: len(gate.begun) == 3)
        gate.open()
        for job in slow:
            await jobs.wait(job.id)
    assert other.status is JobStatus.DONE
    assert counts == RoleJobs(concurrency=2, queued=3, running=2)
    # Which of those that run side by side is first by a millisecond is not promised.
    assert ({*gate.begun[:2]}, gate.begun[2], {*gate.begun[3:]}) == ({"0", "1"}, "2", {"3", "4"})


async def test_a_job_waits_for_its_role(team: Team) -> None:
    """A job for a role that is not there stays queued, and starts when the role comes."""
    team.add("late")
    async with team.at_work() as jobs:
        jobs.set_roles({})
        job = await jobs.submit("late", 1)
        assert jobs.snapshot().roles == {"late": RoleJobs(queued=1)}
        assert (await jobs.get(job.id)).status is JobStatus.QUEUED
        jobs.set_roles({"late": 1})
        assert (await jobs.wait(job.id)).status is JobStatus.DONE


@pytest.mark.parametrize(
    "error", [JobFailed("no such file"), UpstreamUnavailable("gone", hint="wait")], ids=repr
)
async def test_an_error_of_ours_fails_the_job(team: Team, error: Exception) -> None:
    """An error that says why fails the job at once, with its class and its text."""

    async def handle(run: JobRun) -> JsonValue:
        raise error

    team.add("bad", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("bad", 1)).id)
    counts = jobs.snapshot().roles["bad"]
    assert (job.status, job.runs, job.result) == (JobStatus.FAILED, 1, None)
    assert job.error == f"{type(error).__name__}: {error}"
    assert counts == RoleJobs(concurrency=4, failed=1)


async def _crash() -> JsonValue:
    raise ValueError("boom")


async def _exit() -> JsonValue:
    raise SystemExit("boom")


async def _cancelled() -> JsonValue:
    future: asyncio.Future[JsonValue] = asyncio.get_running_loop().create_future()
    future.cancel("boom")
    return await future


@pytest.mark.parametrize("fault", [_crash, _exit, _cancelled])
async def test_a_job_that_crashes_every_time_is_set_aside(
    team: Team, fault: Callable[[], Awaitable[JsonValue]]
) -> None:
    """A job whose handler crashes runs three times, then fails as poisoned with the traceback."""

    async def handle(run: JobRun) -> JsonValue:
        return await fault()

    team.add("bad", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("bad", 1)).id)
    assert (job.status, job.runs) == (JobStatus.FAILED, 3)
    assert job.error is not None
    assert job.error.startswith("JobPoisoned: the job made its role crash 3 times")
    assert job.detail is not None
    assert "boom" in job.detail
    assert fault.__name__ in job.detail


async def test_a_queued_job_that_is_cancelled_never_starts(team: Team) -> None:
    """Cancelling a job in the queue ends it where it is."""
    gate = Gate()
    team.add("work", gate.handle, concurrency=1)
    async with team.at_work() as jobs:
        first = await jobs.submit("work", 1)
        queued = await jobs.submit("work", 2)
        cancelled = await jobs.cancel(queued.id)
        gate.open()
        await jobs.wait(first.id)
    counts = jobs.snapshot().roles["work"]
    assert (cancelled.status, cancelled.runs) == (JobStatus.CANCELLED, 0)
    assert cancelled.ended is not None
    assert gate.begun == ["1"]
    assert (counts.done, counts.cancelled, counts.queued) == (1, 1, 0)


async def test_a_running_job_that_is_cancelled_stops(team: Team) -> None:
    """Cancelling a running job interrupts its handler and makes room for the next."""
    gate = Gate()
    team.add("work", gate.handle, concurrency=1)
    async with team.at_work() as jobs:
        job = await jobs.submit("work", 1)
        await gate.until(lambda: gate.begun == ["1"])
        cancelled = await jobs.cancel(job.id)
        await gate.until(lambda: gate.ended == ["1"])
        assert (await jobs.wait(job.id)).status is JobStatus.CANCELLED
        gate.open()
        following = await jobs.wait((await jobs.submit("work", 2)).id)
    counts = jobs.snapshot().roles["work"]
    assert cancelled.status is JobStatus.CANCELLED
    assert following.status is JobStatus.DONE
    assert counts == RoleJobs(concurrency=1, done=1, cancelled=1)


async def test_a_handler_that_shrugs_off_its_cancellation_changes_nothing(team: Team) -> None:
    """What a handler returns after its job was cancelled does not become the job's result."""
    begun = anyio.Event()
    over = anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        begun.set()
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            over.set()
        return "ha"

    team.add("deaf", handle)
    async with team.at_work() as jobs:
        job = await jobs.submit("deaf", 1)
        await begun.wait()
        await jobs.cancel(job.id)
        await over.wait()
    async with team.at_work() as jobs:
        job = await jobs.get(job.id)
    assert (job.status, job.result) == (JobStatus.CANCELLED, None)


async def test_cancelling_a_job_cancels_what_it_delegated(team: Team) -> None:
    """Children and grandchildren of a cancelled job end with it; other jobs do not."""
    gate = Gate()
    team.add("work", gate.handle, concurrency=9)
    async with team.at_work() as jobs:
        parent = await jobs.submit("work", "parent")
        child = await jobs.submit("work", "child", parent=parent.id)
        grandchild = await jobs.submit("work", "grandchild", parent=child.id)
        stranger = await jobs.submit("work", "stranger")
        await gate.until(lambda: len(gate.begun) == 4)
        await jobs.cancel(parent.id)
        await gate.until(lambda: len(gate.ended) == 3)
        gate.open()
        ends = [(await jobs.wait(j.id)).status for j in (parent, child, grandchild, stranger)]
    assert ends == [JobStatus.CANCELLED] * 3 + [JobStatus.DONE]


async def test_what_has_ended_stays_as_it_is(team: Team) -> None:
    """Neither cancelling nor retrying changes a job that is done."""
    team.add("echo")
    async with team.at_work() as jobs:
        done = await jobs.wait((await jobs.submit("echo", 1)).id)
        assert await jobs.cancel(done.id) == done
        assert await jobs.retry(done.id) == done
        assert await jobs.wait(done.id) == done


async def test_a_failed_job_can_be_retried(team: Team) -> None:
    """A retried job runs again with fresh runs, and finds the answers that it has paid for."""
    mended = False

    async def handle(run: JobRun) -> JsonValue:
        answers = [await team.ask(run, question) for question in ("a", "b")]
        if not mended:
            raise ValueError("boom")
        return answers

    team.add("bad", handle)
    async with team.at_work() as jobs:
        failed = await jobs.wait((await jobs.submit("bad", 1)).id)
        again = await jobs.retry(failed.id)
        failed_again = await jobs.wait(failed.id)
        mended = True
        await jobs.retry(failed.id)
        done = await jobs.wait(failed.id)
    counts = jobs.snapshot().roles["bad"]
    assert (failed.status, failed.retries, failed.runs) == (JobStatus.FAILED, 0, 3)
    assert (again.status, again.retries, again.error) == (JobStatus.QUEUED, 1, None)
    assert (failed_again.status, failed_again.runs) == (JobStatus.FAILED, 6)
    assert (done.status, done.result, done.runs) == (JobStatus.DONE, ["a!", "b!"], 7)
    assert team.asked == ["a", "b"]
    assert counts == RoleJobs(concurrency=4, done=1, failed=2)


async def test_a_cancelled_job_can_be_retried(team: Team) -> None:
    """A cancelled job takes its place in the queue again when somebody wants it after all."""
    gate = Gate()
    team.add("work", gate.handle)
    async with team.at_work() as jobs:
        job = await jobs.submit("work", 1)
        await gate.until(lambda: gate.begun == ["1"])
        await jobs.cancel(job.id)
        await gate.until(lambda: gate.ended == ["1"])
        gate.open()
        await jobs.retry(job.id)
        assert (await jobs.wait(job.id)).status is JobStatus.DONE


async def test_all_failed_jobs_can_be_retried(team: Team) -> None:
    """All that failed go back at once, of one role or of all; those set aside only when meant."""
    mended = False

    async def handle(run: JobRun) -> JsonValue:
        if not mended:
            raise ValueError("boom") if run.input == "poison" else JobFailed("no")
        return None

    team.add("a", handle)
    team.add("b", handle)
    async with team.at_work() as jobs:
        names = [("a", "x"), ("a", "poison"), ("b", "y"), ("b", "z")]
        failed = [await jobs.wait((await jobs.submit(*each)).id) for each in names]
        mended = True
        assert await jobs.retry_failed(role="b") == 2
        assert await jobs.retry_failed(role="b", poisoned=True) == 0
        assert (await jobs.get(failed[0].id)).status is JobStatus.FAILED
        assert await jobs.retry_failed() == 1
        ends = [(await jobs.wait(job.id)).status.value for job in failed]
        assert ends == ["done", "failed", "done", "done"]
        assert await jobs.retry_failed(poisoned=True) == 1
        assert (await jobs.wait(failed[1].id)).status is JobStatus.DONE
        assert jobs.snapshot().queued == 0
    assert [job.poisoned for job in failed] == [False, True, False, False]


async def test_jobs_are_listed_newest_first(team: Team) -> None:
    """A list can be narrowed by role and by status, and is cut at its limit."""
    team.add("echo")
    async with team.at_work() as jobs:
        first = await jobs.submit("echo", 1)
        second = await jobs.submit("absent", 2)
        third = await jobs.submit("echo", 3)
        await jobs.wait(first.id)
        await jobs.wait(third.id)
        everything = [job.id for job in await jobs.list()]
        assert everything == [third.id, second.id, first.id]
        assert [job.id for job in await jobs.list(role="echo")] == [third.id, first.id]
        assert [job.id for job in await jobs.list(status=JobStatus.QUEUED)] == [second.id]
        assert [job.id for job in await jobs.list(limit=1)] == [third.id]
        assert await jobs.list(role="echo", status=JobStatus.FAILED) == []


async def test_an_unknown_id_says_so(team: Team) -> None:
    """Asking for a job that is not there, or for something to be done with it, is an error."""
    async with team.at_work() as jobs:
        for ask in (jobs.get, jobs.wait, jobs.cancel, jobs.retry):
            with pytest.raises(UnknownJob, match="no job has the id 'nobody'"):
                await ask("nobody")


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, float("inf"), {"a": b""}], ids=["object", "set", "inf", "bytes"]
)
async def test_an_input_that_is_no_json_is_refused(sqlite_team: Team, value: JsonValue) -> None:
    """What could not be stored is refused with its type, before anything is written."""
    async with sqlite_team.at_work() as jobs:
        with pytest.raises(InvalidJobInput, match=r"expected a JSON value as input, got: \w+ \("):
            await jobs.submit("echo", value)
        assert await jobs.list() == []


async def test_a_priority_out_of_range_is_refused(sqlite_team: Team) -> None:
    """A priority is from 0 to 99."""
    async with sqlite_team.at_work() as jobs:
        for priority in (-1, 100):
            with pytest.raises(InvalidJobInput, match=f"from 0 to 99, got: {priority}"):
                await jobs.submit("echo", 1, priority=priority)


async def test_what_another_process_changes_is_noticed(team: Team) -> None:
    """A job that somebody else has queued is started, and one that somebody has ended is known."""
    team.add("echo")
    async with team.at_work(look_every=0.01) as jobs:
        absent = await jobs.submit("absent", 7)
        await team.change("UPDATE supervisor_jobs SET role = 'echo'")
        assert (await jobs.wait(absent.id)).result == 7
        other = await jobs.submit("absent", 8)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(jobs.wait, other.id)
            await anyio.wait_all_tasks_blocked()
            await team.change("UPDATE supervisor_jobs SET status = 'failed', ended = 1")


async def test_jobs_can_run_again_after_they_have_run(team: Team) -> None:
    """The same object serves a second time, and knows what was queued."""
    jobs = team.jobs()
    team.add("echo")
    for turn in range(2):
        async with anyio.create_task_group() as tasks:
            await tasks.start(jobs.run)
            assert len(await jobs.list()) == turn
            await jobs.submit("absent", turn)
            tasks.cancel_scope.cancel()
    assert jobs.snapshot().roles["absent"].queued == 2
    assert repr(jobs) == "<Jobs queued=2 running=0 <Slots >>"


async def test_two_cannot_run_in_one_process(team: Team) -> None:
    """The engine is one a process: a second one is refused, and does not harm the first."""

    async def start_another() -> None:
        async with team.at_work():
            pytest.fail("two ran")

    team.add("echo")
    async with team.at_work() as jobs:
        with pytest.raises(ExceptionGroup) as refused:
            await start_another()
        assert refused.group_contains(StoreError, match="jobs run in this process already")
        assert (await jobs.wait((await jobs.submit("echo", 1)).id)).status is JobStatus.DONE


async def test_a_queued_job_says_why_it_waits(sqlite_team: Team) -> None:
    """Its role is away, others are before it, or it is suspected; one that runs does not wait."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        begun.set()
        await go_on.wait()
        return run.input

    sqlite_team.add("work", handle, concurrency=1)
    async with sqlite_team.at_work() as jobs:
        absent = await jobs.submit("absent", 1)
        first = await jobs.submit("work", 1)
        await begun.wait()
        await jobs.submit("work", 2)
        await jobs.submit("work", 3)
        last = await jobs.submit("work", 4)
        await jobs.submit("work", 5)
        assert await jobs.why(absent) == "the role absent is not there, or does not run"
        assert await jobs.why(last) == "1 of 1 jobs of work run; queued before it: 2"
        assert await jobs.why(await jobs.get(first.id)) == ""
        go_on.set()
        await jobs.wait(last.id)
    await sqlite_team.change("UPDATE supervisor_jobs SET deaths = 2 WHERE role = 'absent'")
    sqlite_team.add("absent")
    async with sqlite_team.at_work() as jobs:
        assert "the process has ended twice while it ran" in await jobs.why(absent)
        assert await jobs.why(await jobs.get(last.id)) == ""


async def test_nothing_is_taken_before_the_start(sqlite_team: Team) -> None:
    """Jobs that do not run say that their store is not open."""
    jobs = sqlite_team.jobs()
    for ask in (jobs.submit("echo", 1), jobs.get("a"), jobs.list(), jobs.cancel("a")):
        with pytest.raises(StoreError, match="the job store is not open"):
            await ask


async def test_nothing_is_taken_while_stopping(sqlite_team: Team) -> None:
    """A handler that is being stopped cannot submit any more."""
    begun = anyio.Event()
    refused: list[str] = []
    jobs = sqlite_team.jobs()

    async def handle(run: JobRun) -> JsonValue:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with pytest.raises(Draining) as error:
                await jobs.submit("echo", 2)
            refused.append(str(error.value))
        return None

    sqlite_team.add("late", handle)
    jobs.set_roles({"late": 1})
    async with anyio.create_task_group() as tasks:
        await tasks.start(jobs.run)
        await jobs.submit("late", 1)
        await begun.wait()
        tasks.cancel_scope.cancel()
    assert refused == ["the process is stopping and takes no new jobs"]
