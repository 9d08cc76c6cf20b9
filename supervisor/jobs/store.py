"""Where jobs are kept: opening the database, and writing to it in few, full transactions.

Whoever writes waits until the row is on disk. Writes that come while a transaction is under way
are gathered and go together into the next one, so ten thousand submissions cost some tens of
commits, and one alone costs one.
"""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from supervisor.clock import SystemClock
from supervisor.errors import JobStoreError, StoreError, SupervisorError
from supervisor.jobs.table import add_missing_columns, metadata
from supervisor.jobs.turn import Turn
from supervisor.sqlite import (
    Files,
    Inode,
    are_there,
    clear_beside,
    files_of,
    inode,
    make_file,
    write_anew,
)

if TYPE_CHECKING:
    from supervisor.jobs.connections import Connections

log = structlog.get_logger("supervisor.jobs")

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

# A transaction holds SQLite's one write lock; recorded answers wait for it meanwhile.
_BATCH = 200
_READERS = 4
# For our readers and our writer, and as many again for the engine.
_CONNECTIONS = 10
_LOOK = 1.0
"""Seconds between two looks whether the files are still there, and the server has answered."""
_FIRST_SQLITE_WITH_SUBSEC = (3, 42, 0)
_EXPECTED = 'expected "sqlite:///PATH" or "postgresql://USER@HOST/DATABASE"'


class Store:
    """The database of jobs.

    Args:
        url: `sqlite:///PATH` or `postgresql://…`.

    Raises:
        StoreError: The URL is none of these.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self._database: sa.Engine | None = None
        self._files: Files = {}
        self._connections: Connections | None = None
        self._opening: anyio.Event | None = None
        self._readers = anyio.CapacityLimiter(_READERS)
        self._pending: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._committer: asyncio.Task[None] | None = None

    @property
    def database(self) -> sa.Engine:
        """The open database, for the job engine to keep its own tables in.

        Raises:
            JobStoreError: It is not open.
        """
        if self._database is None:
            raise JobStoreError("the job store is not open", hint="it is open while the jobs run")
        return self._database

    async def open(self) -> None:
        """Make what is missing and connect; where it is open, put back what has vanished.

        Raises:
            JobStoreError: It cannot be used; says which file or server and why.
        """
        self._opening = anyio.Event()
        try:
            await self._settled()
            self._readers = anyio.CapacityLimiter(_READERS)
            await anyio.to_thread.run_sync(self._open_anew)
        finally:
            self._opening.set()

    async def lost(self) -> JobStoreError:
        """Wait until its files were removed or replaced, or its server has fallen silent.

        Returns:
            What to say: it has to be opened again, when nothing writes to it any more.
        """
        # Whoever removes them does not tell.
        while await self.is_whole():  # noqa: ASYNC110
            await anyio.sleep(_LOOK)
        return self._vanished() if self._connections is None else self._silent(self._connections)

    async def is_whole(self) -> bool:
        """Whether its files are still the ones that it has open, or its server has answered."""
        if self._connections is not None:
            return not self._connections.over
        return await anyio.to_thread.run_sync(are_there, self._files)

    async def close(self) -> None:
        """Finish what was begun and disconnect; files that have vanished are written anew."""
        await self._settled()
        if self._database is not None:
            await anyio.to_thread.run_sync(self._close)

    async def _settled(self) -> None:
        if self._committer is not None:
            await asyncio.wait([self._committer])

    async def read(self, work: Work[T]) -> T:
        """Run a query on a thread.

        Args:
            work: Gets a connection; reads only.

        Raises:
            JobStoreError: The database failed.
        """
        if self._opening is not None:
            await self._opening.wait()
        return await anyio.to_thread.run_sync(partial(self._read, work), limiter=self._readers)

    async def write(self, work: Work[T]) -> T:
        """Run a change and return when it is durable.

        The change is made even when the caller is cancelled while it waits.

        Args:
            work: Gets a connection in a transaction, perhaps together with others' changes.

        Raises:
            JobStoreError: The database failed; the change was not made.
        """
        if self._opening is not None:
            await self._opening.wait()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append((work, future))
        if self._committer is None or self._committer.done():
            # Not in the caller's context: that may be inside one of the engine's steps.
            self._committer = asyncio.create_task(
                self._commit_pending(), context=contextvars.Context()
            )
        return await future

    async def _commit_pending(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
            works = [work for work, _ in batch]
            outcomes = await anyio.to_thread.run_sync(self._commit, works)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _commit(self, works: Sequence[Work[Any]]) -> list[Any]:
        """Make changes together; gives the value or the exception of each."""
        if not are_there(self._files):
            # It would be accepted, and gone with the next kill.
            return [self._vanished()] * len(works)
        try:
            with self.database.begin() as connection:
                return [_attempt(work, connection) for work in works]
        except (OperationalError, PoolTimeout) as error:
            # Full, locked, gone or silent: it would be so for each of them.
            return [self._failure(error)] * len(works)
        except Exception as error:
            if len(works) > 1:
                # One bad change must not take the others down with it.
                return [outcome for work in works for outcome in self._commit([work])]
            return [self._failure(error) if isinstance(error, SQLAlchemyError) else error]

    def _read(self, work: Work[T]) -> T:
        try:
            with self.database.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise self._failure(error) from error

    def _open(self) -> None:
        if self._url.get_backend_name() == "sqlite":
            self._open_file()
        else:
            self._open_server()

    def _open_file(self, known: Files | None = None) -> None:
        """Connect, and make what is missing; of a file that is known only its tables."""
        # Other connections are opened later, wherever the process has gone by then.
        path = Path(str(self._url.database)).absolute()
        self._url = self._url.set(database=str(path))
        if known is None:
            _make_file(path)
        turn, files = Turn(), dict[Path, Inode](known or {})
        database = self._engine({"factory": turn.connection})
        event.listen(database, "do_connect", partial(_refuse_vanished, files))
        event.listen(database, "connect", _prepare_sqlite)
        turn.apply(database)
        self._make_tables(database)
        try:
            files.update(files_of(path))
        except OSError as error:
            database.dispose()
            raise self._vanished() from error
        self._database, self._files = database, files

    def _open_server(self) -> None:
        # psycopg: only who has such a server needs it.
        from supervisor.jobs.connections import PATIENCE, Connections  # noqa: PLC0415

        earlier = self._connections
        connections = Connections(after=earlier, patience=PATIENCE)
        database = self._engine(
            connections.parameters, pool_pre_ping=True, pool_timeout=2 * PATIENCE
        )
        event.listen(database, "do_connect", connections.connect)
        try:
            self._make_tables(database)
        except BaseException:
            connections.close("it could not be opened")
            if earlier is not None:
                earlier.inherit(connections)
            raise
        self._dispose("it was opened anew")
        self._database, self._connections = database, connections

    def _engine(self, parameters: Mapping[str, Any], **options: Any) -> sa.Engine:
        return sa.create_engine(
            self._url,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            connect_args=dict(parameters),
            **options,
        )

    def _make_tables(self, database: sa.Engine) -> None:
        try:
            metadata.create_all(database)
            with database.begin() as connection:
                add_missing_columns(connection)
        except SQLAlchemyError as error:
            database.dispose()
            raise self._failure(error) from error

    def _open_anew(self) -> None:
        old, files = self._database, self._files
        if old is None or self._connections is not None:
            # Also where a server answers: of the old opening, threads of the engine may be left.
            self._open()
        elif not are_there(files):
            self._rescue(old)
            path = Path(str(self._url.database))
            found = inode(path)
            # It may vanish once more. An empty file made here in its place would be taken for
            # somebody's copy the next time, and what is known would be given up for it.
            if found is None:
                raise self._vanished()
            self._open_file({path: found})
            if self._files[path] != found:
                self._dispose()
                self._database, self._files = old, files
                raise self._vanished()
            old.dispose()
        # Else: a full disk can be read meanwhile.

    def _close(self) -> None:
        assert self._database is not None
        try:
            if not are_there(self._files):
                self._rescue(self._database)
        except JobStoreError as error:
            log.error("jobs.rescue_failed", path=self._url.database, error=str(error))
        finally:
            self._dispose()

    def _dispose(self, reason: str = "it was closed") -> None:
        if self._connections is not None:
            self._connections.close(reason)
        database, self._database = self._database, None
        self._files, self._connections = {}, None
        if database is not None:
            database.dispose()

    def _rescue(self, database: sa.Engine) -> None:
        """What is open has all of it still; where somebody put another file that one counts.

        Raises:
            JobStoreError: It cannot be written there; it is open still.
        """
        path = Path(str(self._url.database))
        try:
            if inode(path) not in {None, self._files[path]}:
                # The log is the old file's; the new one would take it for its own.
                clear_beside(path, self._files)
                log.error("jobs.store_replaced", path=str(path))
                return
            with database.connect() as connection:
                opened = connection.connection.driver_connection
                assert isinstance(opened, sqlite3.Connection)
                write_anew(opened, path)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise JobStoreError(
                f"the files of the job store {path} have vanished and cannot be written anew: "
                f"{getattr(error, 'orig', None) or error}",
                hint="make its folder writable; what is open is kept until then",
            ) from error
        log.warning("jobs.store_rescued", path=str(path))

    def _vanished(self) -> JobStoreError:
        return JobStoreError(
            f"the files of the job store {self._url.database} were removed or replaced",
            hint="what is known is written there anew in a moment: try again",
        )

    def _silent(self, connections: Connections) -> JobStoreError:
        return JobStoreError(
            f"the job store {self._shown} failed: {connections.over}",
            hint="see that the server of store.url is there; it is tried again",
        )

    def _failure(self, error: SQLAlchemyError) -> StoreError:
        # Its first line only: `/health` and `status` show it in one.
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        # What a value is refused for does not pass: whoever wrote it has to know.
        kind = StoreError if is_of_values(error) else JobStoreError
        return kind(
            f"the job store {self._shown} failed: {reason}",
            hint="see that the database is there, writable and not full",
        )

    @property
    def _shown(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"<Store {self._shown} pending={len(self._pending)}>"


def _refuse_vanished(files: Files, *_: object) -> None:
    """A connection that is opened now would make an empty file where the old one was."""
    if not are_there(files):
        raise sqlite3.OperationalError("its files were removed")


def is_of_values(error: BaseException) -> bool:
    """Whether a database has failed for what it was to hold, and would do so again."""
    return isinstance(error, DataError | IntegrityError | ValueError | TypeError)


def _attempt(work: Work[Any], connection: sa.Connection) -> Any:
    try:
        return work(connection)
    except SupervisorError as refusal:
        # Said by the work itself, such as "no such job": it concerns nobody else in the batch.
        return refusal


def _parse(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except ArgumentError as error:
        # The text itself is not shown: a password may stand in it.
        raise StoreError(f"the job store's URL cannot be read; {_EXPECTED}") from error
    backend = url.get_backend_name()
    if backend in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    shown = url.render_as_string(hide_password=True)
    if backend != "sqlite":
        raise StoreError(f"{_EXPECTED} for the job store, got: {shown!r}")
    if url.database in (None, "", ":memory:"):
        raise StoreError(f"expected a file for the job store, got: {shown!r}", hint=_EXPECTED)
    return url.set(drivername="sqlite")


def _make_file(path: Path) -> None:
    """Create the file and its directory, readable by their owner alone, where they are missing."""
    try:
        make_file(path)
    except OSError as error:
        raise JobStoreError(
            f"the job store {path} cannot be opened: {error.strerror}",
            hint="name a file in a directory that this user may write to, in store.url",
        ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The write lock is taken when a transaction begins, never half-way through it.
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")
    # Readers and the writer do not stop each other, and a commit is one fsync instead of three:
    # an empty job takes DBOS 2.6 ms instead of 4.1.
    connection.execute("PRAGMA journal_mode=WAL")
    if sqlite3.sqlite_version_info < _FIRST_SQLITE_WITH_SUBSEC:  # pragma: no branch - the machine's
        # DBOS takes it for granted that Python 3.12 and later come with such a SQLite. Debian 12
        # has 3.40, where this function gives NULL and DBOS cannot start; whole seconds will do.
        connection.create_function("unixepoch", 1, _whole_seconds)


def _whole_seconds(_modifier: str) -> int:  # pragma: no cover - not called below Python 3.12
    return int(SystemClock().wall())
