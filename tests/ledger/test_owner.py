"""The lock of the key's owner, on every kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.errors import StoreError
from supervisor.ledger.owner import Ownership, SqliteOwnership
from supervisor.ledger.postgresql import PostgresqlLedger
from supervisor.ledger.postgresql_owner import PostgresqlOwnership
from tests.postgresql import database

Make = Callable[[], Ownership]


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes another process's view of the same lock."""
    if request.param == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        yield lambda: SqliteOwnership(folder / "new" / "owner.sqlite")
        return
    with database(request.getfixturevalue("postgresql")) as url:
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
    with pytest.raises(StoreError, match="cannot be taken"):
        await SqliteOwnership(tmp_path / "\0" / "owner.sqlite").acquire_nowait()
    gone = "postgresql://someone:secret-word@127.0.0.1:9/nothing"
    with pytest.raises(StoreError) as lock:
        await PostgresqlOwnership(gone).acquire_nowait()
    with pytest.raises(StoreError) as ledger:
        await PostgresqlLedger(gone).usage()
    assert "secret-word" not in f"{lock.value} {ledger.value} {PostgresqlLedger(gone)!r}"
