"""A PostgreSQL server that falls silent under the jobs: it swallows what it is asked."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import anyio
import psycopg
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from supervisor.errors import JobStoreError
from supervisor.jobs import JobRun, Jobs, JobStatus, connections
from supervisor.jobs.store import Store
from supervisor.messages import JsonValue
from tests.jobs.team import Team
from tests.network import Network
from tests.waiting import until

PATIENCE = 0.3
SOON = 3.0
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", PATIENCE)


class Work:
    """A job whose second answer comes when a test lets it."""

    def __init__(self, url: str) -> None:
        self.team = Team(url)
        self.team.add("work", self._handle)
        self.asks = anyio.Event()
        self.answered = anyio.Event()

    async def _handle(self, run: JobRun) -> JsonValue:
        first = await self.team.ask(run, "a")
        second = await run.record("b", partial(self._call, run))
        return [first, second]

    async def _call(self, _: JobRun) -> JsonValue:
        self.team.asked.append("b")
        self.asks.set()
        await self.answered.wait()
        return "b!"


async def trouble(jobs: Jobs) -> str:
    """What the jobs' store has failed of, once it has."""
    await until(lambda: bool(jobs.snapshot().trouble))
    return jobs.snapshot().trouble


def others() -> set[str]:
    """Threads that nobody takes again for the next thing to do."""
    return {one.name for one in threading.enumerate() if not one.name.startswith("AnyIO")}


async def test_an_answer_that_comes_meanwhile_is_kept(postgresql_database: str) -> None:
    """Whoever asks is told in time; then all goes on by itself, and nothing is asked again."""
    async with Network(postgresql_database).open() as way:
        work = Work(way.url)
        with capture_logs() as events:
            async with work.team.at_work() as jobs:
                job = await jobs.submit("work", 1)
                await work.asks.wait()
                way.hold()
                work.answered.set()
                with anyio.fail_after(SOON):
                    for end in await asyncio.gather(
                        *(jobs.submit("work", number) for number in range(3)),
                        *(jobs.get(job.id), jobs.list(), jobs.cancel(job.id)),
                        return_exceptions=True,
                    ):
                        assert isinstance(end, JobStoreError)
                        assert "failed: it does not answer" in end.message
                    await trouble(jobs)
                way.release()
                ended = await jobs.wait(job.id)
                assert not jobs.snapshot().trouble
        assert (ended.status, ended.result, ended.runs) == (JobStatus.DONE, ["a!", "b!"], 2)
        assert work.team.asked == ["a", "b"]
        assert "jobs.answers_lost" not in [event["event"] for event in events]


async def test_silence_is_noticed_by_itself(postgresql_database: str) -> None:
    """Also where nobody asks, and no thread is left that waits."""
    before = others()
    async with Network(postgresql_database).open() as way:
        team = Team(way.url)
        with capture_logs() as events:
            async with team.at_work() as jobs:
                way.hold()
                assert "it does not answer" in await trouble(jobs)
                await until(lambda: "jobs.store_failed" in [one["event"] for one in events])
                assert others() <= before
                way.release()
                await until(lambda: not jobs.snapshot().trouble)


async def test_it_can_be_stopped(postgresql_database: str) -> None:
    """The end waits for no answer of the server, and says what is lost by that."""
    before = others()
    async with Network(postgresql_database).open() as way:
        work = Work(way.url)
        with capture_logs() as events:
            async with work.team.at_work() as jobs:
                await jobs.submit("work", 1)
                await work.asks.wait()
                way.cut()
                work.answered.set()
                await anyio.wait_all_tasks_blocked()
                began = anyio.current_time()
        assert anyio.current_time() - began < SOON
        assert others() <= before
        said = {event["event"]: event for event in events}
        assert said["jobs.answers_lost"]["count"] == 1
        assert "jobs.workflows_stuck" not in said


async def test_half_a_transaction_locks_nobody_out(postgresql_database: str) -> None:
    """One that was cut off before its commit stops none after it, also if the next one fails."""
    async with Network(postgresql_database).open() as way:
        store = Store(way.url)
        await store.open()
        await store.write(_execute("CREATE TABLE one AS SELECT 1 AS n"))
        way.breaks_at = b"COMMIT\0"  # as the server is asked for it
        with anyio.fail_after(SOON):
            with pytest.raises(JobStoreError, match="failed: it does not answer"):
                await store.write(_execute("UPDATE one SET n = n + 10"))
            assert "it does not answer" in (await store.lost()).message
            way.breaks_at = b"idle_in_transaction"  # as the store is opened anew
            with pytest.raises(JobStoreError, match="failed: it does not answer"):
                await store.open()
            await store.open()
            await store.write(_execute("UPDATE one SET n = n + 100"))
            assert await store.read(lambda one: one.scalar(sa.text("SELECT n FROM one"))) == 101
            await store.write(_execute("DROP TABLE one"))
            await store.close()


async def test_the_earlier_opening_has_to_end(
    postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a session is left that may still commit, the store is not opened anew."""
    store = Store(postgresql_database)
    await store.open()
    with monkeypatch.context() as patch:
        patch.setattr(connections, "END", "SELECT %s, %s")
        with pytest.raises(JobStoreError, match="have yet to end"):
            await store.open()
    await store.open()
    await store.close()


def test_given_up_connections_say_why() -> None:
    """The first reason stands."""
    some = connections.Connections(patience=PATIENCE)
    assert repr(some) == "<Connections begun=0 in use>"
    some.give_up("one")
    some.close("two")
    assert (some.over, repr(some)) == ("one", "<Connections begun=0 one>")


async def test_a_server_that_lets_nobody_in(
    postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connecting too waits for no answer for ever."""

    def briefly(_: object) -> float:
        return PATIENCE

    # It takes two seconds at least.
    monkeypatch.setattr("psycopg.connection.timeout_from_conninfo", briefly)
    async with Network(postgresql_database).open() as way:
        way.hold()
        with anyio.fail_after(SOON), pytest.raises(JobStoreError, match="it does not answer"):
            await Store(way.url).open()


async def test_a_server_that_takes_long_is_not_silent(postgresql_database: str) -> None:
    """It is waited for as long as it works, and given up when the connection alone is cut off."""
    async with Network(postgresql_database).open() as way:
        store = Store(way.url)
        await store.open()
        assert await store.read(lambda one: one.scalar(sa.text("SELECT 7 FROM pg_sleep(0.8)"))) == 7
        assert await store.is_whole()
        way.breaks_at = b"pg_sleep"
        with anyio.fail_after(SOON), pytest.raises(JobStoreError, match="it does not answer"):
            await store.read(lambda one: one.scalar(sa.text("SELECT 7 FROM pg_sleep(0)")))
        await store.close()


async def test_a_lookout_that_was_lost_is_replaced(
    postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes long is still waited for, unless the server lets no new one in."""
    store = Store(postgresql_database)
    await store.open()
    long = partial(sa.Connection.scalar, statement=sa.text("SELECT 7 FROM pg_sleep(0.8)"))
    _hang_up(postgresql_database)
    assert await store.read(long) == 7
    assert await store.is_whole()
    _hang_up(postgresql_database)
    await store.read(partial(sa.Connection.scalar, statement=sa.text("SELECT 1")))

    def refuse(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(connections.Connection, "connect", refuse)
    with pytest.raises(JobStoreError, match="it does not answer"):
        await store.read(long)
    await store.close()


def _hang_up(url: str) -> None:
    """What a server does that is started again."""
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _execute(statement: str) -> partial[None]:
    return partial(_run, statement=sa.text(statement))


def _run(connection: sa.Connection, *, statement: sa.TextClause) -> None:
    connection.execute(statement)
