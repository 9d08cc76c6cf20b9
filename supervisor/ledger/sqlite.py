"""A ledger in one SQLite file: nothing that was sent is forgotten by a kill.

One thread owns the connection. What comes while a transaction is under way goes together into the
next one, so many attempts at once cost one commit. Settlements wait a moment for company: one
lost in a crash leaves the reservation standing, which is the safe side.

A commit reaches the operating system, not always the disk (WAL with synchronous=NORMAL): a killed
process loses nothing, a power cut at most the last moments of a window that is as old as the boot.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import structlog
from anyio.abc import TaskStatus

from supervisor.errors import StoreError
from supervisor.ledger import rows
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import Spent, UsageRow

_log = structlog.get_logger("supervisor.ledger")

T = TypeVar("T")

_LINGER = 0.05
"""Seconds that a settlement waits for others."""
_SWEEP = 600.0
"""Seconds between two removals of attempts that nobody needs any more."""
KEPT = 7 * 86_400.0
"""Seconds for which single attempts are kept; their hourly sums stay for ever."""

Recorded = tuple[Sequence[Attempt], "asyncio.Future[None]"]


class SqliteLedger:
    """Attempts in a file.

    Args:
        path: The file; made, with its folder, where it is missing.
        kept: Seconds for which single attempts are kept, at least the longest window.
    """

    def __init__(self, path: Path, *, kept: float = KEPT) -> None:
        self._path = path
        self._kept = kept
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._connection: sqlite3.Connection | None = None
        self._records: list[Recorded] = []
        self._settlements: list[tuple[Attempt, Settlement]] = []
        self._lingering: asyncio.TimerHandle | None = None
        self._writing = False
        self._newest = 0.0
        self._seq = 0
        self._numbers: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<SqliteLedger {self._path} settling={len(self._settlements)}>"

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Open the file, keep it small, and write down what is left when cancelled.

        Raises:
            StoreError: It cannot be used.
        """
        await self._call(self._open)
        task_status.started()
        try:
            while True:
                await anyio.sleep(_SWEEP)
                while await self._call(partial(self._forget, self._newest - self._kept)):
                    pass
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def aclose(self) -> None:
        """Write down what is left, and close the file."""
        if self._connection is not None:
            await self._flushed()
            await self._call(self._close)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write attempts down, in one transaction; returns when they are safe.

        Raises:
            StoreError: They could not be written, so they must not be sent.
        """
        if not attempts:
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._records.append((attempts, written))
        self._write()
        await written

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Note how an attempt ended; it is written down soon."""
        self._settlements.append((attempt, settlement))
        if self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(_LINGER, self._write)

    async def spent_since(self, moment: float) -> Sequence[Spent]:
        """Attempts granted, or ended, at or after a Unix time; the oldest grant first.

        Raises:
            StoreError: The file cannot be read.
        """
        await self._flushed()
        return await self._call(lambda: rows.spent_since(self._open(), moment))

    async def usage(self) -> Sequence[UsageRow]:
        """Usage by day, class and model, newest day first.

        Raises:
            StoreError: The file cannot be read.
        """
        await self._flushed()
        return await self._call(lambda: rows.usage(self._open()))

    # -- on the loop ------------------------------------------------------------------------------

    def _write(self) -> None:
        """Start a transaction with all there is, unless one is under way."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._writing or not (self._records or self._settlements):
            return
        records, self._records = self._records, []
        settlements, self._settlements = self._settlements, []
        self._writing = True
        attempts = [attempt for batch, _ in records for attempt in batch]
        if attempts:
            self._newest = max(self._newest, attempts[-1].granted)
        loop = asyncio.get_running_loop()
        under_way = self._thread.submit(self._commit, attempts, settlements)
        under_way.add_done_callback(
            lambda done: loop.call_soon_threadsafe(self._written, done, records, settlements)
        )

    def _written(
        self,
        done: Future[None],
        records: Sequence[Recorded],
        settlements: list[tuple[Attempt, Settlement]],
    ) -> None:
        self._writing = False
        error = done.exception()
        for _, written in records:
            if written.done():
                continue  # whoever waited was cancelled; the attempts are written down all the same
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(self._failure(error))
        if error is not None and settlements:
            # They go with the next transaction; until then the reservations stand.
            self._settlements = settlements + self._settlements
            _log.error("ledger.write_failed", error=str(error), settlements=len(self._settlements))
        if self._records:
            self._write()
        elif self._settlements and self._lingering is None:
            wait = _LINGER if error is None else 1.0
            self._lingering = asyncio.get_running_loop().call_later(wait, self._write)

    async def _flushed(self) -> None:
        """Return when all that was settled so far is written down, or cannot be."""
        self._write()
        # The thread does one thing after the other.
        await self._call(lambda: None)
        await asyncio.sleep(0)
        if self._settlements and not self._writing:
            self._write()
            await self._call(lambda: None)

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
        if self._connection is None:
            self._connection = rows.connect(self._path)
            self._seq = rows.next_seq(self._connection)
        return self._connection

    def _commit(
        self, attempts: Sequence[Attempt], settlements: Sequence[tuple[Attempt, Settlement]]
    ) -> None:
        connection = self._open()
        numbered = list(enumerate(attempts, self._seq))
        numbers = {attempt.id: seq for seq, attempt in numbered}
        ends = [(numbers.get(a.id) or self._numbers.get(a.id), a, end) for a, end in settlements]
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            rows.write(connection, numbered, ends)
        self._seq += len(attempts)
        self._numbers.update(numbers)
        for attempt, _ in settlements:
            self._numbers.pop(attempt.id, None)

    def _forget(self, before: float) -> bool:
        connection = self._open()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            return rows.forget(connection, before)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
