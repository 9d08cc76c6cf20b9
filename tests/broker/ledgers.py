"""A ledger that a test can watch, slow down and break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain, repeat

import anyio

from supervisor.errors import StoreError
from supervisor.ledger.attempt import FETCHED, Attempt, Settlement
from supervisor.ledger.ledger import Spent
from supervisor.ledger.memory import MemoryLedger
from supervisor.reading import Reading


class WatchedLedger(MemoryLedger):
    """Remembers what was written down, in order.

    Attributes:
        recorded: Attempts written down before sending.
        settled: Attempts and how they ended.
        broken: Raised by `record`, until a test takes it away.
        slow: Seconds that writing down takes.
        premature: Attempts settled before they were written down; there must be none.
        then: Called as soon as an attempt is written down, before anybody hears of it.
        elsewhere: What another process has sent, until it is told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[Attempt] = []
        self.settled: list[tuple[Attempt, Settlement]] = []
        self.premature: list[Attempt] = []
        self.broken: Exception | None = None
        self.slow = 0.0
        self.then: Callable[[], object] | None = None
        self.elsewhere: list[Attempt] = []

    async def record(self, attempts: Sequence[Attempt]) -> None:
        if self.slow:
            await anyio.sleep(self.slow)
        if self.broken is not None:
            raise self.broken
        await super().record(attempts)
        self.recorded.extend(attempts)
        if self.then is not None:
            asyncio.get_running_loop().call_soon(self.then)

    async def postpone(self, attempts: Sequence[Attempt]) -> None:
        if self.slow:
            await anyio.sleep(self.slow)
        await super().postpone(attempts)

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        if settlement.outcome == FETCHED:
            # Its post may have been written down by another process.
            super().settle(attempt, settlement)
            return
        if attempt not in self.recorded:
            self.premature.append(attempt)
            return
        super().settle(attempt, settlement)
        self.settled.append((attempt, settlement))

    async def spent_elsewhere(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        await super().record(self.elsewhere)
        told, self.elsewhere = self.elsewhere, []
        return [Spent(one.traffic_class, one.granted, one.tokens) for one in told]

    @property
    def outcomes(self) -> list[str]:
        """How the attempts ended, in order."""
        return [settlement.outcome for _, settlement in self.settled]


class LaggingLedger(WatchedLedger):
    """Takes its time before it has written something down, and again after that.

    Args:
        delays: Seconds; when they are used up it takes none.
    """

    def __init__(self, delays: Sequence[float]) -> None:
        super().__init__()
        self._delays = chain(delays, repeat(0.0))

    async def record(self, attempts: Sequence[Attempt]) -> None:
        await anyio.sleep(next(self._delays))
        await super().record(attempts)
        await anyio.sleep(next(self._delays))

    async def postpone(self, attempts: Sequence[Attempt]) -> None:
        await anyio.sleep(next(self._delays))
        await super().postpone(attempts)
        await anyio.sleep(next(self._delays))


FULL_DISK = StoreError("cannot write data/supervisor.sqlite: disk is full", hint="make room")
