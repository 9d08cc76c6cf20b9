"""A ledger of ten million attempts beside one of ten thousand: what grows with the file?

    python -m benchmarks.ledger                       exit code 1 if a "must" does not hold
    python -m benchmarks.ledger --attempts 1000000

Both files hold eight days and are made in one go. What is asked of them afterwards is asked of the
ledger itself, as the process asks it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from benchmarks.launch import warn_if_busy
from benchmarks.table import Row, at_most, middle, quantile, show
from supervisor.ledger import rows as ledger_rows
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.sqlite import SqliteLedger
from supervisor.messages import Usage

_DAY = 86_400.0
_DAYS = 8
_CLASSES = ("ceo", "code", "quality", "memory", "gateway", "chat")
_MODELS = ("grok-4.7", "grok-4.3")
_TICKS = 12_345_678
_WINDOW = 10_000
"""Attempts in the shorter of the windows that are read back."""
_LONGER = 10
"""Times as many are in the longer one."""
_ROUNDS = 7
_RECORDS = 400
"""Attempts recorded one after the other in a round."""
_TWICE = 2.0
_PROMPT = 0.1
"""Seconds that a recording may take, at the 99th percentile, while old attempts are removed."""
_SWEEP = 0.2
"""Seconds between two removals here; ten minutes in earnest."""
_MIB = 2.0**20
_MAKE = (
    "INSERT INTO attempts (seq, id, class, model, job, granted, wait, tokens, ended, status,"
    " outcome, latency, prompt, completion, reasoning, cached, ticks)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)


@dataclass(frozen=True, slots=True)
class Book:
    """A file full of attempts.

    Attributes:
        path: The file.
        attempts: How many.
        begins: Unix time of the first.
        ends: Unix time of the last.
    """

    path: Path
    attempts: int
    begins: float
    ends: float

    def since(self, attempts: int) -> float:
        """Unix time since which about so many were granted."""
        return self.ends - (self.ends - self.begins) * min(1.0, attempts / self.attempts)


def make(path: Path, attempts: int) -> Book:
    """Write a file that has been in use for some days, each answer two seconds after its grant.

    Args:
        path: The file.
        attempts: How many, at even distances.
    """
    ends = time.time()
    book = Book(path, attempts, ends - _DAYS * _DAY, ends)
    sums: defaultdict[ledger_rows.Key, int] = defaultdict(int)
    asyncio.run(_open_seconds(book))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        connection.executemany(_MAKE, _filled(book, sums))
        hours = [
            (*key, count, count, 0, count * 900, count * 300, count * 200, 0, count * _TICKS, 0)
            for key, count in sums.items()
        ]
        connection.executemany(ledger_rows.ADD, hours)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return book


def _filled(book: Book, sums: defaultdict[ledger_rows.Key, int]) -> Iterator[tuple[object, ...]]:
    dice, step = random.Random(1), (book.ends - book.begins) / book.attempts
    who = [(dice.choice(_CLASSES), dice.choice(_MODELS)) for _ in range(997)]
    for seq in range(1, book.attempts + 1):
        name, model = who[seq % 997]
        granted = book.begins + step * seq
        sums[int(granted // 3600), name, model] += 1
        yield (
            *(seq, f"gw-0123abcd-{seq}/1", name, model, "", granted, 0.02, 1_200),
            *(granted + 2.0, 200, "answered", 2.0, 900, 300, 200, 0, _TICKS),
        )


@asynccontextmanager
async def opened(book: Book, *, sweep: float = ledger_rows.SWEEP) -> AsyncGenerator[SqliteLedger]:
    """The ledger of a file, at work."""
    ledger = SqliteLedger(book.path, sweep=sweep)
    async with anyio.create_task_group() as tasks:
        await tasks.start(ledger.run)
        yield ledger
        tasks.cancel_scope.cancel()


class Pair:
    """The large ledger and the small one, asked the same in turns.

    Args:
        large: The one that is judged.
        small: What it is judged by.
    """

    def __init__(self, large: Book, small: Book) -> None:
        self.large = large
        self.small = small

    async def seconds(self, ask: Callable[[Book], Awaitable[float]]) -> tuple[float, float]:
        """The median of what is measured of the large one, and of the small one.

        Args:
            ask: Measures one.
        """
        large: list[float] = []
        small: list[float] = []
        for _ in range(_ROUNDS):
            large.append(await ask(self.large))
            small.append(await ask(self.small))
        return middle(large), middle(small)


async def _open_seconds(book: Book) -> float:
    began = time.perf_counter()
    async with opened(book):
        return time.perf_counter() - began


def _asked(
    work: Callable[[SqliteLedger, Book], Awaitable[object]],
) -> Callable[[Book], Awaitable[float]]:
    async def ask(book: Book) -> float:
        async with opened(book) as ledger:
            began = time.perf_counter()
            await work(ledger, book)
            return time.perf_counter() - began

    return ask


async def question_rows(pair: Pair) -> Sequence[Row]:
    """What is read: at the start, for a page, for a budget."""
    found: list[Row] = []

    async def compare(name: str, ask: Callable[[Book], Awaitable[float]], *, each: int = 1) -> None:
        large, small = await pair.seconds(ask)
        unit, scale = ("ms", 1e3) if each == 1 else ("us each", 1e6 / each)
        shown = f"{name}: {large * scale:.2f} {unit}, small {small * scale:.2f}; times as long"
        found.append(at_most(shown, large / small, _TWICE))

    await compare("open", _open_seconds)
    await compare(
        f"read {_WINDOW} attempts back",
        _asked(lambda ledger, book: ledger.spent_since(book.since(_WINDOW))),
        each=_WINDOW,
    )
    await compare("usage by day, class and model", _asked(lambda ledger, _: ledger.usage()))
    month = pair.large.ends - 31 * _DAY
    await compare("costs of a month", _asked(lambda ledger, _: ledger.costs_since(month)))
    many = _WINDOW * _LONGER
    long = [await _asked(_reading(many))(pair.large) for _ in range(_ROUNDS)]
    short = [await _asked(_reading(_WINDOW))(pair.large) for _ in range(_ROUNDS)]
    each = middle(long) / many / (middle(short) / _WINDOW)
    shown = f"read {many} attempts back, of the large; times as long for each as {_WINDOW}"
    found.append(at_most(shown, each, _TWICE))
    return found


def _reading(count: int) -> Callable[[SqliteLedger, Book], Awaitable[object]]:
    return lambda ledger, book: ledger.spent_since(book.since(count))


class Recorder:
    """Writes attempts down one after the other, as a quiet gateway does.

    Args:
        ledger: Where.
    """

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger
        self._number = 0

    async def record(self, count: int = 1) -> float:
        """Write some down in one transaction and settle them; gives how long the former took."""
        attempts = [self._attempt() for _ in range(count)]
        began = time.perf_counter()
        await self._ledger.record(attempts)
        took = time.perf_counter() - began
        usage = Usage(900, 300, 200, 0, cost=Decimal("0.0012"))
        for attempt in attempts:
            self._ledger.settle(attempt, Settlement(200, "answered", usage, 1.0, 1_200))
        return took

    def _attempt(self) -> Attempt:
        self._number += 1
        name = _CLASSES[self._number % len(_CLASSES)]
        return Attempt(
            f"gw-4567cdef-{self._number}/1", name, _MODELS[0], "", time.time(), 0.0, 1_200
        )


async def record_rows(pair: Pair) -> Sequence[Row]:
    """What it costs to write an attempt down."""
    async with opened(pair.large) as large, opened(pair.small) as small:
        one, other = Recorder(large), Recorder(small)
        times: list[tuple[list[float], list[float]]] = []
        for _ in range(_ROUNDS):
            first = [await one.record() for _ in range(_RECORDS)]
            times.append((first, [await other.record() for _ in range(_RECORDS)]))
    found: list[Row] = []
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        mine = middle(quantile(first, part) for first, _ in times)
        theirs = middle(quantile(second, part) for _, second in times)
        shown = f"record one, {name}: {mine * 1e3:.3f} ms, small {theirs * 1e3:.3f}; times as long"
        found.append(at_most(shown, mine / theirs, _TWICE))
    return found


@dataclass(slots=True)
class Removal:
    """How the removal of old attempts went.

    Attributes:
        removed: How many.
        seconds: How long it took.
        waits: Seconds that each recording took meanwhile.
        wal: Most bytes of the file's log.
        grown: Bytes by which the file grew through that.
        refilled: Attempts written down after it.
        regrown: Bytes by which the file grew through those.
    """

    removed: int = 0
    seconds: float = 0.0
    waits: list[float] | None = None
    wal: int = 0
    grown: int = 0
    refilled: int = 0
    regrown: int = 0


async def remove(book: Book) -> Removal:
    """Let a ledger remove what is older than it keeps, while attempts are recorded."""
    result, waits = Removal(), list[float]()
    wal = book.path.with_name(f"{book.path.name}-wal")
    before, size = _old(book), _pages(book)
    async with opened(book, sweep=_SWEEP) as ledger:
        recorder = Recorder(ledger)
        await recorder.record()
        began = time.perf_counter()
        while _oldest(book) < time.time() - ledger_rows.KEPT - 1.0:
            waits.append(await recorder.record())
            result.wal = max(result.wal, wal.stat().st_size)
            await asyncio.sleep(0.005)
        result.seconds = time.perf_counter() - began
    result.removed, result.waits = before - _old(book), waits
    result.grown = _pages(book) - size
    async with opened(book) as ledger:
        recorder, size = Recorder(ledger), _pages(book)
        while result.refilled < result.removed * 0.9:
            await recorder.record(1_000)
            result.refilled += 1_000
    result.regrown = _pages(book) - size
    return result


def removal_rows(book: Book, removal: Removal) -> Iterator[Row]:
    """What the removal came to."""
    rate = removal.removed / removal.seconds
    yield Row(f"{removal.removed} attempts older than a week: removed", f"{removal.seconds:.1f} s")
    yield Row("... a second", f"{rate:.0f}")
    waits = removal.waits or []
    shown = f"... recording meanwhile ({len(waits)} times): p99"
    yield at_most(shown, quantile(waits, 0.99) * 1000, _PROMPT * 1000, unit=" ms", digits=1)
    yield Row("... at most", f"{max(waits, default=0.0) * 1000:.1f} ms")
    yield at_most("... the file's log, at most", removal.wal / _MIB, 64, unit=" MiB", digits=1)
    yield at_most("... the file has grown by", removal.grown / _MIB, 1, unit=" MiB", digits=1)
    shown = f"{removal.refilled} more recorded: the file has grown by"
    yield at_most(shown, removal.regrown / _MIB, 1, unit=" MiB", digits=1)
    size = book.path.stat().st_size
    yield Row(f"the file: {size / _MIB:.0f} MiB, for each attempt", f"{size / book.attempts:.0f} B")


def _old(book: Book) -> int:
    query = "SELECT count(*) FROM attempts WHERE granted < ?"
    return int(_ask(book, query, time.time() - ledger_rows.KEPT) or 0)


def _oldest(book: Book) -> float:
    return float(_ask(book, "SELECT min(granted) FROM attempts") or 0.0)


def _pages(book: Book) -> int:
    """Bytes of the database, with what stands in its log only."""
    return int(_ask(book, "PRAGMA page_count") or 0) * int(_ask(book, "PRAGMA page_size") or 0)


def _ask(book: Book, query: str, *values: float) -> float | None:
    uri = f"file:{book.path}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
        found: float | None = database.execute(query, values).fetchone()[0]
        return found


def _all(folder: Path, *, attempts: int, small: int) -> Iterator[Row]:
    began = time.perf_counter()
    pair = Pair(make(folder / "large.sqlite", attempts), make(folder / "small.sqlite", small))
    yield Row(
        f"{attempts} attempts in {_DAYS} days: made in", f"{time.perf_counter() - began:.0f} s"
    )
    size = pair.large.path.stat().st_size
    yield Row("... the file", f"{size / _MIB:.0f} MiB")
    yield from asyncio.run(question_rows(pair))
    yield from asyncio.run(record_rows(pair))
    yield from removal_rows(pair.large, asyncio.run(remove(pair.large)))


def main() -> int:
    """Print the table.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=10_000_000)
    parser.add_argument("--small", type=int, default=10_000)
    arguments = parser.parse_args()
    warn_if_busy()
    with TemporaryDirectory(prefix="ledger-") as folder:
        found = _all(Path(folder), attempts=arguments.attempts, small=arguments.small)
        title = f"a ledger of {arguments.attempts} beside one of {arguments.small}"
        return 1 if show(found, title=title) else 0


if __name__ == "__main__":
    sys.exit(main())
