"""A ledger that lasts as long as the process: for tests, the simulator and quick trials."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import anyio
from anyio.abc import TaskStatus

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.ledger import age
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import HourlyCost, Spent, UsageRow
from supervisor.ledger.sums import RECORDED, Sums, ended
from supervisor.reading import Reading

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
        self._sums: defaultdict[tuple[float, str, str], Sums] = defaultdict(Sums)
        self._reserved: defaultdict[tuple[float, str], int] = defaultdict(int)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """There is nothing to open."""
        task_status.started()
        await anyio.sleep_forever()

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Remember attempts that are about to be sent."""
        for attempt in attempts:
            self._attempts.append((attempt.id, attempt))
            self._ends[attempt.id] = attempt.tokens, None
            self._sums[_key(attempt)].add(RECORDED)
            self._reserved[_key(attempt)[:2]] += attempt.cost
        while self._attempts and age.apart(self._attempts[0][1], self._attempts[-1][1], self._kept):
            self._ends.pop(self._attempts.popleft()[0], None)

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Remember how an attempt ended."""
        if attempt.id in self._ends:
            self._ends[attempt.id] = settlement.tokens, attempt.granted + settlement.latency
        self._sums[_key(attempt)].add(ended(settlement))
        self._reserved[_key(attempt)[:2]] += settlement.unpriced - attempt.cost

    async def spent_since(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """Attempts granted, or ended, at or after a Unix time; the oldest grant first."""
        found = [
            (one.traffic_class, one.granted, *self._ends[key], one.boot, age.ticks(one.uptime))
            for key, one in self._attempts
        ]
        return [one for one in age.told(found, by) if max(one.granted, one.ended or 0.0) >= moment]

    async def spent_elsewhere(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """No other process writes here."""
        return []

    async def costs_since(self, moment: float) -> Sequence[HourlyCost]:
        """What was spent in each hour that began at or after a Unix time, oldest first."""
        costs: defaultdict[tuple[float, str], int] = defaultdict(int)
        for (hour, name, _), sums in self._sums.items():
            costs[hour, name] += sums.ticks
        return _hourly(costs, moment)

    async def reserved_since(self, moment: float) -> Sequence[HourlyCost]:
        """Likewise, what is reserved for attempts that have not ended or have no price."""
        return _hourly(self._reserved, moment)

    async def usage(self) -> Sequence[UsageRow]:
        """Usage by day, class and model, newest day first."""
        days: defaultdict[tuple[str, str, str], Sums] = defaultdict(Sums)
        for (hour, name, model), sums in self._sums.items():
            days[_day(hour), name, model].add(sums.amounts)
        rows = [sums.row(*key) for key, sums in days.items()]
        return sorted(rows, key=lambda row: (row.day, row.traffic_class), reverse=True)


def _key(attempt: Attempt) -> tuple[float, str, str]:
    return attempt.granted // _HOUR * _HOUR, attempt.traffic_class, attempt.model


def _hourly(ticks: Mapping[tuple[float, str], int], moment: float) -> list[HourlyCost]:
    return [
        HourlyCost(hour, name, Decimal(amount) / TICKS_PER_DOLLAR)
        for (hour, name), amount in sorted(ticks.items())
        if hour >= moment and amount
    ]


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()
