"""Gathers what is to be written down, so that many attempts at once cost one transaction.

What comes while a transaction is under way goes together into the next one. Attempts start one at
once, for somebody waits to send; settlements, for which nobody waits, do so for a moment or until
there are many.

A transaction that fails for what it says, such as a number that the database cannot hold, is made
again in parts: the attempts first, then the settlements one by one. One that cannot be written is
dropped and reported, so that no answer can stop those after it; its reservation stands.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from supervisor.errors import StoreError
from supervisor.ledger.attempt import Attempt, Settlement

_log = structlog.get_logger("supervisor.ledger")

LINGER = 0.05
"""Seconds that a settlement waits for others."""
_CROWD = 24
"""Settlements that do not wait for more: their transaction is a short one still."""
_PAUSE = 1.0
"""Seconds before settlements that could not be written are tried again."""

_CLOSING = 3.0
"""Seconds that writing down what is left may take at the end."""

UNFIT = (ValueError, TypeError, ArithmeticError)
"""Raised for values that no database can hold."""

Settled = tuple[Attempt, Settlement]
Recorded = tuple[Sequence[Attempt], "asyncio.Future[None]"]
Commit = Callable[[Sequence[Attempt], Sequence[Settled]], "asyncio.Future[None]"]


class Journal:
    """What waits to be written down.

    Args:
        commit: Makes one transaction; its future ends when that is safe, or with what failed, and
            may have ended already.
        failure: Makes the error that whoever waits is told.
        of_values: Whether a transaction failed for its values, and would do so again.
    """

    def __init__(
        self,
        commit: Commit,
        failure: Callable[[BaseException], StoreError],
        *,
        of_values: Callable[[BaseException], bool],
    ) -> None:
        self._commit = commit
        self._failure = failure
        self._of_values = of_values
        self._suspects: list[Settled] = []
        self._one_alone = False
        self._records: list[Recorded] = []
        self._settlements: list[Settled] = []
        self._due = False
        self._lingering: asyncio.Handle | None = None
        self._under_way: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Journal records={len(self._records)} settlements={len(self._settlements)}>"

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write attempts down; returns when they are safe.

        They are written down even when whoever waits is cancelled.

        Raises:
            StoreError: They could not be written.
        """
        if not attempts:
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._records.append((attempts, written))
        self._write()
        await written

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Write down soon how an attempt ended."""
        self._settlements.append((attempt, settlement))
        if len(self._settlements) == _CROWD:
            self._linger(0.0)
        elif self._lingering is None:
            self._linger(LINGER)

    async def flushed(self) -> None:
        """Return when all that came so far is written down, or could not be."""
        self._due = True
        if self._under_way is not None:
            await asyncio.wait([self._under_way])
        self._write()
        if self._under_way is not None:
            await asyncio.wait([self._under_way])
        while self._suspects or self._one_alone:
            self._write()
            if self._under_way is not None:
                await asyncio.wait([self._under_way])

    async def finish(self, patience: float = _CLOSING) -> None:
        """Write down what is left, and be done with what cannot be: its reservations stand.

        Args:
            patience: Seconds that it may take.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.flushed()
        while self._under_way is not None:
            self._under_way.cancel()
            await asyncio.wait([self._under_way])
        self._stop_lingering()
        left = len(self._suspects) + len(self._settlements)
        self._suspects, self._settlements = [], []
        if left:
            _log.error("ledger.given_up", settlements=left)

    def _linger(self, seconds: float) -> None:
        """Let settlements wait for so long from now."""
        self._stop_lingering()
        self._lingering = asyncio.get_running_loop().call_later(seconds, self._write_all)

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    def _write_all(self) -> None:
        self._lingering = None
        self._due = True
        self._write()

    def _write(self) -> None:
        """Begin a transaction with what there is, unless one is under way."""
        if self._under_way is not None:
            return
        records, self._records = self._records, []
        settlements = self._next_settlements(among=bool(records))
        if not (records or settlements):
            return
        attempts = [attempt for batch, _ in records for attempt in batch]
        under_way = self._under_way = self._commit(attempts, settlements)
        if under_way.done():
            # Not by a callback: whoever waits for it could go on at once.
            self._written(under_way, records, settlements)
        else:
            under_way.add_done_callback(lambda done: self._written(done, records, settlements))

    def _next_settlements(self, *, among: bool) -> list[Settled]:
        """Those that have waited; or one at a time, and among no attempts, while one may be unfit.

        Attempts that somebody waits to send take none along that can wait: alone they take a
        third less.
        """
        if self._suspects:
            self._one_alone = not among
            return [] if among else [self._suspects.pop(0)]
        if among and not self._due:
            return []
        self._due = False
        self._stop_lingering()
        settlements, self._settlements = self._settlements, []
        return settlements

    def _written(
        self, done: asyncio.Future[None], records: Sequence[Recorded], settlements: list[Settled]
    ) -> None:
        self._under_way, self._one_alone = None, False
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is not None and settlements and self._of_values(error):
            self._divide(error, records, settlements)
        else:
            self._tell(error, records)
            if error is not None and settlements:
                self._keep(error, settlements)
        if self._records:
            self._write()
        elif self._lingering is None:
            self._go_on(later=error is not None)

    def _go_on(self, *, later: bool) -> None:
        if self._suspects or (self._due and self._settlements and not later):
            self._linger(0.0)
        elif self._settlements:
            self._linger(_PAUSE if later else LINGER)

    def _tell(self, error: BaseException | None, records: Sequence[Recorded]) -> None:
        for _, written in records:
            if written.done():
                continue  # whoever waited was cancelled
            if error is None:
                written.set_result(None)
            else:
                written.set_exception(self._failure(error))

    def _keep(self, error: BaseException, settlements: list[Settled]) -> None:
        """They go with a later transaction; until then the reservations stand."""
        self._settlements = settlements + self._suspects + self._settlements
        self._suspects = []
        reason = str(error) or type(error).__name__
        _log.error("ledger.write_failed", error=reason, settlements=len(self._settlements))

    def _divide(
        self, error: BaseException, records: Sequence[Recorded], settlements: list[Settled]
    ) -> None:
        if records or len(settlements) > 1:
            self._records = [*records, *self._records]
            self._suspects += settlements
            return
        ((attempt, settlement),) = settlements
        _log.error(
            "ledger.settlement_dropped",
            attempt=attempt.id,
            outcome=settlement.outcome,
            error=f"{type(error).__name__}: {error}",
        )
