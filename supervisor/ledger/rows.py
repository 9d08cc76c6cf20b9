"""The rows of a ledger on disk: attempts for the windows, hourly sums for everything else.

The sums are kept up in the transaction that writes the attempts, so that usage and budgets never
read more than some hours' rows, however many attempts there were. Money is kept as the API's
ticks of 1e-10 US dollars, so that sums are exact. Pure: SQLite and PostgreSQL write what is
made here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, isfinite
from typing import Any

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.ledger import age
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import LOOK_BACK, OF_LATE, Answered, HourlyCost, UsageRow
from supervisor.ledger.sums import ended
from supervisor.messages import Usage

_HOUR = 3_600
LONGEST_ANSWER = 86_400.0
"""Seconds; no attempt takes longer from its grant to its end."""
QUICK = 60.0
"""Seconds; answers that took longer are few, and have an index of their own where that is cheap."""
KEPT = 7 * 86_400.0
"""Seconds for which single attempts are kept; their hourly sums stay for ever."""
SWEEP = 600.0
"""Seconds between two removals of attempts that nobody needs any more."""
CHUNK = 5_000
"""Rows removed in one transaction, so that attempts need not wait long for it."""

INSERT = (
    "INSERT INTO attempts (seq, id, class, model, job, granted, wait, tokens, reserved, boot,"
    " uptime, size) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
)
SETTLE = (
    "UPDATE attempts SET tokens=?, reserved=?, ended=?, status=?, outcome=?, latency=?,"
    " uptime=?, prompt=?, completion=?, reasoning=?, cached=?, ticks=? WHERE seq=?"
)
POSTPONE = "UPDATE attempts SET granted=?, uptime=? WHERE seq=?"
ADD = (
    "INSERT INTO hours AS h VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (hour, class, model)"
    " DO UPDATE SET attempts=h.attempts+excluded.attempts,"
    " answered=h.answered+excluded.answered, refused=h.refused+excluded.refused,"
    " prompt=h.prompt+excluded.prompt, completion=h.completion+excluded.completion,"
    " reasoning=h.reasoning+excluded.reasoning, cached=h.cached+excluded.cached,"
    " ticks=h.ticks+excluded.ticks, reserved=h.reserved+excluded.reserved"
)
LATEST = (
    "SELECT class, model, size, prompt, completion, reasoning, cached, ticks FROM (SELECT *,"
    " row_number() OVER (PARTITION BY class, model ORDER BY seq DESC) AS nth FROM {0}"
    f" WHERE seq > (SELECT max(seq) FROM {{0}}) - {LOOK_BACK} AND outcome = 'answered'"
    f" AND size > 0) AS late WHERE nth <= {OF_LATE} ORDER BY seq"
)
"""For the table of attempts."""
ADDED = (
    *(("attempts", "reserved"), ("hours", "reserved")),
    *(("attempts", "boot"), ("attempts", "uptime"), ("attempts", "size")),
)
"""Columns that the first ledgers had not: whole numbers, 0 where nothing was written."""
_RESERVED = 8
"""Place of what is reserved among the sums, behind those that are counted by `sums.ended`."""
_SUMS = (
    *("day", "traffic_class", "model", "attempts", "answered", "refused"),
    *("prompt", "completion", "reasoning", "cached"),
)
"""Fields of a usage row, in the order of the columns."""

Key = tuple[int, str, str]
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """The values of one transaction, for `INSERT`, `SETTLE` and `ADD`."""

    attempts: list[tuple[object, ...]]
    settled: list[tuple[object, ...]]
    sums: list[tuple[object, ...]]


class Numbering:
    """Numbers attempts, knows the numbers of those that have not ended, and which are its own."""

    def __init__(self) -> None:
        self._following = 1
        self._open: dict[str, int] = {}
        self._told: int | None = None
        self._own: list[range] = []

    def go_on(self, last: int) -> None:
        """Go on behind the last number that is taken; another process may have given some.

        Args:
            last: That number; 0 where there is none.
        """
        self._following = max(self._following, last + 1)
        if self._told is None:
            self._told = last

    def news(self, found: Sequence[Row], last: int) -> list[Row]:
        """Those that this process has neither written nor found when it began; tells none twice.

        Args:
            found: Rows, each with its number at the end.
            last: The last number that is taken.
        """
        self.go_on(last)
        told, self._told = self._told or 0, last
        return [row for row in found if told < row[-1] <= last and not self._is_own(row[-1])]

    def batch(
        self,
        attempts: Sequence[Attempt],
        settlements: Sequence[tuple[Attempt, Settlement]],
    ) -> Batch:
        """What has to be written for what was granted and what has ended; changes nothing.

        An attempt whose number is not known any more, or was never written, is told in the sums
        only.
        """
        numbers = {attempt.id: seq for seq, attempt in enumerate(attempts, self._following)}
        sums: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * 9)
        settled: list[tuple[object, ...]] = []
        for attempt in attempts:
            total = sums[_key(attempt)]
            total[0] += 1
            total[_RESERVED] += attempt.cost
        for attempt, settlement in settlements:
            seq = numbers.get(attempt.id) or self._open.get(attempt.id)
            if seq is not None:
                settled.append(_settled(seq, attempt, settlement))
            total = sums[_key(attempt)]
            for place, amount in enumerate(ended(settlement)):
                total[place] += amount
            total[_RESERVED] += settlement.unpriced - attempt.cost
        return Batch(
            [
                (
                    seq,
                    a.id,
                    a.traffic_class,
                    a.model,
                    a.job,
                    a.granted + a.grace,
                    _finite(a.wait),
                    a.tokens,
                    a.cost,
                    a.boot,
                    age.ticks(a.uptime + a.grace),
                    a.size,
                )
                for seq, a in enumerate(attempts, self._following)
            ],
            settled,
            # In one order everywhere, or two writers could wait for each other.
            [(*key, *total) for key, total in sorted(sums.items())],
        )

    def written(
        self,
        attempts: Sequence[Attempt],
        settlements: Sequence[tuple[Attempt, Settlement]],
    ) -> None:
        """The batch of these is safe."""
        if attempts:
            self._note_own(len(attempts))
        for attempt in attempts:
            self._open[attempt.id] = self._following
            self._following += 1
        for attempt, _ in settlements:
            self._open.pop(attempt.id, None)

    def number_of(self, attempt: Attempt) -> int | None:
        """The number of an attempt that was written and has not ended."""
        return self._open.get(attempt.id)

    def postponed(self, attempts: Sequence[Attempt]) -> list[tuple[float, int, int]]:
        """The values for `POSTPONE` of attempts that were written and have not ended."""
        return [
            (one.granted + one.grace, age.ticks(one.uptime + one.grace), self._open[one.id])
            for one in attempts
        ]

    def _is_own(self, number: int) -> bool:
        at = bisect_right(self._own, number, key=lambda own: own.start)
        return at > 0 and number in self._own[at - 1]

    def _note_own(self, count: int) -> None:
        """So many follow; they lengthen the last range where nobody else has come in between."""
        own, start = self._own, self._following
        if own and own[-1].stop == start:
            own[-1] = range(own[-1].start, start + count)
        else:
            own.append(range(start, start + count))


def hourly_cost(row: Sequence[Any]) -> HourlyCost:
    """A row of hour, class and ticks, spent or reserved."""
    hour, traffic_class, ticks = row
    return HourlyCost(float(hour * _HOUR), traffic_class, Decimal(ticks) / TICKS_PER_DOLLAR)


def hours_from(moment: float) -> int:
    """Number of the first hour that begins at or after a Unix time."""
    return ceil(moment / _HOUR)


def usage_row(row: Sequence[Any]) -> UsageRow:
    """One row of sums: the fields in their order, ticks last."""
    counts = {name: _plain(value) for name, value in zip(_SUMS, row, strict=False)}
    return UsageRow(**counts, cost=Decimal(row[-1]) / TICKS_PER_DOLLAR)


def answered(row: Sequence[Any]) -> Answered:
    """A row of `LATEST`."""
    traffic_class, model, size, prompt, completion, reasoning, cached, ticks = row
    if prompt is None:
        return Answered(traffic_class, model, size, None)
    cost = None if ticks is None else Decimal(ticks) / TICKS_PER_DOLLAR
    usage = Usage(prompt, completion, reasoning, cached, cost)
    return Answered(traffic_class, model, size, usage)


def _plain(value: Any) -> Any:
    # PostgreSQL's sums are decimals.
    return int(value) if isinstance(value, Decimal) else value


def _key(attempt: Attempt) -> Key:
    return int(attempt.granted // _HOUR), attempt.traffic_class, attempt.model


def _settled(seq: int, attempt: Attempt, settlement: Settlement) -> tuple[object, ...]:
    usage = settlement.usage
    counts = (
        (None,) * 5
        if usage is None
        else (usage.prompt, usage.completion, usage.reasoning, usage.cached, _ticks(usage.cost))
    )
    return (
        settlement.tokens,
        settlement.unpriced,
        attempt.granted + attempt.grace + _finite(settlement.latency),
        settlement.status,
        settlement.outcome,
        _finite(settlement.latency),
        age.ticks(attempt.uptime + attempt.grace),
        *counts,
        seq,
    )


def _finite(seconds: float) -> float:
    """A database has no NaN: it takes it for a value that is missing."""
    return seconds if isfinite(seconds) else 0.0


def _ticks(cost: Decimal | None) -> int | None:
    return None if cost is None else round(cost * TICKS_PER_DOLLAR)
