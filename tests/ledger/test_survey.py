"""Looking at a store changes nothing, and finds out what is wrong with it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from anyio import to_thread

from supervisor.clock import SystemClock
from supervisor.errors import StoreError
from supervisor.ledger.owner import SqliteOwnership
from supervisor.ledger.postgresql import PostgresqlLedger
from supervisor.ledger.postgresql_owner import PostgresqlOwnership
from supervisor.ledger.postgresql_survey import ServerSurvey, examine_server
from supervisor.ledger.sqlite import SCHEMA
from supervisor.ledger.survey import examine, is_held
from supervisor.sqlite import connect
from tests.postgresql import database

CLOCK = SystemClock()
CRASH = (
    "import os, sys; from pathlib import Path; from supervisor.sqlite import connect;"
    "c = connect(Path(sys.argv[1]), 'CREATE TABLE attempts (seq)'); os._exit(1)"
)


def look(path: Path, schema: str = "") -> bool:
    """Examine a file with all the time in the world."""
    return examine(path, schema=schema, until=CLOCK.monotonic() + 60.0, clock=CLOCK)


def bytes_in(folder: Path) -> dict[str, bytes]:
    """All that a folder holds."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger's file that was closed in order."""
    path = tmp_path / "ledger # 1%.sqlite"
    connect(path, SCHEMA).close()
    return path


def test_a_closed_file_is_read_without_a_trace(ledger: Path) -> None:
    """A sound ledger of ours is well, and no file appears beside it."""
    before = bytes_in(ledger.parent)
    assert look(ledger, SCHEMA)
    assert bytes_in(ledger.parent) == before


def test_a_file_in_use_is_read_beside_its_owner(ledger: Path) -> None:
    """While a process writes, the file can be looked at, with what is only in its log."""
    connection = connect(ledger, SCHEMA)
    connection.execute("CREATE TABLE later (x)")
    assert look(ledger, SCHEMA)
    connection.execute("DROP TABLE attempts")
    connection.execute("CREATE TABLE attempts (seq)")
    with pytest.raises(StoreError, match="table attempts without cached, class"):
        look(ledger, SCHEMA)
    connection.close()


@pytest.mark.slow
def test_a_crash_is_left_as_it_was(tmp_path: Path) -> None:
    """What a killed process left is read with its log, and neither of the two changes."""
    path = tmp_path / "crashed.sqlite"
    subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False)
    before = bytes_in(tmp_path)
    assert f"{path.name}-wal" in before
    with pytest.raises(StoreError, match="table attempts without"):
        look(path, SCHEMA)
    after = bytes_in(tmp_path)
    assert [
        name for name in before if not name.endswith("-shm") and before[name] != after[name]
    ] == []
    assert set(after) == set(before)


def test_an_empty_file_is_well(tmp_path: Path) -> None:
    """A file without tables is one that ours can still be made in."""
    path = tmp_path / "empty.sqlite"
    path.touch()
    assert look(path, SCHEMA)


def words(path: Path) -> None:
    """A file of text."""
    path.write_text("hello" * 1000)


def damage(path: Path) -> None:
    """Overwrite a page in the middle."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


def foreign(path: Path) -> None:
    """Another program's database."""
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (x)")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (words, "cannot be read: file is not a database"),
        (damage, "malformed|is damaged"),
        (foreign, "another program's: expected the tables attempts, hours, got: recipes"),
    ],
)
def test_what_is_wrong_is_said(ledger: Path, spoil: Callable[[Path], None], says: str) -> None:
    """Text, a damaged page and a stranger's tables are told apart, each with the file."""
    spoil(ledger)
    with pytest.raises(StoreError, match=says) as error:
        look(ledger, SCHEMA)
    assert ledger.name in error.value.message
    assert error.value.hint


def test_reading_ends_in_time(ledger: Path) -> None:
    """A file that takes too long is given up, and nothing bad is said of it."""
    connection = connect(ledger, SCHEMA)
    connection.executemany(
        "INSERT INTO hours VALUES (?, 'c', 'm', 1, 1, 1, 1, 1, 1, 1, 1)",
        ((hour,) for hour in range(10_000)),
    )
    connection.close()
    assert not examine(ledger, schema=SCHEMA, until=CLOCK.monotonic() - 1.0, clock=CLOCK)
    assert look(ledger, SCHEMA)


async def test_who_owns_the_key_is_told(tmp_path: Path) -> None:
    """The lock is seen while it is held, and looking does not take it."""
    lock = tmp_path / "owner.sqlite"
    assert not await to_thread.run_sync(is_held, lock)
    owner = SqliteOwnership(lock)
    assert await owner.acquire_nowait()
    assert await to_thread.run_sync(is_held, lock)
    await owner.release()
    assert not await to_thread.run_sync(is_held, lock)
    assert await owner.acquire_nowait()
    await owner.release()


def test_a_lock_that_is_none(tmp_path: Path) -> None:
    """A lock that is missing is not made, and a file that is no lock is said to be none."""
    lock = tmp_path / "owner.sqlite"
    assert not is_held(lock)
    assert not lock.exists()
    lock.write_text("hello" * 1000)
    with pytest.raises(StoreError, match="cannot be read: file is not a database"):
        is_held(lock)


def ask(url: str) -> ServerSurvey:
    """Look at a server, which blocks."""
    return examine_server(url, patience=5.0)


@pytest.mark.slow
async def test_a_server_is_looked_at(postgresql: str) -> None:
    """A server says its version, and whether the key of this database is owned."""
    with database(postgresql) as url:
        before = await to_thread.run_sync(ask, url)
        assert not before.owned
        owner, ledger = PostgresqlOwnership(url), PostgresqlLedger(url)
        assert await owner.acquire_nowait()
        await ledger.usage()
        assert await to_thread.run_sync(ask, url) == ServerSurvey(before.version, owned=True)
        await owner.release()
        await ledger.aclose()
        assert not (await to_thread.run_sync(ask, url)).owned


@pytest.mark.slow
def test_a_server_that_cannot_be_used_is_told(postgresql: str) -> None:
    """Only reading, no right to make tables, and a stranger's tables are told apart."""
    with database(postgresql) as url:
        here = sa.make_url(url)
        mark = "&" if "?" in url else "?"
        with pytest.raises(StoreError, match="only lets read"):
            ask(f"{url}{mark}options=-c%20default_transaction_read_only%3Don")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE supervisor_attempts (seq BIGINT)")
            with pytest.raises(StoreError, match="supervisor_attempts without cached"):
                ask(url)
            connection.execute("DROP TABLE supervisor_attempts")
            connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            connection.execute("CREATE ROLE guest_of_survey LOGIN")
            with pytest.raises(StoreError, match="may make no tables"):
                ask(here.set(username="guest_of_survey").render_as_string(hide_password=False))
            connection.execute("DROP ROLE guest_of_survey")


def test_a_server_that_is_not_there() -> None:
    """A server that cannot be reached is told with its address, and without the password."""
    with pytest.raises(StoreError, match=r"127\.0\.0\.1.* refused") as error:
        ask("postgresql://someone:secret-word@127.0.0.1:9/nothing")
    assert "secret-word" not in str(error.value)
