"""The store: where it may lie, what it says when it cannot be used, and full transactions."""

from __future__ import annotations

import shutil
import stat
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from supervisor.errors import JobStoreError, StoreError, UnknownJob
from supervisor.jobs import JobRun, JobStatus, table
from supervisor.jobs.store import Store
from supervisor.messages import Cost, JsonValue
from tests.jobs.team import Team
from tests.waiting import heard


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Store, None]:
    """An open store."""
    store = Store(url)
    await store.open()
    yield store
    await store.close()


async def test_the_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    """A directory and a file that are made for the store can be read by nobody else."""
    path = tmp_path / "new" / "data" / "jobs.sqlite"
    store = Store(f"sqlite:///{path}")
    await store.open()
    await store.close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert repr(store) == f"<Store sqlite:///{path} pending=0>"


async def test_a_relative_path_is_taken_from_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine opens the same file later, wherever the process has gone meanwhile."""
    monkeypatch.chdir(tmp_path)
    store = Store("sqlite:///data/jobs.sqlite")
    await store.open()
    assert store.database.url.database == f"{tmp_path}/data/jobs.sqlite"
    await store.close()


@pytest.mark.parametrize("below", ["file/jobs.sqlite", "file/deeper/jobs.sqlite", "directory"])
async def test_a_path_that_cannot_be_used_says_why(tmp_path: Path, below: str) -> None:
    """The error names the path, the reason and the setting to change."""
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    path = tmp_path / below
    with pytest.raises(StoreError) as error:
        await Store(f"sqlite:///{path}").open()
    assert str(error.value).startswith(f"the job store {path} cannot be opened: ")
    assert "store.url" in error.value.hint


async def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    """A file of another kind is left as it is."""
    path = tmp_path / "jobs.sqlite"
    path.write_text("This is a diary, and not a database.\n" * 100)
    with pytest.raises(StoreError, match="failed: file is not a database"):
        await Store(f"sqlite:///{path}").open()
    assert path.read_text().startswith("This is a diary")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:hush@host/jobs", "for the job store, got: 'mysql://me:***@host/jobs'"),
        ("sqlite://", "expected a file for the job store, got: 'sqlite://'"),
        ("sqlite:///:memory:", "expected a file for the job store, got: 'sqlite:///"),
        ("hush", "the job store's URL cannot be read; expected"),
    ],
)
def test_a_url_of_another_kind_is_refused(url: str, said: str) -> None:
    """The error says what was expected, and never shows a password."""
    with pytest.raises(StoreError) as error:
        Store(url)
    assert said in str(error.value)
    assert '"sqlite:///PATH" or "postgresql://USER@HOST/DATABASE"' in str(error.value)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
async def test_a_server_that_is_not_there_says_so(scheme: str) -> None:
    """An unreachable PostgreSQL is one line with its address and without its password."""
    store = Store(f"{scheme}://me:hush@127.0.0.1:1/jobs")
    with pytest.raises(StoreError) as error:
        await store.open()
    assert "me:***@127.0.0.1:1/jobs failed: " in str(error.value)
    assert "hush" not in str(error.value) + repr(store)
    assert "\n" not in str(error.value)


async def test_changes_that_come_together_share_a_transaction(store: Store) -> None:
    """Fifty changes at once cost a few commits, and each caller gets its own value."""
    transactions: list[object] = []
    values: list[int] = []

    async def change(number: int) -> None:
        def work(connection: sa.Connection) -> int:
            transactions.append(connection.get_transaction())
            return number

        values.append(await store.write(work))

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(change, number)
    assert sorted(values) == list(range(50))
    assert len(set(transactions)) <= 3


async def test_a_change_fails_for_itself_alone(store: Store) -> None:
    """One change that the database refuses leaves the others of its transaction made, once."""
    outcomes: dict[str, object] = {}

    def good(connection: sa.Connection) -> int:
        connection.execute(sa.text("INSERT INTO counted VALUES (1)"))
        return 1

    def refused(connection: sa.Connection) -> int:
        connection.execute(sa.text("INSERT INTO counted VALUES (NULL)"))
        return 2

    def unknown(connection: sa.Connection) -> int:
        raise UnknownJob("no job has the id 'x'")

    def broken(connection: sa.Connection) -> int:
        raise ZeroDivisionError

    async def attempt(name: str, work: Callable[[sa.Connection], int]) -> None:
        try:
            outcomes[name] = await store.write(work)
        except Exception as error:
            outcomes[name] = type(error)

    await store.write(
        lambda connection: connection.execute(sa.text("CREATE TABLE counted (n INT NOT NULL)"))
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(attempt, "good", good)
        tasks.start_soon(attempt, "refused", refused)
        tasks.start_soon(attempt, "unknown", unknown)
        tasks.start_soon(attempt, "broken", broken)
    count = await store.read(
        lambda connection: connection.execute(sa.text("SELECT count(*) FROM counted")).scalar()
    )
    assert outcomes == {
        "good": 1,
        "refused": StoreError,
        "unknown": UnknownJob,
        "broken": ZeroDivisionError,
    }
    assert count == 1


async def test_a_query_that_fails_says_so(store: Store) -> None:
    """What the database refuses to read is an error of the store."""
    with pytest.raises(StoreError, match=r"the job store .* failed: "):
        await store.read(lambda connection: connection.execute(sa.text("SELECT * FROM nowhere")))


async def test_a_change_is_made_although_its_caller_was_cancelled(store: Store) -> None:
    """What was handed over is written down, and closing waits for it."""
    made: list[int] = []

    async def change() -> None:
        await store.write(lambda connection: made.append(1))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(change)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    await store.close()
    assert made == [1]


async def test_a_store_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """Columns that came later are added on opening, and old rows read as if they cost nothing."""
    url = f"sqlite:///{tmp_path}/old.sqlite"
    store = Store(url)
    await store.open()
    new = table.NewJob(
        id="a", role="r", key="", parent="", priority=None, input="1", created=1_800_000_000.0
    )
    await store.write(partial(table.insert, new=new))
    for column in ("requests", "tokens", "ticks"):
        await store.write(partial(_drop, column=column))
    await store.close()
    store = Store(url)
    await store.open()
    job = await store.read(partial(table.select, job_id="a"))
    await store.close()
    assert (job.id, job.cost) == ("a", Cost())


def _drop(connection: sa.Connection, column: str) -> None:
    connection.execute(sa.text(f"ALTER TABLE {table.jobs.name} DROP COLUMN {column}"))


async def test_a_store_whose_files_vanish_is_written_anew(sqlite_team: Team, sqlite: Path) -> None:
    """Nothing that was accepted or recorded is lost by `rm -rf data`, and no job fails of it."""
    go_on = anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        answer = await sqlite_team.ask(run, "a")
        await go_on.wait()
        return answer

    sqlite_team.add("work", handle)
    sqlite_team.add("echo")
    with heard() as events:
        async with sqlite_team.at_work() as jobs:
            done = await jobs.submit("echo", "before")
            await jobs.wait(done.id)
            running = await jobs.submit("work", 1)
            await sqlite_team.has_asked.wait()
            shutil.rmtree(sqlite.parent)
            # It would be lost by a kill: it is not accepted.
            with pytest.raises(JobStoreError, match="removed or replaced"):
                await jobs.submit("absent", "at once")
            await events.until("jobs.store_rescued")
            later = await jobs.submit("absent", "after")
            go_on.set()
            assert (await jobs.wait(running.id)).result == "a!"
            assert (await jobs.get(done.id)).result == "before"
            assert (await jobs.get(later.id)).status is JobStatus.QUEUED
    assert sqlite_team.asked == ["a"]
    assert stat.S_IMODE((await anyio.Path(sqlite).stat()).st_mode) == 0o600


async def test_another_file_in_its_place_is_left_alone(
    sqlite_team: Team, sqlite: Path, empty_database: Path
) -> None:
    """Whoever puts a copy there while jobs run means it."""
    sqlite_team.add("echo")
    with heard() as events:
        async with sqlite_team.at_work() as jobs:
            await jobs.submit("absent", 1)
            copy = sqlite.with_name("copy")
            shutil.copy(empty_database, copy)
            copy.replace(sqlite)
            await events.until("jobs.store_replaced")
            await events.until("jobs.started", 2)
            assert await jobs.list() == []
            assert (await jobs.wait((await jobs.submit("echo", 2)).id)).result == 2


async def test_files_that_vanish_again_and_again_come_back_at_once(
    sqlite_team: Team, sqlite: Path
) -> None:
    """What is only open would be gone with a kill: however often the store has failed before."""
    sqlite_team.again_after = 0.2
    with heard() as events:
        async with sqlite_team.at_work() as jobs:
            job = await jobs.submit("absent", 1)
            for number in range(3):
                # Moved away as a whole: to remove it piece by piece would meet what comes back.
                sqlite.parent.rename(sqlite.parents[1] / f"gone{number}")
                await events.until("jobs.store_rescued", number + 1)
            assert (await jobs.get(job.id)).status is JobStatus.QUEUED


async def test_files_that_cannot_be_written_anew_are_kept_open(
    sqlite_team: Team, sqlite: Path
) -> None:
    """Nothing is given up as long as the process lives: it is tried again."""
    sqlite_team.again_after = 0.05
    with heard() as events:
        async with sqlite_team.at_work() as jobs:
            job = await jobs.submit("absent", 1)
            shutil.rmtree(sqlite.parent)
            sqlite.parent.touch()
            # First that they have vanished, and then that.
            await events.until("jobs.store_failed", 2)
            assert "cannot be written anew" in jobs.snapshot().trouble
            assert (await jobs.get(job.id)).status is JobStatus.QUEUED
            sqlite.parent.unlink()
            await events.until("jobs.started", 2)
            assert not jobs.snapshot().trouble
            assert (await jobs.get(job.id)).status is JobStatus.QUEUED
