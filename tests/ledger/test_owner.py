"""The lock of the key's owner, on every kind of store."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import psycopg
import pytest

from supervisor.errors import StoreError
from supervisor.ledger import postgresql_owner
from supervisor.ledger.owner import Ownership, SqliteOwnership
from supervisor.ledger.postgresql import PostgresqlLedger
from supervisor.ledger.postgresql_owner import PostgresqlOwnership
from supervisor.sqlite import make_file
from tests.postgresql import database

Make = Callable[[], Ownership]


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes another process's view of the same lock, which looks often whether it is held."""
    if request.param == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        yield lambda: SqliteOwnership(folder / "new" / "owner.sqlite", look=0.001)
        return
    monkeypatch.setattr(postgresql_owner, "_CHECK", 0.001)
    url: str = request.getfixturevalue("postgresql_database")
    yield lambda: PostgresqlOwnership(url)


async def test_one_at_a_time(make: Make) -> None:
    """The first has it, the second gets it when the first lets go, and having it twice is once."""
    first, second = make(), make()
    assert await first.acquire_nowait()
    assert await first.acquire_nowait()
    assert not await second.acquire_nowait()
    await first.release()
    assert await second.acquire_nowait()
    assert not await first.acquire_nowait()
    await second.release()
    await second.release()
    assert "owner.sqlite" in first.place or "PostgreSQL" in first.place
    assert "password" not in repr(first)


async def test_a_store_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A lock that cannot be taken is an error with its reason, and no password in it."""
    strange = SqliteOwnership(tmp_path / "\0" / "owner.sqlite")
    with pytest.raises(StoreError, match="cannot be taken"):
        await strange.acquire_nowait()
    await strange.release()
    gone = "postgresql://someone:secret-word@127.0.0.1:9/nothing"
    with pytest.raises(StoreError) as lock:
        await PostgresqlOwnership(gone).acquire_nowait()
    with pytest.raises(StoreError) as ledger:
        await PostgresqlLedger(gone).usage()
    assert "secret-word" not in f"{lock.value} {ledger.value} {PostgresqlLedger(gone)!r}"


async def test_a_lock_that_is_kept_is_never_lost(make: Make) -> None:
    """Nobody is told of a loss while the lock is held, nor by letting go of it."""
    owner = make()
    assert await owner.acquire_nowait()
    with anyio.move_on_after(0.05) as waited:  # and fifty looks
        await owner.lost()
    assert waited.cancelled_caught
    assert not await make().acquire_nowait()
    await owner.release()


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
async def test_a_vanished_file_is_a_lost_lock(tmp_path: Path, *, replaced: bool) -> None:
    """It is told and not held any more, and had back at once with a new file."""
    file = tmp_path / "data" / "owner.sqlite"
    owner, other = SqliteOwnership(file, look=0.001), SqliteOwnership(file)
    assert not owner.alone()
    assert await owner.lost() == "it is not held"
    for _ in range(2):
        assert await owner.acquire_nowait()
        assert owner.alone()
        told = asyncio.create_task(owner.lost())
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(shutil.rmtree, file.parent)
        if replaced:
            await anyio.to_thread.run_sync(make_file, file)
        with anyio.fail_after(5):
            assert "was removed or replaced" in await told
        assert not owner.alone()
        assert await owner.acquire_nowait()
        assert not await other.acquire_nowait()
    await owner.release()
    assert await other.acquire_nowait()
    await other.release()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere whoever makes the file has the lock")
async def test_no_other_gets_it_while_the_file_is_gone(tmp_path: Path) -> None:
    """Whatever becomes of the file, and of its folder: while the owner lives nobody else owns."""
    file = tmp_path / "data" / "owner.sqlite"
    owner, other = SqliteOwnership(file), SqliteOwnership(file)
    assert await owner.acquire_nowait()
    await anyio.to_thread.run_sync(shutil.rmtree, file.parent)
    assert not await other.acquire_nowait()
    assert owner.alone()
    assert not await anyio.Path(file.parent).exists()
    await owner.release()
    assert await other.acquire_nowait()
    await other.release()


async def test_another_that_was_quicker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only files tell, whoever locked the new file owns, and the first one knows."""
    monkeypatch.setattr(sys, "platform", "darwin")
    file = tmp_path / "data" / "owner.sqlite"
    owner, other = SqliteOwnership(file), SqliteOwnership(file)
    assert await owner.acquire_nowait()
    await anyio.to_thread.run_sync(shutil.rmtree, file.parent)
    assert not owner.alone()
    assert await other.acquire_nowait()
    assert not owner.alone()
    assert "was removed or replaced" in await owner.lost()
    assert not await owner.acquire_nowait()
    assert other.alone()
    await owner.release()
    await other.release()


NUMBER = 0x67726F6B
HELD = (
    "FROM pg_locks JOIN pg_database ON database = oid"
    f" WHERE locktype = 'advisory' AND objid = {NUMBER} AND datname = current_database()"
)
"""The owner's lock of this database, as the server lists it."""
TERMINATE = f"SELECT pg_terminate_backend(pid) {HELD}"


@pytest.mark.slow
async def test_a_broken_connection_is_a_lost_lock(postgresql: str) -> None:
    """When the server ends the lock's session it is told at once, and the lock can be had again."""
    with database(postgresql) as url:
        owner, other = PostgresqlOwnership(url), PostgresqlOwnership(url)
        assert (owner.shared, await owner.acquire_nowait()) == (True, True)
        told = asyncio.create_task(owner.lost())
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as operator:
            await operator.execute(TERMINATE.encode())
        with anyio.fail_after(5):
            how = await told
        assert "ledger on PostgreSQL failed" in how
        assert "not held" in repr(owner)
        assert await other.acquire_nowait()
        assert not await owner.acquire_nowait()
        assert await owner.lost() == "it is not held"
        await other.release()
        assert await owner.acquire_nowait()
        await owner.release()
