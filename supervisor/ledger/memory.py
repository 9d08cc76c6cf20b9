"""A ledger that lasts as long as the process: for tests, the simulator and quick trials."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import anyio
from anyio.abc import TaskStatus

from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import HourlyCost, Spent, UsageRow

_KEPT = 2 * 86_400.0
_HOUR = 3_600.0


class MemoryLedger:
    """Keeps the attempts that can still count, and the sums of all time.

    Args:
        kept: Seconds for which an attempt is kept.
    """

    def __init__(self, *, kept: float = _KEPT) -> None:
        self._kept = kept
        self._attempts: deque[tuple[str, Attempt]] = deque()
        self._ends: dict[str, tuple[int, float | None]] = {}
        self._rows: dict[tuple[str, str, str], UsageRow] = {}
        self._costs: defaultdict[tuple[float, str], Decimal] = defaultdict(Decimal)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """There is nothing to open."""
        task_status.started()
        await anyio.sleep_forever()

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Remember attempts that are about to be sent."""
        for attempt in attempts:
            self._attempts.append((attempt.id, attempt))
            self._ends[attempt.id] = attempt.tokens, None
            key = _key(attempt)
            row = self._rows.get(key) or UsageRow(*key, 0, 0, 0, 0, 0, 0, 0, Decimal(0))
            self._rows[key] = replace(row, attempts=row.attempts + 1)
        while (
            self._attempts
            and self._attempts[0][1].granted < self._attempts[-1][1].granted - self._kept
        ):
            self._ends.pop(self._attempts.popleft()[0], None)

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Remember how an attempt ended."""
        if attempt.id in self._ends:
            self._ends[attempt.id] = settlement.tokens, attempt.granted + settlement.latency
        key, usage = _key(attempt), settlement.usage
        if usage is not None and usage.cost:
            hour = attempt.granted // _HOUR * _HOUR
            self._costs[hour, attempt.traffic_class] += usage.cost
        row = self._rows[key]
        self._rows[key] = replace(
            row,
            answered=row.answered + (settlement.outcome == "answered"),
            refused=row.refused + (settlement.outcome == "quota"),
            prompt=row.prompt + (usage.prompt if usage else 0),
            completion=row.completion + (usage.completion if usage else 0),
            reasoning=row.reasoning + (usage.reasoning if usage else 0),
            cached=row.cached + (usage.cached if usage else 0),
            cost=row.cost + (usage.cost or 0 if usage else 0),
        )

    async def spent_since(self, moment: float) -> Sequence[Spent]:
        """Attempts granted, or ended, at or after a Unix time; the oldest grant first."""
        spent = [
            Spent(attempt.traffic_class, attempt.granted, *self._ends[key])
            for key, attempt in self._attempts
            if max(attempt.granted, self._ends[key][1] or 0.0) >= moment
        ]
        # A clock that was set back writes later attempts down with earlier moments.
        return sorted(spent, key=lambda one: one.granted)

    async def costs_since(self, moment: float) -> Sequence[HourlyCost]:
        """What was spent in each hour that began at or after a Unix time, oldest first."""
        return [
            HourlyCost(hour, name, cost)
            for (hour, name), cost in sorted(self._costs.items())
            if hour >= moment and cost > 0
        ]

    async def usage(self) -> Sequence[UsageRow]:
        """Usage by day, class and model, newest day first."""
        return sorted(
            self._rows.values(), key=lambda row: (row.day, row.traffic_class), reverse=True
        )


def _key(attempt: Attempt) -> tuple[str, str, str]:
    day = datetime.fromtimestamp(attempt.granted, UTC).date().isoformat()
    return day, attempt.traffic_class, attempt.model
