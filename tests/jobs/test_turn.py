"""Writers of one SQLite file wait for each other in a queue, and never meet a lock."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError

from supervisor.jobs.turn import Connection, Turn


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    """A database whose connections give up at once when they find it locked."""
    turn = Turn()
    engine = sa.create_engine(
        f"sqlite:///{tmp_path}/a.sqlite",
        connect_args={"factory": turn.connection, "timeout": 0},
        pool_size=10,
        max_overflow=0,
    )

    def prepare(connection: Connection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA journal_mode=WAL")

    event.listen(engine, "connect", prepare)
    turn.apply(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE counted (n INT NOT NULL)"))
    yield engine
    engine.dispose()


def insert(database: sa.Engine, value: int | None) -> None:
    """Write one row."""
    with database.begin() as connection:
        connection.execute(sa.text("INSERT INTO counted VALUES (:n)"), {"n": value})


def count(database: sa.Engine) -> int:
    """Read how many rows there are."""
    with database.connect() as connection:
        found: int = connection.execute(sa.text("SELECT count(*) FROM counted")).scalar_one()
        return found


def test_no_writer_finds_the_file_locked(database: sa.Engine) -> None:
    """Eight threads that write all the time get through without once looking too late."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(partial(insert, database), range(80)))
    assert count(database) == 80


def test_a_write_that_fails_gives_its_turn_back(database: sa.Engine) -> None:
    """What is rolled back, and what is closed in the middle, stands in nobody's way."""
    for _ in range(3):
        with pytest.raises(IntegrityError):
            insert(database, None)
    left = database.connect()
    left.execute(sa.text("INSERT INTO counted VALUES (1)"))
    left.close()
    lost = database.connect()
    lost.execute(sa.text("INSERT INTO counted VALUES (1)"))
    lost.invalidate()
    insert(database, 2)
    assert count(database) == 1


def test_readers_wait_for_nobody(database: sa.Engine) -> None:
    """While one writes, others read what was there before."""
    with database.begin() as writing:
        writing.execute(sa.text("INSERT INTO counted VALUES (1)"))
        writing.execute(sa.text("INSERT INTO counted VALUES (2)"))
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(count, database).result(timeout=5) == 0


def test_a_turn_that_is_never_given_back_is_not_waited_for(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its patience a writer meets SQLite's own lock instead of hanging for ever."""
    monkeypatch.setattr("supervisor.jobs.turn._PATIENCE", 0.01)
    with database.begin() as writing:
        writing.execute(sa.text("INSERT INTO counted VALUES (1)"))
        with ThreadPoolExecutor(1) as thread:
            error = thread.submit(insert, database, 2).exception(timeout=5)
    assert isinstance(error, OperationalError)
    insert(database, 3)
