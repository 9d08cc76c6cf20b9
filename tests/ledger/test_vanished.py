"""The SQLite ledger when its files vanish, or are replaced, while it is open."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from itertools import chain, repeat
from pathlib import Path
from threading import Event

import anyio
import anyio.to_thread
import pytest
from structlog.testing import capture_logs

from supervisor.errors import StoreError
from supervisor.ledger import rows
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import Spent, UsageRow
from supervisor.ledger.sqlite import SCHEMA, SqliteLedger
from supervisor.messages import Usage
from supervisor.sqlite import connect

NOON = 1_800_014_400.0
ENDED = Settlement(200, "answered", Usage(3, 4), 1.0, 7)


def attempt(name: str, granted: float = NOON) -> Attempt:
    """An attempt as the broker writes it down."""
    return Attempt(f"{name}/1", "code", "grok-4.7", "", granted, 0.0, 10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "new" / "ledger.sqlite"


async def aside(work: Callable[[], object]) -> None:
    """Do something to the files."""
    await anyio.to_thread.run_sync(work)


async def after_a_kill(file: Path) -> tuple[list[Spent], list[UsageRow]]:
    """What the next process would read, if this one were killed now."""
    copy = file.parent.parent / "copy"
    await aside(lambda: shutil.copytree(file.parent, copy))
    ledger = SqliteLedger(copy / file.name)
    found = list(await ledger.spent_since(0.0)), list(await ledger.usage())
    await ledger.aclose()
    await aside(lambda: shutil.rmtree(copy))
    return found


def remove(file: Path, what: str) -> Callable[[], object]:
    """Removes the folder, or one of the files."""
    if what == "folder":
        return lambda: shutil.rmtree(file.parent)
    return file.with_name(f"{file.name}{what}").unlink


@pytest.mark.parametrize("what", ["folder", "", "-wal", "-shm"])
async def test_what_is_recorded_after_a_loss_is_kept_with_all_before(file: Path, what: str) -> None:
    """When `record` returns, a kill forgets nothing: neither this nor what was lost before it."""
    ledger = SqliteLedger(file)
    await ledger.record([attempt("a"), attempt("b")])
    ledger.settle(attempt("a"), ENDED)
    await ledger.usage()
    for name in "cd":
        await aside(remove(file, what))
        with capture_logs() as logs:
            await ledger.record([attempt(name)])
        assert [one["event"] for one in logs] == ["ledger.rescued"]
        await ledger.record([attempt(f"{name}{name}")])
    ledger.settle(attempt("b"), ENDED)
    assert not await ledger.spent_elsewhere(0.0)
    spent, (usage,) = await after_a_kill(file)
    assert [one.tokens for one in spent] == [7, 7, 10, 10, 10, 10]
    assert (usage.attempts, usage.answered) == (6, 2)
    await ledger.aclose()


async def test_a_stop_keeps_what_was_lost_before_it(file: Path) -> None:
    """Closed after its files have gone, it leaves all of it at the path."""
    ledger = SqliteLedger(file)
    await ledger.record([attempt("a")])
    await aside(remove(file, "folder"))
    ledger.settle(attempt("a"), ENDED)
    await ledger.aclose()
    spent, _ = await after_a_kill(file)
    assert [one.tokens for one in spent] == [7]


async def until(reached: Callable[[], bool], *, each: float = 1.0) -> None:
    """Wait in virtual time, while real threads work."""
    while not reached():  # noqa: ASYNC110 - what is waited for tells nobody
        await anyio.sleep(each)


@pytest.mark.usefixtures("virtual")
async def test_it_looks_by_itself(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is recorded the file is back soon all the same, once that is possible."""
    monkeypatch.setattr("supervisor.ledger.sqlite._TURNS", 1)
    possible = Event()
    ledger = SqliteLedger(file, sweep=1e9, alone=possible.is_set)
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            await tasks.start(ledger.run)
            await ledger.record([attempt("a")])
            await aside(remove(file, "folder"))
            await until(lambda: len(logs) == 1)
            await anyio.sleep(5)
            possible.set()
            await until(lambda: len(logs) == 2)
            assert len((await after_a_kill(file))[0]) == 1
            tasks.cancel_scope.cancel()
    assert [one["event"] for one in logs] == ["ledger.rescue_failed", "ledger.rescued"]


async def test_nothing_fails_however_often_it_vanishes(file: Path) -> None:
    """All that is recorded side by side meanwhile is there, once."""
    ledger = SqliteLedger(file)
    await ledger.record([attempt("first")])

    async def record(number: int) -> None:
        for turn in range(20):
            await ledger.record([attempt(f"{number}-{turn}")])
            ledger.settle(attempt(f"{number}-{turn}"), ENDED)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(record, number)
        for number in range(3):
            gone = file.parent.with_name(f"gone-{number}")
            await aside(lambda gone=gone: file.parent.rename(gone))  # type: ignore[misc]
            await ledger.usage()
    await ledger.usage()
    spent, (usage,) = await after_a_kill(file)
    assert (len(spent), usage.attempts, usage.answered) == (101, 101, 100)
    await ledger.aclose()


async def another(file: Path, *attempts: Attempt) -> Path:
    """A ledger of another process, ready to be moved."""
    other = file.parent.parent / "other.sqlite"
    ledger = SqliteLedger(other)
    await ledger.record(attempts)
    await ledger.aclose()
    return other


async def test_another_ledger_in_its_place_gets_what_is_known(file: Path) -> None:
    """It is not overwritten: it is gone on in, and has all of both, and the other's are news."""
    other = await another(file, attempt("x"), attempt("y", NOON + 1))
    ledger = SqliteLedger(file)
    await ledger.record([attempt("a"), attempt("b")])
    ledger.settle(attempt("a"), ENDED)
    await ledger.usage()
    await aside(lambda: other.replace(file))
    with capture_logs() as logs:
        await ledger.record([attempt("c")])
    assert [one["event"] for one in logs] == ["ledger.replaced"]
    ledger.settle(attempt("b"), ENDED)
    assert [one.granted for one in await ledger.spent_elsewhere(0.0)] == [NOON, NOON + 1]
    assert not await ledger.spent_elsewhere(0.0)
    spent, (usage,) = await after_a_kill(file)
    assert sorted(one.tokens for one in spent) == [7, 7, 10, 10, 10]
    assert (usage.attempts, usage.answered) == (3, 2)
    await ledger.aclose()


async def test_another_numbering_is_not_mixed_up(file: Path) -> None:
    """What goes later is told so where its row is now, not where its number was before."""
    ledger = SqliteLedger(file)
    late = attempt("late")
    await ledger.record([late])
    other = SqliteLedger(file.parent.parent / "other" / file.name)
    await other.record([attempt("x", NOON + 1), attempt("y", NOON + 2)])
    await other.aclose()
    await aside(lambda: shutil.rmtree(file.parent))
    await aside(lambda: shutil.copytree(file.parent.parent / "other", file.parent))
    await ledger.postpone([late.within(9.0)])
    found = [one.granted - NOON for one in await ledger.spent_since(0.0)]
    assert found == [1.0, 2.0, 9.0]
    await ledger.aclose()


async def test_a_copy_of_before_in_its_place_gets_what_it_lacks(file: Path) -> None:
    """Put back while it is open, a copy forgets nothing, tells nothing twice, and ends are kept."""
    copy = file.parent.parent / "copy.sqlite"
    ledger = SqliteLedger(file)
    await ledger.record([replace(attempt("a"), cost=6), attempt("b")])

    def back_up() -> None:
        source, target = sqlite3.connect(file), sqlite3.connect(copy)
        source.backup(target)
        source.close()
        target.close()

    await aside(back_up)
    priced = replace(ENDED, usage=Usage(3, 4, 0, 0, Decimal("1e-9")))
    ledger.settle(replace(attempt("a"), cost=6), priced)
    await ledger.record([attempt("c")])
    await aside(lambda: copy.replace(file))
    assert not await ledger.spent_elsewhere(0.0)
    spent, (usage,) = await after_a_kill(file)
    assert sorted(one.tokens for one in spent) == [7, 10, 10]
    assert (usage.attempts, usage.answered, usage.cost) == (3, 1, Decimal("1e-9"))
    await ledger.aclose()


async def test_what_is_no_ledger_is_left_alone(file: Path) -> None:
    """Nothing is sent that cannot be written down; when it is gone, all that was is there."""
    ledger = SqliteLedger(file)
    await ledger.record([attempt("a")])
    path = anyio.Path(file)
    await path.unlink()
    await path.write_text("no database at all, but long enough to be looked at\n" * 40)
    with pytest.raises(StoreError, match="not a database"):
        await ledger.record([attempt("b")])
    assert (await path.read_text()).startswith("no database")
    await path.unlink()
    await ledger.record([attempt("c")])
    assert len((await after_a_kill(file))[0]) == 2
    await ledger.aclose()


async def test_what_cannot_take_it_over_stays_as_it_is(file: Path) -> None:
    """A ledger whose sums cannot be added to gets no attempts either, and the old one goes on."""
    other = file.parent.parent / "other.sqlite"
    unkeyed = SCHEMA.replace(",\n    PRIMARY KEY (hour, class, model)\n) WITHOUT ROWID", ")")

    def count() -> int:
        with closing(sqlite3.connect(file)) as connection:
            found: int = connection.execute("SELECT count(*) FROM attempts").fetchone()[0]
            return found

    ledger = SqliteLedger(file)
    await ledger.record([attempt("a")])
    await aside(lambda: connect(other, unkeyed).close())
    await aside(lambda: other.replace(file))
    with pytest.raises(StoreError, match="ON CONFLICT"):
        await ledger.record([attempt("b")])
    assert await anyio.to_thread.run_sync(count) == 0
    await aside(file.unlink)
    await ledger.record([attempt("c")])
    assert len((await after_a_kill(file))[0]) == 2
    await ledger.aclose()


async def test_it_waits_until_the_key_is_known_to_be_ours(file: Path) -> None:
    """While another process may write there nothing is put there."""
    told = chain(repeat(False, 3), repeat(True))  # noqa: FBT003 - the value
    ledger = SqliteLedger(file, alone=lambda: next(told))
    await ledger.record([attempt("a")])
    await aside(remove(file, "folder"))
    await ledger.record([attempt("b")])
    assert len((await after_a_kill(file))[0]) == 2
    assert next(told)
    await ledger.aclose()


async def test_it_gives_up_where_the_key_is_anothers(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be written down is not sent, and at the end nothing is put there either."""
    monkeypatch.setattr("supervisor.ledger.sqlite._TURNS", 2)
    ledger = SqliteLedger(file, alone=lambda: False)
    await ledger.record([attempt("a")])
    await aside(remove(file, "folder"))
    with pytest.raises(StoreError, match="another process may have made"):
        await ledger.record([attempt("b")])
    with capture_logs() as logs:
        await ledger.aclose()
    assert [one["event"] for one in logs] == ["ledger.rescue_failed"]
    assert not await anyio.Path(file).exists()


@pytest.mark.usefixtures("virtual")
async def test_a_sweep_that_fails_is_made_again(file: Path) -> None:
    """It is told, the ledger stays open, and the next sweep removes what is old."""

    def rename(old: str, new: str) -> None:
        other = sqlite3.connect(file)
        other.execute(f"ALTER TABLE {old} RENAME TO {new}")
        other.close()

    ledger = SqliteLedger(file, kept=0.5)
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            await tasks.start(ledger.run)
            await ledger.record([attempt("a"), attempt("b", NOON + 1)])
            await aside(lambda: rename("attempts", "away"))
            await until(lambda: bool(logs), each=rows.SWEEP / 2)
            await aside(lambda: rename("away", "attempts"))
            await anyio.sleep(rows.SWEEP + 1)
            assert len(await ledger.spent_since(0.0)) == 1
            tasks.cancel_scope.cancel()
    assert {one["event"] for one in logs} == {"ledger.sweep_failed"}
