"""The SQLite ledger beyond the contract: kills, full disks, strange files, and its size."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from structlog.testing import capture_logs

from supervisor.errors import StoreError
from supervisor.ledger import rows
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import Spent
from supervisor.ledger.shortcut import IN_A_ROW
from supervisor.ledger.sqlite import SCHEMA, SqliteLedger
from supervisor.messages import Usage
from supervisor.reading import Reading
from supervisor.sqlite import connect

NOON = 1_800_014_400.0


def attempt(name: str, granted: float = NOON) -> Attempt:
    """An attempt as the broker writes it down."""
    return Attempt(f"{name}/1", "code", "grok-4.7", "", granted, 0.0, 10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "new" / "ledger.sqlite"


async def test_another_process_reads_what_this_one_wrote(file: Path) -> None:
    """A ledger opened again has all attempts, settled or not, and all sums."""
    first = SqliteLedger(file)
    await first.record([attempt("a"), attempt("b")])
    first.settle(attempt("a"), Settlement(200, "answered", Usage(3, 4, 0, 0, Decimal("0.5")), 1, 7))
    await first.aclose()
    second = SqliteLedger(file)
    assert list(await second.spent_since(NOON)) == [
        Spent("code", NOON, 7, NOON + 1),
        Spent("code", NOON, 10, None),
    ]
    (row,) = await second.usage()
    assert (row.attempts, row.answered, row.prompt, row.cost) == (2, 1, 3, Decimal("0.5"))
    await second.aclose()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from supervisor.ledger.attempt import Attempt
from supervisor.ledger.sqlite import SqliteLedger

async def main():
    ledger = SqliteLedger(Path(sys.argv[1]))
    await ledger.record([Attempt(f"{n}/1", "code", "m", "", 1.8e9, 0.0, n) for n in range(100)])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_what_was_recorded_outlives_a_kill(file: Path) -> None:
    """As soon as `record` has returned, kill -9 changes nothing."""
    ended = await anyio.run_process(
        [sys.executable, "-c", KILLED, str(file)], check=False, stderr=subprocess.STDOUT
    )
    assert ended.returncode == -9, ended.stdout.decode()
    ledger = SqliteLedger(file)
    assert [one.tokens for one in await ledger.spent_since(0.0)] == list(range(100))
    await ledger.aclose()


async def test_only_its_owner_can_read_it(file: Path) -> None:
    """The file and a folder made for it are closed to others."""
    ledger = SqliteLedger(file)
    await ledger.record([attempt("a")])
    await ledger.aclose()
    assert stat.S_IMODE((await anyio.Path(file).stat()).st_mode) == 0o600
    assert stat.S_IMODE((await anyio.Path(file.parent).stat()).st_mode) == 0o700


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    """What cannot be written is an error that names the file, and nothing may be sent."""
    file = tmp_path / "ledger.sqlite"
    await anyio.Path(file).write_text("no database at all, but long enough to be looked at\n" * 40)
    ledger = SqliteLedger(file)
    with pytest.raises(StoreError, match=r"ledger\.sqlite failed: file is not a database"):
        await ledger.record([attempt("a")])
    with pytest.raises(StoreError):
        await ledger.usage()


async def test_many_at_once_share_few_transactions(file: Path) -> None:
    """A thousand attempts recorded side by side are all there, in order of their grants."""
    ledger = SqliteLedger(file)
    async with anyio.create_task_group() as tasks:
        for number in range(1_000):
            tasks.start_soon(ledger.record, [attempt(str(number), NOON + number)])
    spent = await ledger.spent_since(0.0)
    assert [one.granted for one in spent] == [NOON + number for number in range(1_000)]
    await ledger.aclose()


async def test_a_cancelled_writer_is_written_down(file: Path) -> None:
    """An attempt whose writer gave up may have been sent: it counts."""
    ledger = SqliteLedger(file)
    await ledger.record([attempt("a")])
    with anyio.CancelScope() as scope:
        scope.cancel()
        await ledger.record([attempt("b")])
    assert len(await ledger.spent_since(0.0)) == 2
    await ledger.aclose()


async def test_a_writer_in_another_process_is_waited_for_elsewhere(file: Path) -> None:
    """While somebody else writes to the file, the loop goes on and nothing counts as recorded."""
    ledger = SqliteLedger(file)
    await ledger.record([attempt("a")])

    def begin() -> sqlite3.Connection:
        other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        return other

    other = await anyio.to_thread.run_sync(begin)
    recorded = anyio.Event()

    async def record() -> None:
        await ledger.record([attempt("b")])
        recorded.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(record)
        await anyio.wait_all_tasks_blocked()
        assert not recorded.is_set()
        await anyio.to_thread.run_sync(other.rollback)
        await anyio.to_thread.run_sync(other.close)
        await recorded.wait()
    assert len(await ledger.spent_since(0.0)) == 2
    await ledger.aclose()


async def test_it_does_not_wait_long_for_another_writer(file: Path) -> None:
    """A file that another program keeps locked fails what is recorded, and holds up no end."""
    ledger = SqliteLedger(file, patience=0.05)
    await ledger.record([attempt("a"), attempt("b")])

    def lock() -> sqlite3.Connection:
        other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        return other

    ended = Settlement(200, "answered", Usage(1, 2), 1.0, 3)
    other = await anyio.to_thread.run_sync(lock)
    ledger.settle(attempt("a"), ended)
    with pytest.raises(StoreError, match="locked"):
        await ledger.record([attempt("c")])
    assert [row.answered for row in await ledger.usage()] == [0]
    await anyio.to_thread.run_sync(other.rollback)
    assert [row.answered for row in await ledger.usage()] == [1]
    await anyio.to_thread.run_sync(other.execute, "BEGIN IMMEDIATE")
    ledger.settle(attempt("b"), ended)
    with capture_logs() as logs:
        await ledger.aclose()
    assert [one["event"] for one in logs] == ["ledger.write_failed", "ledger.given_up"]
    await anyio.to_thread.run_sync(other.close)
    successor = SqliteLedger(file)
    assert sorted(one.tokens for one in await successor.spent_since(0.0)) == [3, 10]
    await successor.aclose()


async def test_its_log_is_merged_into_the_file_by_and_by(file: Path) -> None:
    """However many short transactions there are, the write-ahead log stays small."""
    ledger = SqliteLedger(file)
    log = anyio.Path(f"{file}-wal")
    largest = 0
    for number in range(8 * IN_A_ROW):
        await ledger.record([attempt(str(number), NOON + number)])
        if number % 64 == 0:
            largest = max(largest, (await log.stat()).st_size)
    assert 0 < largest < 2 * IN_A_ROW * 5 * 4_096
    await ledger.aclose()


async def test_a_settlement_survives_a_busy_file(file: Path) -> None:
    """What could not be written at first goes with the next transaction, exactly once."""
    ledger = SqliteLedger(file)
    await ledger.record([attempt("a")])

    def rename(old: str, new: str) -> None:
        other = sqlite3.connect(file)
        other.execute(f"ALTER TABLE {old} RENAME TO {new}")
        other.commit()
        other.close()

    await anyio.to_thread.run_sync(rename, "hours", "away")
    ledger.settle(attempt("a"), Settlement(200, "answered", Usage(1, 2), 1.0, 3))
    with pytest.raises(StoreError, match="hours"):
        await ledger.record([attempt("b")])
    await anyio.to_thread.run_sync(rename, "away", "hours")
    await ledger.record([attempt("c")])
    (row,) = await ledger.usage()
    assert (row.attempts, row.answered, row.prompt) == (2, 1, 1)
    await ledger.aclose()


@pytest.mark.usefixtures("virtual")
async def test_old_attempts_go_and_their_sums_stay(file: Path) -> None:
    """Removing single attempts changes no usage, and removes no younger one."""
    ledger = SqliteLedger(file, kept=4.5)
    async with anyio.create_task_group() as tasks:
        await tasks.start(ledger.run)
        await ledger.record([attempt(str(number), NOON + number) for number in range(10)])
        await anyio.sleep(rows.SWEEP + 1)
        spent = await ledger.spent_since(0.0)
        assert [one.granted for one in spent] == [NOON + number for number in range(5, 10)]
        assert sum(row.attempts for row in await ledger.usage()) == 10
        tasks.cancel_scope.cancel()
    assert "ledger.sqlite" in repr(ledger)


@pytest.mark.usefixtures("virtual")
async def test_a_clock_days_ahead_for_a_while_removes_nothing(file: Path) -> None:
    """Neither what this start of the system has written, nor, while it may count, another's."""
    before = SqliteLedger(file)
    await before.record([attempt("before")])
    await before.aclose()
    ledger, day = SqliteLedger(file), 86_400.0

    def sent(name: str, uptime: float, ahead: float) -> Attempt:
        return replace(attempt(name, NOON + uptime + ahead), uptime=uptime, boot=1)

    async with anyio.create_task_group() as tasks:
        await tasks.start(ledger.run)
        # Virtual time runs away while a thread works: only a time without end is not over then.
        assert len(await ledger.spent_since(-1e12, Reading(NOON, 0.0, 1))) == 1
        await ledger.record([sent("a", 1.0, 0.0), sent("b", 2.0, 10 * day)])
        await anyio.sleep(2 * rows.SWEEP)
        kept = [one.granted for one in await ledger.spent_since(0.0)]
        assert kept == [NOON, NOON + 1.0, NOON + 2.0 + 10 * day]
        # In the end all goes that is old by both clocks.
        await ledger.record([sent("c", 20 * day, 0.0)])
        await anyio.sleep(2 * rows.SWEEP)
        kept = [one.granted for one in await ledger.spent_since(0.0)]
        assert kept == [NOON, NOON + 20 * day]
        tasks.cancel_scope.cancel()


async def test_a_file_of_before_goes_on(file: Path) -> None:
    """A ledger that knows of no reservations of money is read, completed and written on."""

    def make() -> None:
        old = connect(file, SCHEMA)
        hour = int(NOON // 3_600)
        old.execute(
            f"INSERT INTO hours VALUES ({hour}, 'code', 'grok-4.7', 2, 1, 0, 3, 4, 0, 0, 5)"
        )
        for number, ended in ((7, NOON + 1), (8, None)):
            old.execute(
                "INSERT INTO attempts (seq, id, class, model, job, granted, wait, tokens, ended)"
                " VALUES (?, ?, 'code', 'grok-4.7', '', ?, 0, 10, ?)",
                (number, f"{number}/1", NOON, ended),
            )
        old.close()

    await anyio.to_thread.run_sync(make)
    for life in range(2):
        ledger = SqliteLedger(file)
        assert not await ledger.reserved_since(NOON)
        assert len(await ledger.spent_since(NOON)) == 2 + life
        await ledger.record([replace(attempt("a"), cost=6)])
        assert [one.cost for one in await ledger.reserved_since(NOON)] == [Decimal("6e-10")]
        ledger.settle(replace(attempt("a"), cost=6), Settlement(200, "answered", None, 1.0, 3))
        (row,) = await ledger.usage()
        assert (row.attempts, row.answered, row.cost) == (3 + life, 2 + life, Decimal("5e-10"))
        await ledger.aclose()


READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM attempts").fetchone()[0])
connection.close()
"""


@pytest.mark.slow
async def test_whoever_looks_at_it_takes_nothing_away(file: Path) -> None:
    """Another program may read and close the file at any time: its log stays, and what follows."""
    ledger = SqliteLedger(file)
    for number in range(2):
        await ledger.record([attempt(str(number))])
        look = await anyio.run_process([sys.executable, "-c", READER, str(file)])
        assert int(look.stdout) == number + 1
    assert await anyio.Path(f"{file}-wal").exists()
    await ledger.aclose()
