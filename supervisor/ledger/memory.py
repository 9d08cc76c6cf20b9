"""A ledger that lasts as long as the process: for tests, the simulator and quick trials."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

import anyio
from anyio.abc import TaskStatus

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.ledger import age
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import LOOK_BACK, OF_LATE, Answered, HourlyCost, Spent, UsageRow
from supervisor.ledger.sums import RECORDED, Sums
from supervisor.ledger.sums import ended as ended_sums
from supervisor.reading import Reading

_KEPT = 2 * 86_400.0
_HOUR = 3_600.0


@dataclass(slots=True)
class _State:
    """What has become of an attempt; grace and latency are in seconds."""

    tokens: int
    grace: float
    latency: float | None = None
    answered: Answered | None = None

    def row(self, one: Attempt) -> tuple[object, ...]:
        granted, uptime = one.granted + self.grace, age.ticks(one.uptime + self.grace)
        end = None if self.latency is None else granted + self.latency
        return (one.traffic_class, granted, self.tokens, end, one.boot, uptime, self.latency)


class MemoryLedger:
    """Keeps the attempts that can still count, and the sums of all time.

    Args:
        kept: Seconds for which an attempt is kept.
    """

    def __init__(self, *, kept: float = _KEPT) -> None:
        self._kept = kept
        self._attempts: deque[Attempt] = deque()
        self._states: dict[str, _State] = {}
        self._sums: defaultdict[tuple[float, str, str], Sums] = defaultdict(Sums)
        self._reserved: defaultdict[tuple[float, str], int] = defaultdict(int)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """There is nothing to open."""
        task_status.started()
        await anyio.sleep_forever()

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Remember attempts that are about to be sent."""
        for attempt in attempts:
            self._attempts.append(attempt)
            self._states[attempt.id] = _State(attempt.tokens, attempt.grace)
            self._sums[_key(attempt)].add(RECORDED)
            self._reserved[_key(attempt)[:2]] += attempt.cost
        while self._attempts and age.apart(self._attempts[0], self._attempts[-1], self._kept):
            self._states.pop(self._attempts.popleft().id, None)

    async def postpone(self, attempts: Sequence[Attempt]) -> None:
        """Remember that attempts go later than their grace when they were recorded."""
        for attempt in attempts:
            self._states[attempt.id].grace = attempt.grace

    def settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Remember how an attempt ended."""
        if attempt.id in self._states:
            ended = _State(settlement.tokens, attempt.grace, settlement.latency)
            if settlement.outcome == "answered" and attempt.size:
                who = attempt.traffic_class, attempt.model
                ended.answered = Answered(*who, attempt.size, settlement.usage)
            self._states[attempt.id] = ended
        self._sums[_key(attempt)].add(ended_sums(settlement))
        self._reserved[_key(attempt)[:2]] += settlement.unpriced - attempt.cost

    async def spent_since(self, moment: float, by: Reading | None = None) -> Sequence[Spent]:
        """Attempts granted, or ended, at or after a Unix time; the oldest grant first."""
        found = [self._states[one.id].row(one) for one in self._attempts]
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

    async def latest_answers(self) -> Sequence[Answered]:
        """The last answers of each class and model, in the order in which they were asked."""
        found: list[Answered] = []
        told: Counter[tuple[str, str]] = Counter()
        for attempt in islice(reversed(self._attempts), LOOK_BACK):
            one = self._states[attempt.id].answered
            if one is not None and told[one.traffic_class, one.model] < OF_LATE:
                told[one.traffic_class, one.model] += 1
                found.append(one)
        return found[::-1]


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
