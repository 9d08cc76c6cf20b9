"""A ledger in PostgreSQL: the same tables as in SQLite, for a team that has a server anyway.

One connection, which the owner of the key alone uses. When it is lost, what waits is told so and
must not be sent; the next attempt connects again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
import psycopg
import structlog
from anyio.abc import TaskStatus

from supervisor.errors import StoreError
from supervisor.ledger import age, rows
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.journal import UNFIT, Journal, Settled
from supervisor.ledger.ledger import Answered, HourlyCost, Spent, UsageRow
from supervisor.ledger.postgresql_connection import Connection, Session, begin, connect, failure
from supervisor.ledger.sweeping import Sweeping
from supervisor.reading import Reading

_log = structlog.get_logger("supervisor.ledger")

T = TypeVar("T")

_PATIENCE = 10.0
"""Seconds that something may take, its turn and connecting included: a server that is cut off
swallows what it is asked, and never refuses."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS supervisor_attempts (
    seq BIGINT PRIMARY KEY, id TEXT NOT NULL,
    class TEXT NOT NULL, model TEXT NOT NULL, job TEXT NOT NULL,
    granted DOUBLE PRECISION NOT NULL, wait DOUBLE PRECISION NOT NULL, tokens BIGINT NOT NULL,
    ended DOUBLE PRECISION, status INTEGER, outcome TEXT, latency DOUBLE PRECISION,
    prompt BIGINT, completion BIGINT, reasoning BIGINT, cached BIGINT, ticks BIGINT
);
CREATE INDEX IF NOT EXISTS supervisor_attempts_granted ON supervisor_attempts (granted);
CREATE TABLE IF NOT EXISTS supervisor_hours (
    hour BIGINT NOT NULL, class TEXT NOT NULL, model TEXT NOT NULL,
    attempts BIGINT NOT NULL, answered BIGINT NOT NULL, refused BIGINT NOT NULL,
    prompt BIGINT NOT NULL, completion BIGINT NOT NULL, reasoning BIGINT NOT NULL,
    cached BIGINT NOT NULL, ticks BIGINT NOT NULL,
    PRIMARY KEY (hour, class, model)
);
"""
_COMPLETE = "".join(
    f"ALTER TABLE supervisor_{table} ADD COLUMN IF NOT EXISTS {column} BIGINT NOT NULL DEFAULT 0;"
    for table, column in rows.ADDED
)
_OLD = (
    f"boot = %(boot)s AND uptime + coalesce(latency, 0) * {age.SECOND} < %(up)s::double precision"
)
_COUNTED = (
    "SELECT class, granted, tokens, ended, boot, uptime, latency, seq FROM supervisor_attempts"
    f" WHERE NOT ({_OLD}) AND "
)
_SPENT = (
    f"{_COUNTED} granted >= %(since)s - %(longest)s"
    " AND (granted >= %(since)s OR ended >= %(since)s)"
    # Where the wall clock was set ahead these are not among those above: backwards over what this
    # start of the system has written within the time that may count.
    f" UNION {_COUNTED} seq > coalesce((SELECT seq FROM supervisor_attempts"
    f" WHERE NOT (boot = %(boot)s AND uptime >= %(up)s - %(longest)s * {age.SECOND})"
    " ORDER BY seq DESC LIMIT 1), 0)"
    " ORDER BY granted, seq"
)
_ENDED = "SELECT seq FROM supervisor_attempts WHERE seq = ANY(%s) AND ended IS NOT NULL"
_FORGET = (
    "DELETE FROM supervisor_attempts WHERE seq IN (SELECT seq FROM supervisor_attempts"
    " WHERE granted < %(granted)s"
    " AND CASE boot WHEN %(boot)s THEN uptime < %(uptime)s ELSE %(others)s END"
    " LIMIT %(most)s)"
)
_HOURLY = (
    "SELECT hour, class, sum({0}) FROM supervisor_hours WHERE hour >= %s"
    " GROUP BY hour, class HAVING sum({0}) <> 0 ORDER BY hour, class"
)


class PostgresqlLedger:
    """Attempts on a server.

    Args:
        url: `postgresql://USER:PASSWORD@HOST/NAME`.
        kept: Seconds for which single attempts are kept, at least the longest window.
        sweep: Seconds between two removals of those that are older.
        patience: Seconds that the server may take for something.
    """

    def __init__(
        self,
        url: str,
        *,
        kept: float = rows.KEPT,
        sweep: float = rows.SWEEP,
        patience: float = _PATIENCE,
    ) -> None:
        self._url = url
        self._sweep = sweep
        self._patience = patience
        self._connection: Connection | None = None
        self._session: Session | None = None
        self._turn = asyncio.Lock()
        self._journal = Journal(self._begin, failure, of_values=_is_of_values)
        self._sweeping = Sweeping(kept)
        self._numbering = rows.Numbering()
        self._in_doubt: set[str] = set()

    def __repr__(self) -> str:
        # Not the URL: a password may stand in it.
        return f"<PostgresqlLedger {self._journal!r}>"

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Connect, keep it small, and write down what is left when cancelled.

        Raises:
            StoreError: It cannot be connected to at first; what fails later is tried again.
        """
        await self._with(_nothing)
        task_status.started()
        try:
            while True:
                await anyio.sleep(self._sweep)
                try:
                    while await self._with(self._forget):
                        pass
                except StoreError as error:
                    _log.warning("ledger.sweep_failed", error=str(error))
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def aclose(self) -> None:
        """Write down what is left, unless that takes too long, and disconnect."""
        await self._journal.finish()
        await self._disconnect()

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
        late = self._numbering.postponed(attempts)

        async def write(connection: Connection) -> None:
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(_POSTPONE, late)

        await self._with(write)

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Note how an attempt ended; it is written down soon."""
        self._journal.settle(attempt, settlement)

    async def spent_since(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """Attempts granted, or ended, at or after a Unix time; the oldest grant first.

        Raises:
            StoreError: The server cannot be read.
        """
        await self._journal.flushed()
        self._sweeping.read(moment, by, anyio.current_time())

        async def read(connection: Connection) -> list[Spent]:
            return age.told(await _spent(connection, moment, by), by)

        return await self._with(read)

    async def spent_elsewhere(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """Like `spent_since`, but only what another process has written since this one began.

        Raises:
            StoreError: The server cannot be read.
        """
        await self._journal.flushed()
        self._sweeping.read(moment, by, anyio.current_time())

        async def read(connection: Connection) -> list[Spent]:
            last = await _last(connection)
            return age.told(self._numbering.news(await _spent(connection, moment, by), last), by)

        return await self._with(read)

    async def usage(self) -> Sequence[UsageRow]:
        """Usage by day, class and model, newest day first.

        Raises:
            StoreError: The server cannot be read.
        """
        await self._journal.flushed()

        async def read(connection: Connection) -> list[UsageRow]:
            cursor = await connection.execute(
                "SELECT to_char(to_timestamp(hour * 3600) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,"
                " class, model, sum(attempts), sum(answered), sum(refused), sum(prompt),"
                " sum(completion), sum(reasoning), sum(cached), sum(ticks) FROM supervisor_hours"
                " GROUP BY day, class, model ORDER BY day DESC, class DESC"
            )
            return [rows.usage_row(row) for row in await cursor.fetchall()]

        return await self._with(read)

    async def costs_since(self, moment: float) -> Sequence[HourlyCost]:
        """What was spent in each hour that began at or after a Unix time, oldest first.

        Raises:
            StoreError: The server cannot be read.
        """
        return await self._hourly("ticks", moment)

    async def reserved_since(self, moment: float) -> Sequence[HourlyCost]:
        """Likewise, what is reserved for attempts that have not ended or have no price.

        Raises:
            StoreError: The server cannot be read.
        """
        return await self._hourly("reserved", moment)

    async def _hourly(self, column: str, moment: float) -> Sequence[HourlyCost]:
        await self._journal.flushed()

        async def read(connection: Connection) -> list[HourlyCost]:
            statement = _HOURLY.format(column).encode()
            cursor = await connection.execute(statement, (rows.hours_from(moment),))
            return [rows.hourly_cost(row) for row in await cursor.fetchall()]

        return await self._with(read)

    async def latest_answers(self) -> Sequence[Answered]:
        """The last answers of each class and model, in the order in which they were asked.

        Raises:
            StoreError: The server cannot be read.
        """
        await self._journal.flushed()

        async def read(connection: Connection) -> list[Answered]:
            statement = rows.LATEST.format("supervisor_attempts").encode()
            cursor = await connection.execute(statement)
            return [rows.answered(row) for row in await cursor.fetchall()]

        return await self._with(read)

    # -- inside -----------------------------------------------------------------------------------

    def _begin(
        self, attempts: Sequence[Attempt], settlements: Sequence[Settled]
    ) -> asyncio.Future[None]:
        async def write(connection: Connection) -> None:
            await self._write(connection, attempts, settlements)

        return asyncio.ensure_future(self._with(write))

    async def _write(
        self, connection: Connection, attempts: Sequence[Attempt], settlements: Sequence[Settled]
    ) -> None:
        done = await self._told_already(connection, settlements)
        batch = self._numbering.batch(attempts, [one for one in settlements if one not in done])
        ends = [attempt.id for attempt, _ in settlements]
        self._in_doubt.update(ends)
        async with connection.pipeline(), connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(_INSERT, batch.attempts)
            await cursor.executemany(_SETTLE, batch.settled)
            await cursor.executemany(_ADD, batch.sums)
        self._in_doubt.difference_update(ends)
        self._numbering.written(attempts, settlements)
        self._sweeping.wrote(attempts)

    async def _told_already(
        self, connection: Connection, settlements: Sequence[Settled]
    ) -> Sequence[Settled]:
        """Those that a transaction wrote of whose end nothing was heard: they count once."""
        if self._in_doubt.isdisjoint(attempt.id for attempt, _ in settlements):
            return []
        numbers = [self._numbering.number_of(attempt) for attempt, _ in settlements]
        found = await connection.execute(_ENDED.encode(), (numbers,))
        ended = {seq for (seq,) in await found.fetchall()}
        return [one for one, seq in zip(settlements, numbers, strict=True) if seq in ended]

    async def _forget(self, connection: Connection) -> bool:
        """Remove some attempts that are too old; tells whether there may be more."""
        old = self._sweeping.old(anyio.current_time())
        if not old:
            return False
        async with connection.transaction():
            return (await connection.execute(_FORGET.encode(), old)).rowcount == rows.CHUNK

    async def _with(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something with the connection, one after the other, within the patience."""
        try:
            async with asyncio.timeout(self._patience), self._turn:
                try:
                    return await work(await self._connected())
                except (psycopg.Error, OSError, asyncio.CancelledError):
                    await self._disconnect()
                    raise
        except (psycopg.Error, OSError) as error:
            raise failure(error) from error

    async def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._connection = await connect(self._url)
            self._session, _ = await begin(connection, after=self._session)
            await connection.execute(_SCHEMA)
            await connection.execute(_COMPLETE.encode())
            self._numbering.go_on(await _last(connection))
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _spent(connection: Connection, moment: float, by: Reading | None) -> list[rows.Row]:
    bounds = {**age.bounds(moment, by), "longest": rows.LONGEST_ANSWER}
    return await (await connection.execute(_SPENT.encode(), bounds)).fetchall()


async def _last(connection: Connection) -> int:
    """The last number that was given; 0 for none."""
    cursor = await connection.execute("SELECT max(seq) FROM supervisor_attempts")
    row = await cursor.fetchone()
    return int((row[0] if row else None) or 0)


async def _nothing(_: Connection) -> None:
    """Connecting is enough."""


def _is_of_values(error: BaseException) -> bool:
    cause = error.__cause__ or error
    return isinstance(cause, (*UNFIT, psycopg.DataError, psycopg.IntegrityError))


def _translated(statement: str) -> bytes:
    """A statement of the SQLite ledger as psycopg takes it."""
    for table in ("attempts", "hours"):
        for before in ("INTO ", "UPDATE "):
            statement = statement.replace(f"{before}{table} ", f"{before}supervisor_{table} ")
    return statement.replace("?", "%s").encode()


_INSERT = _translated(rows.INSERT)
_SETTLE = _translated(rows.SETTLE)
_POSTPONE = _translated(rows.POSTPONE)
_ADD = _translated(rows.ADD)
