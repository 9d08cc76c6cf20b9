"""Jobs outlive their process: what was interrupted goes on, and keeps what it has paid for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from supervisor.errors import Draining
from supervisor.jobs import JobRun, JobStatus
from supervisor.jobs.runner import Runner
from supervisor.messages import JsonValue
from tests.forks import ROOT, Order, run
from tests.jobs import killable
from tests.jobs.team import Team
from tests.waiting import until


class Interrupted:
    """A handler that asks, and waits to be interrupted until the process is another one."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.reached = [anyio.Event() for _ in range(4)]
        self.restarted = False

    async def handle(self, run: JobRun) -> JsonValue:
        first = await self.team.ask(run, f"{run.input} a")
        if not self.restarted:
            self.reached[int(str(run.input))].set()
            await anyio.sleep_forever()
        return [first, await self.team.ask(run, f"{run.input} b")]


@pytest.mark.slow
async def test_a_job_goes_on_after_a_clean_stop(team: Team) -> None:
    """A stop interrupts a running job; the next start runs it on, with its answers."""
    interrupted = Interrupted(team)
    team.add("work", interrupted.handle, concurrency=1)
    async with team.at_work() as jobs:
        running = await jobs.submit("work", 0)
        queued = await jobs.submit("work", 1)
        await interrupted.reached[0].wait()
    interrupted.restarted = True
    async with team.at_work() as jobs:
        first, second = await jobs.wait(running.id), await jobs.wait(queued.id)
    assert (first.status, first.result, first.runs) == (JobStatus.DONE, ["0 a!", "0 b!"], 2)
    assert (second.status, second.result, second.runs) == (JobStatus.DONE, ["1 a!", "1 b!"], 1)
    assert team.asked == ["0 a", "0 b", "1 a", "1 b"]


async def test_the_engine_keeps_an_interrupted_workflow(sqlite_team: Team, sqlite: Path) -> None:
    """An interrupted job's workflow stays pending: neither an error nor cancelled."""
    interrupted = Interrupted(sqlite_team)
    sqlite_team.add("work", interrupted.handle)
    sqlite_team.add("echo")
    async with sqlite_team.at_work() as jobs:
        done = await jobs.wait((await jobs.submit("echo", 1)).id)
        running = await jobs.submit("work", 0)
        await interrupted.reached[0].wait()
    with closing(connect(sqlite)) as database:
        statuses = dict(database.execute("SELECT workflow_uuid, status FROM workflow_status"))
    assert statuses == {done.id: "SUCCESS", running.id: "PENDING"}


@pytest.mark.slow
async def test_a_job_that_meets_a_draining_process_goes_on_later(team: Team) -> None:
    """A question that is refused because the process stops decides nothing about its job."""
    refused = anyio.Event()
    restarted = False

    async def handle(run: JobRun) -> JsonValue:
        if not restarted:
            refused.set()
            raise Draining("the process is stopping and takes no new requests")
        return run.number

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.submit("work", 1)
        await refused.wait()
        assert (await jobs.get(job.id)).status is JobStatus.RUNNING
    restarted = True
    async with team.at_work() as jobs:
        assert (await jobs.wait(job.id)).result == 2


@pytest.mark.slow
async def test_crashes_are_counted_over_restarts(team: Team) -> None:
    """A restart gives a job that crashes no more runs than it would have had."""
    stop = anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        if run.number == 3:
            stop.set()
            await anyio.sleep_forever()
        raise ValueError(f"run {run.number}")

    team.add("bad", handle)
    async with team.at_work() as jobs:
        job = await jobs.submit("bad", 1)
        await stop.wait()
    async with team.at_work() as jobs:
        ended = await jobs.wait(job.id)
    assert (ended.status, ended.runs) == (JobStatus.FAILED, 4)
    assert ended.error is not None
    assert "crash 3 times, the last time with ValueError: run 4" in ended.error


class Held:
    """Workflows that the engine delivers, and that begin when they are let go.

    Attributes:
        let_go: They may begin.
        outcomes: What those came to that have returned.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.let_go = anyio.Event()
        self.outcomes: list[str] = []
        carry_out = Runner.carry_out

        async def wait_and_carry_out(runner: Runner, workflow_id: str) -> str:
            await self.let_go.wait()
            self.outcomes.append(await carry_out(runner, workflow_id))
            return self.outcomes[-1]

        monkeypatch.setattr(Runner, "carry_out", wait_and_carry_out)


@pytest.mark.slow
async def test_a_workflow_that_is_out_of_date_does_nothing(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the engine delivers again runs only if its job still waits for just that."""
    interrupted = Interrupted(team)
    team.add("work", interrupted.handle)
    async with team.at_work() as jobs:
        ids = [(await jobs.submit("work", number)).id for number in range(4)]
        for reached in interrupted.reached:
            await reached.wait()
    interrupted.restarted = True
    team.dismiss()
    held = Held(monkeypatch)
    cancelled, retried, deleted, waiting = ids
    await team.change("DELETE FROM supervisor_jobs WHERE id = :id", id=deleted)
    async with team.at_work() as jobs:
        for job_id in (cancelled, retried):
            await jobs.cancel(job_id)
        await jobs.retry(retried)
        held.let_go.set()
        await until(lambda: held.outcomes == ["superseded"] * 3)
        jobs.set_roles({"work": 4})
        ended = [await jobs.wait(job_id) for job_id in (cancelled, retried, waiting)]
    assert [job.status.value for job in ended] == ["cancelled", "done", "done"]
    assert [job.result for job in ended[1:]] == [["1 a!", "1 b!"], ["3 a!", "3 b!"]]
    first = [f"{number} a" for number in range(4)]
    assert Counter(team.asked) == Counter([*first, "1 b", "3 b"])


@pytest.mark.slow
async def test_a_job_can_be_cancelled_before_it_is_delivered_again(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that has its slot again, but not its workflow, is cancelled like any other."""
    interrupted = Interrupted(team)
    team.add("work", interrupted.handle, concurrency=1)
    async with team.at_work() as jobs:
        job = await jobs.submit("work", 0)
        await interrupted.reached[0].wait()
    interrupted.restarted = True
    held = Held(monkeypatch)
    async with team.at_work() as jobs:
        while (await jobs.get(job.id)).status is JobStatus.QUEUED:
            await anyio.lowlevel.checkpoint()
        await jobs.cancel(job.id)
        held.let_go.set()
        following = await jobs.wait((await jobs.submit("work", 1)).id)
        ended = await jobs.get(job.id)
    assert (ended.status, following.status) == (JobStatus.CANCELLED, JobStatus.DONE)
    assert team.asked == ["0 a", "1 a", "1 b"]


async def run_killable(
    url: str, journal: Path, *, answers: int
) -> subprocess.CompletedProcess[str]:
    """Run the process until it ends or dies."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    order = Order("tests.jobs.killable", [url, str(journal), str(answers)], str(ROOT), environment)
    return await anyio.to_thread.run_sync(run, order)


def repeated(lines: Sequence[str]) -> tuple[list[str], int]:
    """Questions asked although their answer was on record, and how many were asked once more."""
    recorded: set[str] = set()
    asked: Counter[str] = Counter()
    paid_twice: list[str] = []
    for line in lines:
        event, question, *_ = line.split()
        if event == "recorded":
            recorded.add(question)
        elif event == "asked":
            asked[question] += 1
            if question in recorded:
                paid_twice.append(question)
    return paid_twice, sum(asked.values()) - len(asked)


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_kill_9_loses_nothing_and_pays_nothing_twice(url: str, tmp_path: Path) -> None:
    """Killed twice in the middle, all jobs end, and only questions in flight are asked again."""
    journal = tmp_path / "journal"
    for answers in (30, 30):
        killed = await run_killable(url, journal, answers=answers)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended = await run_killable(url, journal, answers=0)
    assert ended.returncode == 0, ended.stderr
    lines = journal.read_text().splitlines()
    paid_twice, again = repeated(lines)
    assert paid_twice == []
    # Five jobs at once, five questions side by side in each: so many can be in flight at a kill.
    assert again <= 2 * 25
    ends = [line.split()[1:] for line in lines if line.startswith("ended")]
    assert sorted(ends) == sorted([f"job{number}", "done"] for number in range(killable.JOBS))
    asked = {line.split()[1] for line in lines if line.startswith("asked")}
    assert len(asked) == killable.JOBS * killable.QUESTIONS
