"""A database for each test of jobs."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest

from tests.jobs.team import Team


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all its tables and no rows: making those takes DBOS 50 ms."""
    path = tmp_path_factory.mktemp("jobs") / "jobs.sqlite"

    async def make() -> None:
        async with Team(f"sqlite:///{path}").at_work():
            pass

    # On a thread of its own: a loop may be running where an async test asks for this.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(anyio.run, make).result()
    return path


@pytest.fixture(autouse=True)
def _delivered_at_once(delivered_at_once: None) -> None:
    """No restart waits for a second."""


@pytest.fixture
def new_sqlite(tmp_path: Path) -> Path:
    """A SQLite file that is not there yet."""
    return tmp_path / "data" / "jobs.sqlite"


@pytest.fixture
def sqlite(new_sqlite: Path, empty_database: Path) -> Path:
    """A SQLite file without jobs."""
    new_sqlite.parent.mkdir(mode=0o700)
    shutil.copy(empty_database, new_sqlite)
    return new_sqlite


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A database without jobs."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite')}"
    new: str = request.getfixturevalue("postgresql_database")
    return new


@pytest.fixture
def team(url: str) -> Team:
    """A team without roles."""
    return Team(url)


@pytest.fixture
def sqlite_team(sqlite: Path) -> Team:
    """A team without roles, for what is the same on every database."""
    return Team(f"sqlite:///{sqlite}")
