"""What could not be written down: it is kept once, and never twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import anyio
import pytest

from supervisor.jobs.answers import Answer, Owed, Record
from supervisor.jobs.unwritten import Unwritten
from supervisor.messages import Promise

OLD, ONE, TWO = (Answer(digest, digest.upper()) for digest in ("old", "one", "two"))
OWED = Owed("two", Promise("p", 1.0))


class Disk:
    """Writes records down until it cannot.

    Attributes:
        error: What it raises; None while it can.
        turns: Set while it does anything at all.
    """

    error: BaseException | None = None

    def __init__(self) -> None:
        self.turns = asyncio.Event()
        self.turns.set()

    async def record(self, record: Record) -> None:
        """Write nothing, really."""
        await self.turns.wait()
        if self.error is not None:
            raise self.error


async def failed(*records: Record, error: BaseException | None = None) -> Unwritten:
    """What a run leaves that knew of an old answer, wrote one, and then could write no more."""
    disk = Disk()
    unwritten = Unwritten(disk, [OLD])
    await unwritten.record(ONE)
    disk.error = error or OSError("full")
    for record in records:
        with suppress(type(disk.error)):
            await unwritten.record(record)
    return unwritten


@pytest.mark.parametrize(
    ("error", "kept"), [(OSError(), 1), (asyncio.CancelledError(), 1), (ValueError(), 0)]
)
async def test_what_can_be_written_later_is_kept(error: BaseException, kept: int) -> None:
    """What is refused for what it says would be refused again, and its run is told."""
    assert len(await failed(TWO, error=error)) == kept


async def test_what_is_being_written_is_missing() -> None:
    """Whoever waits for that may be left behind, and is never told how it ended."""
    disk = Disk()
    unwritten = Unwritten(disk, [OLD])
    disk.turns.clear()
    writing = asyncio.create_task(unwritten.record(ONE))
    await anyio.wait_all_tasks_blocked()
    assert (len(unwritten), unwritten.missing([OLD])) == (1, [ONE])
    assert unwritten.missing([OLD, ONE]) == []
    disk.turns.set()
    await writing
    assert (len(unwritten), unwritten.missing([OLD, ONE])) == (0, [])


async def test_what_is_not_on_record_is_missing() -> None:
    """All that failed is still to be written down, in its order."""
    assert (await failed(OWED, TWO)).missing([OLD, ONE]) == [OWED, TWO]
    assert (await failed()).missing([OLD, ONE]) == []
    assert (await failed(TWO)).missing([]) == [TWO]
    assert repr(await failed(OWED)) == "<Unwritten 1 known=2>"


async def test_what_was_written_unheard_is_not_missing() -> None:
    """A write that succeeded although nobody was told is not made again."""
    assert (await failed(OWED, TWO)).missing([OLD, ONE, OWED]) == [TWO]
    assert (await failed(OWED, TWO)).missing([OLD, ONE, TWO, OWED]) == []


async def test_equal_answers_count_each() -> None:
    """A question that was asked twice has two answers, however alike they are."""
    assert (await failed(ONE)).missing([OLD, ONE]) == [ONE]
    assert (await failed(ONE)).missing([OLD, ONE, ONE]) == []
    assert (await failed(ONE, ONE)).missing([OLD, ONE, ONE]) == [ONE]
