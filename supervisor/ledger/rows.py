"""The rows of a ledger on disk: attempts for the windows, hourly sums for everything else.

The sums are kept up in the transaction that writes the attempts, so that usage and budgets never
read more than some hours' rows, however many attempts there were. Money is kept as the API's
ticks of 1e-10 US dollars, so that sums are exact. Pure: SQLite and PostgreSQL write what is
made here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import HourlyCost, UsageRow
from supervisor.ledger.sums import ended

_HOUR = 3_600
LONGEST_ANSWER = 86_400.0
"""Seconds; no attempt takes longer from its grant to its end."""
KEPT = 7 * 86_400.0
"""Seconds for which single attempts are kept; their hourly sums stay for ever."""
SWEEP = 600.0
"""Seconds between two removals of attempts that nobody needs any more."""

INSERT = (
    "INSERT INTO attempts (seq, id, class, model, job, granted, wait, tokens)"
    " VALUES (?,?,?,?,?,?,?,?)"
)
SETTLE = (
    "UPDATE attempts SET tokens=?, ended=?, status=?, outcome=?, latency=?,"
    " prompt=?, completion=?, reasoning=?, cached=?, ticks=? WHERE seq=?"
)
ADD = (
    "INSERT INTO hours AS h VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (hour, class, model)"
    " DO UPDATE SET attempts=h.attempts+excluded.attempts,"
    " answered=h.answered+excluded.answered, refused=h.refused+excluded.refused,"
    " prompt=h.prompt+excluded.prompt, completion=h.completion+excluded.completion,"
    " reasoning=h.reasoning+excluded.reasoning, cached=h.cached+excluded.cached,"
    " ticks=h.ticks+excluded.ticks"
)
_SUMS = (
    *("day", "traffic_class", "model", "attempts", "answered", "refused"),
    *("prompt", "completion", "reasoning", "cached"),
)
"""Fields of a usage row, in the order of the columns."""

Key = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """The values of one transaction, for `INSERT`, `SETTLE` and `ADD`."""

    attempts: list[tuple[object, ...]]
    settled: list[tuple[object, ...]]
    sums: list[tuple[object, ...]]


class Numbering:
    """Numbers attempts, and knows the numbers of those that have not ended.

    Args:
        following: The first number to give, from 1.
    """

    def __init__(self, following: int) -> None:
        self._following = following
        self._open: dict[str, int] = {}

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
        sums: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * 8)
        settled: list[tuple[object, ...]] = []
        for attempt in attempts:
            sums[_key(attempt)][0] += 1
        for attempt, settlement in settlements:
            seq = numbers.get(attempt.id) or self._open.get(attempt.id)
            if seq is not None:
                settled.append(_settled(seq, attempt, settlement))
            total = sums[_key(attempt)]
            for place, amount in enumerate(ended(settlement)):
                total[place] += amount
        return Batch(
            [
                (seq, a.id, a.traffic_class, a.model, a.job, a.granted, a.wait, a.tokens)
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
        for attempt in attempts:
            self._open[attempt.id] = self._following
            self._following += 1
        for attempt, _ in settlements:
            self._open.pop(attempt.id, None)


def hourly_cost(row: Sequence[Any]) -> HourlyCost:
    """A row of hour, class and ticks."""
    hour, traffic_class, ticks = row
    return HourlyCost(float(hour * _HOUR), traffic_class, Decimal(ticks) / TICKS_PER_DOLLAR)


def hours_from(moment: float) -> int:
    """Number of the first hour that begins at or after a Unix time."""
    return ceil(moment / _HOUR)


def usage_row(row: Sequence[Any]) -> UsageRow:
    """One row of sums: the fields in their order, ticks last."""
    counts = {name: _plain(value) for name, value in zip(_SUMS, row, strict=False)}
    return UsageRow(**counts, cost=Decimal(row[-1]) / TICKS_PER_DOLLAR)


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
        attempt.granted + settlement.latency,
        settlement.status,
        settlement.outcome,
        settlement.latency,
        *counts,
        seq,
    )


def _ticks(cost: Decimal | None) -> int | None:
    return None if cost is None else round(cost * TICKS_PER_DOLLAR)
