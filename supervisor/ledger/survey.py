"""What can be told of a store's files without changing one: are they sound, ours, and in use?

A database in WAL mode that nobody has open is read as immutable: else even a reader that only
reads would leave two files beside it. After a crash there are such files already; SQLite then
brings the index of its log (`-shm`) up to date, and changes neither the log nor the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from supervisor.clock import Clock
from supervisor.errors import StoreError

Columns = Mapping[str, frozenset[str]]
"""The columns of every table."""

_STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: some milliseconds."""
_BUSY = 1.0
"""Seconds to wait for a lock."""


def examine(path: Path, *, schema: str = "", until: float, clock: Clock) -> bool:
    """Read a database, and see whether it is sound and ours.

    Args:
        path: The file; it exists.
        schema: Statements that make our tables; empty where they are not known here.
        until: When to give up, on the monotonic clock, in seconds.
        clock: Tells the time.

    Returns:
        Whether it was read to its end; it is sound as far as it was read.

    Raises:
        StoreError: It is damaged, another program's, or cannot be read.
    """
    try:
        connection = _reading(path)
        try:
            connection.set_progress_handler(lambda: clock.monotonic() > until, _STEPS)
            require_ours(str(path), _columns(connection), expected(schema))
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            return False
        raise StoreError(
            f"{path} cannot be read: {error}",
            hint="if it is no database of ours, name another file in store.url",
        ) from error
    if found != "ok":
        raise StoreError(
            f"{path} is damaged: {' '.join(str(found).split())}",
            hint="stop the supervisor, and put a copy back or move the file away: then a new one "
            "is made",
        )
    return True


def require_ours(name: str, found: Columns, ours: Columns) -> None:
    """Refuse tables that are not as ours; ones that are missing get made.

    Args:
        name: What they are in, for people.
        found: The tables that are there.
        ours: The tables that there should be.

    Raises:
        StoreError: They are another program's, or another version's.
    """
    if ours and found and not ours.keys() & found.keys():
        raise StoreError(
            f"{name} is another program's: expected the tables {', '.join(sorted(ours))}, "
            f"got: {', '.join(sorted(found))}",
            hint="name another one in store.url",
        )
    for table in sorted(ours.keys() & found.keys()):
        missing = sorted(ours[table] - found[table])
        if missing:
            raise StoreError(
                f"{name} has a table {table} without {', '.join(missing)}",
                hint="it may be another version's: run the version that made it, or name another "
                "one in store.url",
            )


def expected(schema: str) -> Columns:
    """The tables that some statements make.

    Args:
        schema: In SQLite's language.
    """
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(schema)
        return _columns(connection)
    finally:
        connection.close()


def is_held(lock: Path) -> bool:
    """Whether a process owns the key of a store right now.

    Args:
        lock: The file of its `SqliteOwnership`.

    Raises:
        StoreError: It cannot be read.
    """
    if not lock.exists():
        return False
    try:
        connection = _reading(lock, patience=0.0)
        try:
            _columns(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return True
        raise StoreError(
            f"the store's lock {lock} cannot be read: {error}",
            hint="see whose file it is, or name another file in store.url",
        ) from error
    return False


def _reading(path: Path, *, patience: float = _BUSY) -> sqlite3.Connection:
    log = path.with_name(f"{path.name}-wal")
    # The lock's own file keeps no such log, and is what an immutable reader would not look at.
    alone = patience > 0 and not log.exists()
    mode = "immutable=1" if alone else "mode=ro"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=patience)


def _columns(connection: sqlite3.Connection) -> Columns:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    statement = "SELECT name FROM pragma_table_info(?)"
    return {
        table: frozenset(name for (name,) in connection.execute(statement, (table,)))
        for (table,) in tables
    }
