"""What every ledger does; one contract for memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import anyio
from anyio.abc import TaskStatus

from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.messages import Usage
from supervisor.reading import Reading

OF_LATE = 20
"""Answers of a class and model that tell what the next one may cost."""
LOOK_BACK = 20_000
"""Attempts among which these are looked for after a restart."""


@dataclass(frozen=True, slots=True)
class Spent:
    """An attempt that still counts, for reading windows back.

    Attributes:
        traffic_class: Whom it counts for.
        granted: Unix time in seconds.
        tokens: Used, or reserved where it was never settled.
        ended: Unix time in seconds; None where it was never settled.
    """

    traffic_class: str
    granted: float
    tokens: int
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one class used of one model on one day.

    Attributes:
        day: `YYYY-MM-DD`, UTC.
        traffic_class: Role or client.
        model: Model name.
        attempts: HTTP requests sent.
        answered: Those that were answered.
        refused: Those refused with 429 for quota.
        prompt: Prompt tokens, cached ones included.
        completion: Answer tokens without reasoning.
        reasoning: Reasoning tokens.
        cached: Cached prompt tokens.
        cost: US dollars, of the answers whose price is known.
    """

    day: str
    traffic_class: str
    model: str
    attempts: int
    answered: int
    refused: int
    prompt: int
    completion: int
    reasoning: int
    cached: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class HourlyCost:
    """What one class has spent, or reserved, in one hour.

    Attributes:
        start: Unix time at which the hour began, in seconds.
        traffic_class: Role or client.
        cost: US dollars.
    """

    start: float
    traffic_class: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of before, for what the next one may cost.

    Attributes:
        traffic_class: Who got it.
        model: Whose it was.
        size: Bytes of what was asked.
        usage: Tokens and price; None when the API told none.
    """

    traffic_class: str
    model: str
    size: int
    usage: Usage | None


class Ledger(Protocol):
    """Attempts, written down before and after sending."""

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Be open, and keep it small, until cancelled; what is left is written down then.

        Raises:
            StoreError: It cannot be used.
        """
        ...

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write attempts down, in one transaction; returns when they are safe.

        Raises:
            StoreError: They could not be written, so they must not be sent.
        """
        ...

    async def postpone(self, attempts: Sequence[Attempt]) -> None:
        """Write down that attempts go later than their grace when they were recorded.

        Args:
            attempts: As they were recorded, but for their grace.

        Raises:
            StoreError: It could not be written, so they must not be sent.
        """
        ...

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Note how an attempt ended; it is written down soon.

        Not awaited, so that it cannot be cut short when the asker is cancelled. A settlement lost
        in a crash costs nothing but exactness upwards: the reservation counts instead.
        """
        ...

    async def spent_since(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """Attempts granted, or ended, at or after a Unix time; the oldest grant first.

        Args:
            moment: By the wall clock as it is now; so are all moments that are told.
            by: Now. What was written since the system was started is then as old as it is by
                uptime, however the wall clock was set. None goes by what was written alone.
        """
        ...

    async def spent_elsewhere(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """Like `spent_since`, but only what another process has written since this one began.

        Nothing is told twice. To be called while nothing is recorded.

        Args:
            moment: As there.
            by: As there.
        """
        ...

    async def costs_since(self, moment: float) -> Sequence[HourlyCost]:
        """What was spent in each hour that began at or after a Unix time, oldest first.

        It is the price of the answers whose price is known.
        """
        ...

    async def reserved_since(self, moment: float) -> Sequence[HourlyCost]:
        """Likewise, what is reserved for attempts that have not ended or will never have a price.

        Those under way are among them, and those that were when a process was killed.
        """
        ...

    async def usage(self) -> Sequence[UsageRow]:
        """Usage by day, class and model, newest day first."""
        ...

    async def latest_answers(self) -> Sequence[Answered]:
        """The last answers of each class and model, in the order in which they were asked.

        `OF_LATE` of each, from among the last `LOOK_BACK` attempts whose size is known.
        """
        ...
