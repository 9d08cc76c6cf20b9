"""DBOS as our guest: on our loop, silent, gone when it is told to, and storing JSON only."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import traceback
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import anyio
import anyio.to_thread
import pytest
from dbos import DBOS
from dbos._event_loop import BackgroundEventLoop
from structlog.testing import capture_logs

from supervisor.clock import SystemClock
from supervisor.errors import JobFailed, JobStoreError, StoreError
from supervisor.jobs import JobRun, Jobs, JobStatus
from supervisor.jobs.answers import Record
from supervisor.jobs.engine import Engine, Recorder
from supervisor.messages import JsonValue
from tests.jobs.team import Team
from tests.waiting import heard

ROOT = Path(__file__).parents[2]


async def _asks_and_fails(team: Team, run: JobRun) -> JsonValue:
    await team.ask(run, "a")
    if run.number == 1:
        raise ValueError("boom")
    raise JobFailed("no")


async def test_nothing_is_pickled(sqlite_team: Team, sqlite: Path) -> None:
    """Every value in the database is JSON that another program can read."""
    team = sqlite_team
    team.add("echo")
    team.add("bad", lambda run: _asks_and_fails(team, run))
    async with team.at_work() as jobs:
        await jobs.wait((await jobs.submit("echo", {"a": [1, None]})).id)
        await jobs.wait((await jobs.submit("bad", 1)).id)
    formats: set[str] = set()
    with closing(connect(sqlite)) as database:
        for table, columns in {
            "workflow_status": ["serialization"],
            "workflow_input": ["inputs"],
            "workflow_output": ["output", "error"],
            "operation_outputs": ["serialization", "output", "error"],
        }.items():
            rows = database.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            assert rows
            for row in rows:
                values = dict(zip(columns, row, strict=True))
                formats |= {str(values.pop("serialization", "portable_json"))}
                for value in values.values():
                    assert value is None or json.loads(value) is not None
        dump = "\n".join(database.iterdump())
    assert formats == {"portable_json"}
    assert "gASV" not in dump, "that is how a pickle begins in base64"


async def test_it_runs_on_our_loop_and_leaves_nothing_behind(sqlite_team: Team) -> None:
    """Handlers run on our loop and thread; after the stop all of DBOS's threads have ended."""
    loops: list[tuple[object, object]] = []

    async def handle(run: JobRun) -> JsonValue:
        loops.append((asyncio.get_running_loop(), threading.current_thread()))
        return await sqlite_team.ask(run, "a")

    sqlite_team.add("work", handle)
    before = set(threading.enumerate())
    async with sqlite_team.at_work() as jobs:
        await jobs.wait((await jobs.submit("work", 1)).id)
    assert loops == [(asyncio.get_running_loop(), threading.main_thread())]
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith("AnyIO"):
            await anyio.to_thread.run_sync(thread.join, 5)
            assert not thread.is_alive(), thread.name


async def test_what_is_delivered_during_a_start_runs_on_our_loop(
    sqlite_team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long our loop takes to hear that the engine runs: handlers are on no other one."""
    loops: list[object] = []
    begun = anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        loops.append(asyncio.get_running_loop())
        if run.number == 1:
            begun.set()
            await anyio.sleep_forever()
        return None

    sqlite_team.add("work", handle)
    async with sqlite_team.at_work() as jobs:
        job = await jobs.submit("work", 1)
        await begun.wait()

    launch, choose, chosen = DBOS.launch, BackgroundEventLoop.target_loop, threading.Event()

    def launch_and_linger() -> None:
        launch()
        chosen.wait(5)

    def choose_and_tell(loops: BackgroundEventLoop) -> asyncio.AbstractEventLoop | None:
        loop = choose(loops)
        chosen.set()
        return loop

    monkeypatch.setattr(DBOS, "launch", launch_and_linger)
    monkeypatch.setattr(BackgroundEventLoop, "target_loop", choose_and_tell)
    async with sqlite_team.at_work() as jobs:
        await jobs.wait(job.id)
    assert loops == [asyncio.get_running_loop()] * 2


async def test_the_loop_gets_its_threads_back(sqlite_team: Team) -> None:
    """After the stop, what goes through the loop's own executor, as name look-ups do, works."""
    async with sqlite_team.at_work():
        pass
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, lambda: 7) == 7
    assert await loop.getaddrinfo("127.0.0.1", 80)
    await loop.shutdown_default_executor()


async def test_it_is_silent(sqlite_team: Team, capfd: pytest.CaptureFixture[str]) -> None:
    """DBOS writes nothing to the terminal; its warnings become events of ours."""
    sqlite_team.add("echo")
    with capture_logs() as events:
        async with sqlite_team.at_work() as jobs:
            job = await jobs.wait((await jobs.submit("echo", 1)).id)
            logger = logging.getLogger("dbos")
            logger.warning("disk %s", "slow")
            try:
                raise ValueError("boom")
            except ValueError:
                logger.exception("failed")
                logger.warning("polling: %s", f"{traceback.format_exc()}(see elsewhere)")
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert [event["event"] for event in events] == [
        "jobs.started",
        "jobs.job_submitted",
        "jobs.job_started",
        "jobs.job_ended",
        "jobs.engine_warning",
        "jobs.engine_warning",
        "jobs.engine_warning",
        "jobs.stopped",
    ]
    assert {event["job"] for event in events[1:4]} == {job.id}
    assert [(event["message"], event["error"]) for event in events[4:7]] == [
        ("disk slow", ""),
        ("failed", "ValueError('boom')"),
        ("polling:", "ValueError: boom"),
    ]
    assert not logger.handlers
    assert logger.propagate


@pytest.mark.slow
def test_importing_does_not_import_dbos() -> None:
    """Half a second of imports is paid by those who run jobs, not by those who name them."""
    code = "import sys, supervisor.jobs; sys.exit('dbos' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


async def test_an_engine_that_does_not_run_says_so() -> None:
    """Before the start and after the stop nothing can be begun."""

    async def body(workflow_id: str) -> str:
        return workflow_id

    engine = Engine(body)
    await engine.stop(patience=1)
    with pytest.raises(StoreError, match="the job engine is not running"):
        await engine.begin("a")


async def test_an_engine_that_cannot_start_says_so(new_sqlite: Path) -> None:
    """When DBOS refuses its database the error says why, and a mended one can be started."""
    team = Team(f"sqlite:///{new_sqlite}")

    def execute(statement: str) -> None:
        with closing(connect(new_sqlite)) as database:
            database.execute(statement)

    async def start() -> None:
        async with team.at_work():
            pytest.fail("it started")

    new_sqlite.parent.mkdir()
    await anyio.to_thread.run_sync(execute, "CREATE TABLE workflow_status (strange INTEGER)")
    with capture_logs(), pytest.raises(ExceptionGroup) as error:
        await start()
    assert error.group_contains(StoreError, match="the job engine cannot start: .*already exists")
    await anyio.to_thread.run_sync(execute, "DROP TABLE workflow_status")
    team.add("echo")
    async with team.at_work() as jobs:
        assert (await jobs.wait((await jobs.submit("echo", 1)).id)).status is JobStatus.DONE


async def rename(sqlite: Path, table: str, name: str) -> None:
    """Take a table away from whoever uses it, or give it back."""

    def execute() -> None:
        with closing(connect(sqlite)) as database:
            database.execute(f"ALTER TABLE {table} RENAME TO {name}")

    await anyio.to_thread.run_sync(execute)


@pytest.mark.parametrize("table", ["workflow_status", "supervisor_jobs"])
async def test_a_job_that_cannot_be_begun_stays_promised(
    sqlite_team: Team, sqlite: Path, table: str
) -> None:
    """When the store or the engine fails, jobs wait until it can be used, and nothing ends."""
    sqlite_team.add("echo")
    with heard() as events:
        async with sqlite_team.at_work() as jobs:
            jobs.set_roles({})
            job = await jobs.submit("echo", {"a": "hush"})
            await rename(sqlite, table, "away")
            jobs.set_roles({"echo": 4})
            await events.until("jobs.store_failed")
            trouble = jobs.snapshot().trouble
            await rename(sqlite, "away", table)
            assert (await jobs.wait(job.id)).result == {"a": "hush"}
            assert not jobs.snapshot().trouble
    assert table in trouble
    assert "hush" not in str(events.events)


@pytest.mark.slow
async def test_a_job_whose_end_is_lost_stays_promised(sqlite_team: Team, sqlite: Path) -> None:
    """When a job's end cannot be written down, it ends with what it has paid for, later."""
    broken = True

    async def handle(run: JobRun) -> JsonValue:
        answer = await sqlite_team.ask(run, "a")
        if broken:
            await rename(sqlite, "supervisor_jobs", "away")
        return answer

    sqlite_team.add("work", handle)
    with heard() as events:
        async with sqlite_team.at_work() as jobs:
            job = await jobs.submit("work", 1)
            await events.until("jobs.store_failed")
            assert f"job {job.id} could not go on: JobStoreError: " in jobs.snapshot().trouble
            broken = False
            await rename(sqlite, "away", "supervisor_jobs")
            ended = await jobs.wait(job.id)
    assert "jobs.run_failed" in events.names
    assert (ended.status, ended.result, ended.runs) == (JobStatus.DONE, "a!", 2)
    assert sqlite_team.asked == ["a"]


@pytest.mark.parametrize("catches", [False, True], ids=["lets it pass", "catches everything"])
async def test_an_answer_that_cannot_be_written_down_is_not_the_roles_fault(
    sqlite_team: Team, sqlite: Path, *, catches: bool
) -> None:
    """When recording fails the job runs again, asks nothing again, and no crash is counted.

    One that catches everything would else be done with what it makes of a full disk.
    """

    async def handle(run: JobRun) -> JsonValue:
        if run.number == 1:
            await rename(sqlite, "operation_outputs", "away")
        try:
            return await sqlite_team.ask(run, "a")
        except Exception:
            if catches:
                return "fallback"
            raise

    sqlite_team.add("work", handle)
    with heard() as events:
        async with sqlite_team.at_work() as jobs:
            job = await jobs.submit("work", 1)
            await events.until("jobs.store_failed")
            assert "no such table: " in jobs.snapshot().trouble
            await rename(sqlite, "away", "operation_outputs")
            ended = await jobs.wait(job.id)
    assert "jobs.job_crashed" not in events.names
    assert (ended.status, ended.result, ended.runs) == (JobStatus.DONE, "a!", 2)
    assert ended.detail is None
    assert sqlite_team.asked == ["a"]


async def test_an_answer_that_is_left_behind_is_not_asked_for_again(
    sqlite_team: Team, sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine waits for a server that is away, however long; the next run has the answer."""
    begun, let_go = anyio.Event(), anyio.Event()
    left: list[asyncio.Task[object] | None] = []

    async def handle(run: JobRun) -> JsonValue:
        left.append(asyncio.current_task())
        return await sqlite_team.ask(run, "a")

    async def wait_and_fail(_: Recorder, record: Record) -> None:
        begun.set()
        await let_go.wait()
        raise OSError("closed")

    jobs = Jobs(
        url=sqlite_team.url, execute=handle, clock=SystemClock(), patience=0.01, again_after=0.01
    )
    jobs.set_roles({"work": 1})
    with heard() as events:
        async with anyio.create_task_group() as tasks:
            await tasks.start(jobs.run)
            with monkeypatch.context() as patch:
                patch.setattr(Recorder, "record", wait_and_fail)
                job = await jobs.submit("work", 1)
                await begun.wait()
                await rename(sqlite, "supervisor_jobs", "away")
                jobs.set_roles({"work": 2})
                await events.until("jobs.store_failed")
            await rename(sqlite, "away", "supervisor_jobs")
            with anyio.fail_after(5):
                ended = await jobs.wait(job.id)
                assert (ended.status, ended.result, ended.runs) == (JobStatus.DONE, "a!", 2)
            tasks.cancel_scope.cancel()
    let_go.set()
    await asyncio.wait([task for task in left if task is not None])
    assert "jobs.workflows_stuck" in events.names
    assert sqlite_team.asked == ["a"]


async def test_a_store_that_a_handler_finds_failed_is_not_its_fault(sqlite_team: Team) -> None:
    """A handler that delegates, or looks at a job, must not pay for the store."""

    async def handle(run: JobRun) -> JsonValue:
        if run.number == 1:
            raise ExceptionGroup("both", [JobStoreError("the disk is full"), ValueError("so what")])
        return "done"

    sqlite_team.add("work", handle)
    with capture_logs():
        async with sqlite_team.at_work() as jobs:
            ended = await jobs.wait((await jobs.submit("work", 1)).id)
    assert (ended.status, ended.result, ended.detail) == (JobStatus.DONE, "done", None)


async def test_a_store_that_has_failed_can_be_read(sqlite_team: Team, sqlite: Path) -> None:
    """While jobs wait for the engine's tables, one can be looked up, handed in and cancelled."""
    sqlite_team.add("echo")
    sqlite_team.again_after = 20.0
    with heard() as events:
        async with sqlite_team.at_work() as jobs:
            await rename(sqlite, "workflow_status", "away")
            first = await jobs.submit("echo", 1)
            await events.until("jobs.store_failed")
            second = await jobs.submit("echo", 2)
            assert "no job runs until the store can be used again" in await jobs.why(second)
            assert (await jobs.get(first.id)).status is JobStatus.QUEUED
            assert (await jobs.cancel(second.id)).status is JobStatus.CANCELLED
            await rename(sqlite, "away", "workflow_status")


async def test_a_store_that_fails_at_the_start_ends_it(sqlite_team: Team, sqlite: Path) -> None:
    """A store that never could be used is for the operator to mend."""
    await rename(sqlite, "supervisor_jobs", "away")
    await sqlite_team.change("CREATE VIEW supervisor_jobs AS SELECT 1")
    with capture_logs(), pytest.raises(ExceptionGroup) as error:
        async with sqlite_team.at_work():
            pytest.fail("it has started")
    assert error.group_contains(JobStoreError)


async def test_a_handler_that_does_not_stop_is_left_behind(sqlite_team: Team) -> None:
    """A stop waits for its patience only, says so, and comes to its end."""
    begun = anyio.Event()
    let_go = anyio.Event()
    over = anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        begun.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        tasks_left.append(asyncio.current_task())
        over.set()
        return None

    tasks_left: list[asyncio.Task[object] | None] = []
    jobs = Jobs(
        url=sqlite_team.url, execute=lambda run: handle(run), clock=SystemClock(), patience=0.01
    )
    jobs.set_roles({"deaf": 1})
    with capture_logs() as events:
        async with anyio.create_task_group() as tasks:
            await tasks.start(jobs.run)
            await jobs.submit("deaf", 1)
            await begun.wait()
            tasks.cancel_scope.cancel()
        let_go.set()
        await over.wait()
        await asyncio.wait([task for task in tasks_left if task is not None])
    said = [event["event"] for event in events]
    assert "jobs.workflows_stuck" in said
    assert "jobs.run_failed" not in said
