"""The rows of a ledger on disk: attempts for the windows, hourly sums for everything else.

The sums are kept up in the transaction that writes the attempts, so that usage and budgets never
read more than some hours' rows, however many attempts there were. Money is kept as the API's
ticks of 1e-10 US dollars, so that sums are exact.
"""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import Spent, UsageRow

TICKS_PER_DOLLAR = 10_000_000_000

_HOUR = 3_600
LONGEST_ANSWER = 86_400.0
"""Seconds; no attempt takes longer from its grant to its end."""
_CHUNK = 5_000
"""Rows removed in one transaction, so that attempts need not wait long for it."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL,
    class TEXT NOT NULL, model TEXT NOT NULL, job TEXT NOT NULL,
    granted REAL NOT NULL, wait REAL NOT NULL, tokens INTEGER NOT NULL,
    ended REAL, status INTEGER, outcome TEXT, latency REAL,
    prompt INTEGER, completion INTEGER, reasoning INTEGER, cached INTEGER, ticks INTEGER
);
CREATE INDEX IF NOT EXISTS attempts_granted ON attempts (granted);
CREATE TABLE IF NOT EXISTS hours (
    hour INTEGER NOT NULL, class TEXT NOT NULL, model TEXT NOT NULL,
    attempts INTEGER NOT NULL, answered INTEGER NOT NULL, refused INTEGER NOT NULL,
    prompt INTEGER NOT NULL, completion INTEGER NOT NULL, reasoning INTEGER NOT NULL,
    cached INTEGER NOT NULL, ticks INTEGER NOT NULL,
    PRIMARY KEY (hour, class, model)
) WITHOUT ROWID;
"""

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
_SPENT = (
    "SELECT class, granted, tokens, ended FROM attempts"
    " WHERE granted >= :since - :longest AND (granted >= :since OR ended >= :since)"
    " ORDER BY granted"
)
_USAGE = (
    "SELECT strftime('%Y-%m-%d', hour * 3600, 'unixepoch') AS day, class, model, sum(attempts),"
    " sum(answered), sum(refused), sum(prompt), sum(completion), sum(reasoning), sum(cached),"
    " sum(ticks) FROM hours GROUP BY day, class, model ORDER BY day DESC, class DESC"
)
_FORGET = "DELETE FROM attempts WHERE seq IN (SELECT seq FROM attempts WHERE granted < ? LIMIT ?)"

_SUMS = (
    *("day", "traffic_class", "model", "attempts", "answered", "refused"),
    *("prompt", "completion", "reasoning", "cached"),
)
"""Fields of a usage row, in the order of the columns."""

Key = tuple[int, str, str]


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, and make what is missing; only its owner can read it.

    Args:
        path: The file.

    Raises:
        sqlite3.Error: It is no database, or cannot be written.
        OSError: It cannot be made.
    """
    path = path.absolute()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def next_seq(connection: sqlite3.Connection) -> int:
    """The number of the next attempt."""
    last = connection.execute("SELECT max(seq) FROM attempts").fetchone()[0]
    return 1 if last is None else int(last) + 1


@dataclass(frozen=True, slots=True)
class Batch:
    """The values of one transaction, for `INSERT`, `SETTLE` and `ADD`."""

    attempts: list[tuple[object, ...]]
    settled: list[tuple[object, ...]]
    sums: list[tuple[object, ...]]


def values(
    attempts: Sequence[tuple[int, Attempt]],
    settlements: Sequence[tuple[int | None, Attempt, Settlement]],
) -> Batch:
    """What has to be written for what was granted and what has ended.

    Args:
        attempts: With their numbers.
        settlements: With the numbers of their attempts; None where that is long gone, and only
            the sums are told.
    """
    sums: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * 8)
    for _, attempt in attempts:
        sums[_key(attempt)][0] += 1
    for _, attempt, settlement in settlements:
        total = sums[_key(attempt)]
        for place, amount in enumerate(_amounts(settlement), start=1):
            total[place] += amount
    return Batch(
        [
            (seq, a.id, a.traffic_class, a.model, a.job, a.granted, a.wait, a.tokens)
            for seq, a in attempts
        ],
        [_settled(seq, a, end) for seq, a, end in settlements if seq is not None],
        # In one order everywhere, or two writers could wait for each other.
        [(*key, *total) for key, total in sorted(sums.items())],
    )


def write(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write a batch down; within a transaction."""
    connection.executemany(INSERT, batch.attempts)
    connection.executemany(SETTLE, batch.settled)
    connection.executemany(ADD, batch.sums)


def usage_row(row: Sequence[Any]) -> UsageRow:
    """One row of sums: the fields in their order, ticks last."""
    counts = {name: _plain(value) for name, value in zip(_SUMS, row, strict=False)}
    return UsageRow(**counts, cost=Decimal(row[-1]) / TICKS_PER_DOLLAR)


def _plain(value: Any) -> Any:
    # PostgreSQL's sums are decimals.
    return int(value) if isinstance(value, Decimal) else value


def spent_since(connection: sqlite3.Connection, moment: float) -> list[Spent]:
    """Attempts granted, or ended, at or after a Unix time; the oldest grant first."""
    bounds = {"since": moment, "longest": LONGEST_ANSWER}
    return [Spent(*row) for row in connection.execute(_SPENT, bounds)]


def usage(connection: sqlite3.Connection) -> list[UsageRow]:
    """Usage by day, class and model, newest day first."""
    return [usage_row(row) for row in connection.execute(_USAGE)]


def forget(connection: sqlite3.Connection, before: float) -> bool:
    """Remove some attempts granted before a Unix time; tells whether there may be more."""
    return connection.execute(_FORGET, (before, _CHUNK)).rowcount == _CHUNK


def _key(attempt: Attempt) -> Key:
    return int(attempt.granted // _HOUR), attempt.traffic_class, attempt.model


def _amounts(settlement: Settlement) -> tuple[int, ...]:
    usage = settlement.usage
    answered, refused = settlement.outcome == "answered", settlement.outcome == "quota"
    if usage is None:
        return int(answered), int(refused), 0, 0, 0, 0, 0
    return (
        int(answered),
        int(refused),
        usage.prompt,
        usage.completion,
        usage.reasoning,
        usage.cached,
        _ticks(usage.cost) or 0,
    )


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
