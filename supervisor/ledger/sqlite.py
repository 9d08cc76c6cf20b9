"""A ledger in one SQLite file: nothing that was sent is forgotten by a kill.

Short transactions are written where they come from, all else by a thread with a connection of its
own (`Shortcut` says which); the journal begins one at a time. A settlement lost in a crash leaves
the reservation standing, which is the safe side.

A commit reaches the operating system, not always the disk (WAL with synchronous=NORMAL): a killed
process loses nothing, a power cut at most the last moments of a window that is as old as the boot.

Files that vanish while they are open are written anew from what is open (decision 14): it looks
before it records anything, and once a second.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Lock
from time import perf_counter
from typing import TypeVar

import anyio
import structlog
from anyio.abc import TaskStatus

from supervisor.errors import StoreError
from supervisor.ledger import age, rows
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.journal import UNFIT, Journal, Settled
from supervisor.ledger.ledger import Answered, HourlyCost, Spent, UsageRow
from supervisor.ledger.merge import carry_over, last_number
from supervisor.ledger.shortcut import Shortcut
from supervisor.ledger.sweeping import Sweeping
from supervisor.reading import Reading
from supervisor.sqlite import Files, are_there, clear_beside, connect, files_of, inode, write_anew

_log = structlog.get_logger("supervisor.ledger")

T = TypeVar("T")

_PATIENCE = 3.0
"""Seconds to wait for another program that writes to the file, such as a shell."""
_LOOK = 1.0
"""Seconds between two looks whether the files are still there."""
_TURN = 0.02
"""Seconds between two questions whether the key is ours again."""
_TURNS = 100
"""So often it is asked before what has to be written down fails."""

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS attempts (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL,
    class TEXT NOT NULL, model TEXT NOT NULL, job TEXT NOT NULL,
    granted REAL NOT NULL, wait REAL NOT NULL, tokens INTEGER NOT NULL,
    ended REAL, status INTEGER, outcome TEXT, latency REAL,
    prompt INTEGER, completion INTEGER, reasoning INTEGER, cached INTEGER, ticks INTEGER
);
CREATE INDEX IF NOT EXISTS attempts_granted ON attempts (granted);
CREATE INDEX IF NOT EXISTS attempts_slow ON attempts (ended) WHERE latency > {rows.QUICK};
CREATE TABLE IF NOT EXISTS hours (
    hour INTEGER NOT NULL, class TEXT NOT NULL, model TEXT NOT NULL,
    attempts INTEGER NOT NULL, answered INTEGER NOT NULL, refused INTEGER NOT NULL,
    prompt INTEGER NOT NULL, completion INTEGER NOT NULL, reasoning INTEGER NOT NULL,
    cached INTEGER NOT NULL, ticks INTEGER NOT NULL,
    PRIMARY KEY (hour, class, model)
) WITHOUT ROWID;
"""

_LATE = f"uptime + latency * {age.SECOND}"
_AFTER = (
    f"CREATE INDEX IF NOT EXISTS attempts_late ON attempts (boot, {_LATE})"
    f" WHERE latency > {rows.QUICK}"
)
"""An index on columns that older files get first."""
_BEFORE = (
    "SELECT seq FROM attempts WHERE NOT (boot = :boot AND uptime >= :up - :quick)"
    " ORDER BY seq DESC LIMIT 1"
)
"""Backwards over what this start of the system has written within the time that counts."""
_OLD = f"boot = :boot AND uptime + coalesce(latency, 0) * {age.SECOND} < :up"
_COUNTED = (
    "SELECT class, granted, tokens, ended, boot, uptime, latency, seq FROM attempts {index}"
    f" WHERE NOT ({_OLD}) AND "
)
_BY = _COUNTED.format
_SPENT = (
    f"{_BY(index='')} granted >= :since"
    # Granted before and ended since: the quick ones a moment before, the slow ones by their index.
    # Without that a day's attempts would have to be looked at.
    f" UNION {_BY(index='')} granted >= :since - {rows.QUICK + 1} AND granted < :since"
    f" AND ended >= :since AND latency <= {rows.QUICK}"
    f" UNION {_BY(index='INDEXED BY attempts_slow')}"
    f" latency > {rows.QUICK} AND ended >= :since AND granted < :since"
    # Where the wall clock was set ahead these are not among those above.
    f" UNION {_BY(index='NOT INDEXED')} seq > :before"
    f" UNION {_BY(index='INDEXED BY attempts_late')}"
    f" latency > {rows.QUICK} AND boot = :boot AND {_LATE} >= :up"
    " ORDER BY granted, seq"
)
_USAGE = (
    "SELECT strftime('%Y-%m-%d', hour * 3600, 'unixepoch') AS day, class, model, sum(attempts),"
    " sum(answered), sum(refused), sum(prompt), sum(completion), sum(reasoning), sum(cached),"
    " sum(ticks) FROM hours GROUP BY day, class, model ORDER BY day DESC, class DESC"
)
_HOURLY = (
    "SELECT hour, class, sum({0}) FROM hours WHERE hour >= ? GROUP BY hour, class"
    " HAVING sum({0}) <> 0 ORDER BY hour, class"
)
_FORGET = (
    "DELETE FROM attempts WHERE seq IN (SELECT seq FROM attempts"
    " WHERE granted < :granted AND CASE boot WHEN :boot THEN uptime < :uptime ELSE :others END"
    " LIMIT :most)"
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The open file.

    Attributes:
        connection: The thread's connection.
        here: That of the loop's thread.
        files: What they have open.
    """

    connection: sqlite3.Connection
    here: sqlite3.Connection
    files: Files

    def close(self) -> None:
        self.here.close()
        self.connection.close()


class SqliteLedger:
    """Attempts in a file.

    Args:
        path: The file; made, with its folder, where it is missing.
        kept: Seconds for which single attempts are kept, at least the longest window.
        sweep: Seconds between two removals of those that are older.
        alone: Whether no other process may write to it in this moment; asked on another thread,
            when files have vanished.
        patience: Seconds to wait for another program that writes to it, once it is open.
    """

    def __init__(
        self,
        path: Path,
        *,
        kept: float = rows.KEPT,
        sweep: float = rows.SWEEP,
        alone: Callable[[], bool] = lambda: True,
        patience: float = _PATIENCE,
    ) -> None:
        self._path = path
        self._patience = patience
        self._sweep = sweep
        self._alone = alone
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._opened: _Opened | None = None
        self._writing_here = Lock()
        self._shortcut = Shortcut()
        self._journal = Journal(self._begin, self._failure, of_values=_is_of_values)
        self._sweeping = Sweeping(kept)
        self._numbering = rows.Numbering()

    def __repr__(self) -> str:
        return f"<SqliteLedger {self._path} {self._journal!r}>"

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Open the file, keep it there and small, and write down what is left when cancelled.

        Raises:
            StoreError: It cannot be opened; what fails later is tried again.
        """
        await self._call(self._open)
        task_status.started()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_there)
                tasks.start_soon(self._keep_small)
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def aclose(self) -> None:
        """Write down what is left, unless that takes too long, and close the file."""
        if self._opened is not None:
            await self._journal.finish()
            await self._call(self._close)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write attempts down, in one transaction; returns when they are safe.

        Raises:
            StoreError: They could not be written, so they must not be sent.
        """
        await self._journal.record(attempts)

    async def postpone(self, attempts: Sequence[Attempt]) -> None:
        """Write down that attempts go later than their grace when they were recorded.

        Raises:
            StoreError: It could not be written, so they must not be sent.
        """
        await self._call(partial(self._postpone, attempts))

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Note how an attempt ended; it is written down soon."""
        self._journal.settle(attempt, settlement)

    async def spent_since(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """Attempts granted, or ended, at or after a Unix time; the oldest grant first.

        Raises:
            StoreError: The file cannot be read.
        """
        await self._journal.flushed()
        self._sweeping.read(moment, by, anyio.current_time())

        def read() -> list[Spent]:
            return age.told(self._spent(moment, by), by)

        return await self._call(read)

    async def spent_elsewhere(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """Like `spent_since`, but only what another process has written since this one began.

        Raises:
            StoreError: The file cannot be read.
        """
        await self._journal.flushed()
        self._sweeping.read(moment, by, anyio.current_time())

        def read() -> list[Spent]:
            last = last_number(self._open())
            return age.told(self._numbering.news(self._spent(moment, by), last), by)

        return await self._call(read)

    async def usage(self) -> Sequence[UsageRow]:
        """Usage by day, class and model, newest day first.

        Raises:
            StoreError: The file cannot be read.
        """
        return await self._rows(_USAGE, rows.usage_row)

    async def costs_since(self, moment: float) -> Sequence[HourlyCost]:
        """What was spent in each hour that began at or after a Unix time, oldest first.

        Raises:
            StoreError: The file cannot be read.
        """
        return await self._hourly("ticks", moment)

    async def reserved_since(self, moment: float) -> Sequence[HourlyCost]:
        """Likewise, what is reserved for attempts that have not ended or have no price.

        Raises:
            StoreError: The file cannot be read.
        """
        return await self._hourly("reserved", moment)

    async def latest_answers(self) -> Sequence[Answered]:
        """The last answers of each class and model, in the order in which they were asked.

        Raises:
            StoreError: The file cannot be read.
        """
        return await self._rows(rows.LATEST.format("attempts"), rows.answered)

    async def _keep_there(self) -> None:
        told = ""
        while True:
            await anyio.sleep(_LOOK)
            opened = self._opened
            if opened is not None and are_there(opened.files):
                told = ""
                continue
            try:
                await self._call(self._open)
            except StoreError as error:
                if told != str(error):
                    told = str(error)
                    _log.error("ledger.rescue_failed", error=told)

    async def _keep_small(self) -> None:
        while True:
            await anyio.sleep(self._sweep)
            try:
                while await self._forgotten():
                    pass
            except StoreError as error:
                _log.warning("ledger.sweep_failed", error=str(error))

    async def _hourly(self, column: str, moment: float) -> Sequence[HourlyCost]:
        return await self._rows(_HOURLY.format(column), rows.hourly_cost, rows.hours_from(moment))

    async def _rows(self, statement: str, made: Callable[[rows.Row], T], *values: int) -> list[T]:
        await self._journal.flushed()
        return await self._call(
            lambda: [made(row) for row in self._open().execute(statement, values)]
        )

    def _begin(
        self, attempts: Sequence[Attempt], settlements: Sequence[Settled]
    ) -> asyncio.Future[None]:
        self._sweeping.wrote(attempts)
        loop = asyncio.get_running_loop()
        if self._shortcut.allows(len(attempts) + len(settlements), loop.time()):
            written: asyncio.Future[None] = loop.create_future()
            if self._write_here(attempts, settlements):
                written.set_result(None)
                return written
        self._shortcut.avoided()
        return loop.run_in_executor(self._thread, self._commit, attempts, settlements)

    def _write_here(self, attempts: Sequence[Attempt], settlements: Sequence[Settled]) -> bool:
        """Write a short transaction on the loop's thread; False when the other has to."""
        opened = self._opened
        # How something ended is copied with all else when it is seen: that is soon enough.
        if opened is None or (attempts and not are_there(opened.files)):
            return False
        if not self._writing_here.acquire(blocking=False):
            # What was open is being closed.
            return False
        began = perf_counter()
        try:
            self._write(opened.here, attempts, settlements)
        except Exception:
            # Somebody else writes, the disk is full, or a value does not fit: the thread may wait,
            # and tells the error.
            return False
        finally:
            self._writing_here.release()
        self._shortcut.took(perf_counter() - began, asyncio.get_running_loop().time())
        return True

    async def _forgotten(self) -> bool:
        """Remove some attempts that are too old; tells whether there may be more."""
        old = self._sweeping.old(anyio.current_time())
        return bool(old) and await self._call(partial(self._forget, old))

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> StoreError:
        return StoreError(
            f"the ledger {self._path} failed: {error}",
            hint="see that the file is there, writable and its disk not full",
        )

    # -- on the thread ----------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        """The connection to the file at the path; if that has vanished it is put back first."""
        if self._opened is None:
            self._opened = self._connect()
            self._numbering.go_on(last_number(self._opened.connection))
        elif not are_there(self._opened.files):
            self._rescue(self._opened)
        return self._opened.connection

    def _connect(self) -> _Opened:
        made: list[sqlite3.Connection] = []
        try:
            made.append(connect(self._path, SCHEMA))
            _complete(made[0])
            # Somebody may wait for an answer meanwhile, or for the end of this process.
            made[0].execute(f"PRAGMA busy_timeout={self._patience * 1_000:.0f}")
            made.append(connect(self._path, ""))
            # It never waits: not for another writer, and not for the disk.
            made[1].execute("PRAGMA busy_timeout=0")
            made[1].execute("PRAGMA wal_autocheckpoint=0")
            return _Opened(made[0], made[1], files_of(self._path))
        except (OSError, sqlite3.Error):
            for connection in made:
                connection.close()
            raise

    def _rescue(self, old: _Opened) -> None:
        """Write what is open to the path, or into the other file that is there."""
        self._be_alone()
        with self._writing_here:
            if inode(self._path) in {None, old.files.get(self._path)}:
                write_anew(old.connection, self._path)
                self._opened = self._connect()
                _log.warning("ledger.rescued", path=str(self._path))
            else:
                clear_beside(self._path, old.files)
                new = self._connect()
                try:
                    numbering = carry_over(
                        old.connection, new.connection, since=self._sweeping.since
                    )
                except sqlite3.Error:
                    new.close()
                    raise
                self._opened, self._numbering = new, numbering
                _log.warning("ledger.replaced", path=str(self._path))
            old.close()

    def _be_alone(self) -> None:
        """Wait for a moment until the lock, which may have vanished too, is held again."""
        turn = Event()
        for _ in range(_TURNS):
            if self._alone():
                return
            turn.wait(_TURN)
        raise BlockingIOError("its files are gone, and another process may have made new ones")

    def _spent(self, moment: float, by: Reading | None) -> list[rows.Row]:
        connection = self._open()
        bounds = {**age.bounds(moment, by), "quick": rows.QUICK * age.SECOND, "before": 0}
        for (seq,) in connection.execute(_BEFORE, bounds):
            bounds["before"] = seq
        return connection.execute(_SPENT, bounds).fetchall()

    def _commit(self, attempts: Sequence[Attempt], settlements: Sequence[Settled]) -> None:
        self._write(self._open(), attempts, settlements)

    def _postpone(self, attempts: Sequence[Attempt]) -> None:
        connection = self._open()
        # Only now: in a file that was put back they may have other numbers.
        late = self._numbering.postponed(attempts)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(rows.POSTPONE, late)

    def _forget(self, old: Mapping[str, float]) -> bool:
        """Remove some that are so old; tells whether there may be more."""
        connection = self._open()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            return connection.execute(_FORGET, old).rowcount == rows.CHUNK

    def _close(self) -> None:
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            _log.error("ledger.rescue_failed", error=str(self._failure(error)))
        finally:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.close()

    # -- on either --------------------------------------------------------------------------------

    def _write(
        self,
        connection: sqlite3.Connection,
        attempts: Sequence[Attempt],
        settlements: Sequence[Settled],
    ) -> None:
        batch = self._numbering.batch(attempts, settlements)
        # Not `with connection`, nor many rows at once: for one attempt, which somebody waits to
        # send, that takes a fifth more.
        execute = connection.cursor().execute
        execute("BEGIN IMMEDIATE")
        try:
            for statement, values in (
                (rows.INSERT, batch.attempts),
                (rows.SETTLE, batch.settled),
                (rows.ADD, batch.sums),
            ):
                for row in values:
                    execute(statement, row)
            execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
        self._numbering.written(attempts, settlements)


def _is_of_values(error: BaseException) -> bool:
    return isinstance(error, (*UNFIT, sqlite3.DataError, sqlite3.IntegrityError))


def _complete(connection: sqlite3.Connection) -> None:
    """Add the columns that an older file lacks."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for table, column in rows.ADDED:
            found = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
            if column not in {name for (name,) in found}:
                connection.execute(
                    f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"
                )
        connection.execute(_AFTER)
