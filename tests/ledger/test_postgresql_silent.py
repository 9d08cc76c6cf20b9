"""A PostgreSQL server that swallows what it is asked: cut off, or hanging, and never refusing."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import anyio
import pytest
from structlog.testing import capture_logs

from supervisor.errors import StoreError
from supervisor.ledger import postgresql_owner
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import Spent
from supervisor.ledger.postgresql import PostgresqlLedger
from supervisor.ledger.postgresql_owner import PostgresqlOwnership
from tests.network import network

NOON = 1_800_014_400.0
ONE = Attempt("a/1", "code", "grok-4.7", "", NOON, 0.0, 10)
ENDED = Settlement(200, "answered", None, 2.0, 7)
PATIENCE = 0.4
"""Seconds: silence that lasts so long, and an answer that takes a busy machine less."""
pytestmark = pytest.mark.slow


async def impatient(url: str) -> PostgresqlLedger:
    """A ledger with one attempt that does not wait long; a patient one has made its tables."""
    patient = PostgresqlLedger(url)
    await patient.usage()
    await patient.aclose()
    ledger = PostgresqlLedger(url, patience=PATIENCE)
    await ledger.record([ONE])
    return ledger


async def test_a_silent_server_is_not_waited_for(postgresql: str) -> None:
    """All that needs it fails in time, also what waits for its turn, and so does the end."""
    async with network(postgresql) as way, asyncio.timeout(10.0):
        ledger = await impatient(way.url)
        way.swallows_new = True
        way.cut()
        works = [ledger.record([replace(ONE, id=f"{n}/1")]) for n in range(3)]
        works += [ledger.postpone([ONE])]
        reads = [ledger.usage(), ledger.spent_elsewhere(0.0)]
        for end in await asyncio.gather(*works, *reads, return_exceptions=True):
            assert isinstance(end, StoreError)
            assert end.message == "the ledger on PostgreSQL failed: it does not answer"
        ledger.settle(ONE, ENDED)
        with capture_logs() as logs:
            await ledger.aclose()
        assert [one["event"] for one in logs] == ["ledger.write_failed", "ledger.given_up"]


async def test_new_connections_are_made(postgresql: str) -> None:
    """Where only the old connection is cut off, what follows is written, and what has ended."""
    async with network(postgresql) as way, asyncio.timeout(10.0):
        ledger = await impatient(way.url)
        way.cut()
        with pytest.raises(StoreError, match="does not answer"):
            await ledger.record([replace(ONE, id="b/1")])
        ledger.settle(ONE, ENDED)
        await ledger.record([replace(ONE, id="c/1", granted=NOON + 1)])
        found = list(await ledger.spent_since(NOON))
        assert found == [Spent("code", NOON, 7, NOON + 2), Spent("code", NOON + 1, 10)]
        await ledger.aclose()


async def test_an_end_whose_answer_is_lost_counts_once(postgresql: str) -> None:
    """What was committed, and is tried again because nobody said so, is in the sums once."""
    two = replace(ONE, id="b/1", cost=5)
    async with network(postgresql) as way, asyncio.timeout(10.0):
        ledger = PostgresqlLedger(way.url, patience=PATIENCE)
        await ledger.record([replace(ONE, cost=5), two])
        way.breaks_at = b"\x0bCOMMIT\0"  # as the server says that it is done
        ledger.settle(replace(ONE, cost=5), ENDED)
        assert [row.answered for row in await ledger.usage()] == [1]
        await ledger.record([replace(ONE, id="c/1")])
        ledger.settle(two, ENDED)
        assert [row.answered for row in await ledger.usage()] == [2]
        assert not await ledger.reserved_since(0.0)
        await ledger.aclose()


async def test_half_a_transaction_locks_nobody_out(postgresql: str) -> None:
    """One that was cut off before its commit does not stop those after it."""
    async with network(postgresql) as way, asyncio.timeout(10.0):
        ledger = await impatient(way.url)
        way.breaks_at = b"COMMIT\0"  # as the server is asked for it
        with pytest.raises(StoreError, match="does not answer"):
            await ledger.record([replace(ONE, id="b/1")])
        await ledger.record([replace(ONE, id="c/1")])
        assert [row.attempts for row in await ledger.usage()] == [2]
        await ledger.aclose()


async def test_a_lock_behind_silence_is_let_go(postgresql: str) -> None:
    """Neither taking it nor giving it back waits for ever."""
    async with network(postgresql) as way, asyncio.timeout(10.0):
        owner = PostgresqlOwnership(way.url, patience=PATIENCE)
        assert await owner.acquire_nowait()
        way.cut()
        await owner.release()
        assert "not held" in repr(owner)


async def test_who_watches_the_lock_may_stop(postgresql: str) -> None:
    """The lock is not lost by that."""
    async with network(postgresql) as way, asyncio.timeout(10.0):
        owner = PostgresqlOwnership(way.url)
        assert await owner.acquire_nowait()
        for _ in range(2):
            with anyio.move_on_after(0.02) as watch:
                await owner.lost()
            assert watch.cancelled_caught
        await owner.release()


async def test_a_lock_is_had_back_from_behind_silence(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server still holds it for a session that is cut off: that is no other process."""
    monkeypatch.setattr(postgresql_owner, "_CHECK", 0.02)
    async with network(postgresql) as way, asyncio.timeout(10.0):
        owner, other = (PostgresqlOwnership(way.url, patience=PATIENCE) for _ in range(2))
        assert await owner.acquire_nowait()
        way.cut()
        assert "does not answer" in await owner.lost()
        assert not await other.acquire_nowait()
        while True:
            with contextlib.suppress(StoreError):
                assert await owner.acquire_nowait()
                break
        assert not await other.acquire_nowait()
        await owner.release()
        # Whoever else has it in between keeps it.
        assert await other.acquire_nowait()
        assert not await owner.acquire_nowait()
        await other.release()
