"""The PostgreSQL ledger beyond the contract."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import anyio
import psycopg
import pytest

from supervisor.errors import StoreError
from supervisor.ledger import rows
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import Spent
from supervisor.ledger.postgresql import PostgresqlLedger
from supervisor.messages import Usage
from tests.postgresql import database
from tests.waiting import heard, until

NOON = 1_800_014_400.0
ONE = Attempt("a/1", "code", "grok-4.7", "", NOON, 0.0, 10, 5)


@pytest.mark.slow
async def test_tables_of_before_go_on(postgresql: str) -> None:
    """Tables that know of no reservations of money and of no uptime are completed and go on."""
    with database(postgresql) as url:
        first = PostgresqlLedger(url)
        await first.record([ONE])
        await first.aclose()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as old:
            for table, column in rows.ADDED:
                await old.execute(f"ALTER TABLE supervisor_{table} DROP COLUMN {column}".encode())
        ledger = PostgresqlLedger(url)
        assert list(await ledger.spent_since(NOON)) == [Spent("code", NOON, 10)]
        assert not await ledger.reserved_since(NOON)
        await ledger.record([replace(ONE, id="b/1")])
        assert [one.cost for one in await ledger.reserved_since(NOON)] == [Decimal("5e-10")]
        await ledger.aclose()


async def break_connections(url: str) -> None:
    """End all of the database's connections."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as operator:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        await operator.execute(
            f"{others} WHERE datname = current_database() AND pid <> pg_backend_pid()".encode()
        )


@pytest.mark.slow
async def test_a_sweep_that_fails_is_made_again(postgresql: str) -> None:
    """It is told, the ledger goes on, and the next sweep removes what is old."""
    with database(postgresql) as url, heard() as logs:
        ledger = PostgresqlLedger(url, kept=0.5, sweep=0.05)
        async with anyio.create_task_group() as tasks:
            await tasks.start(ledger.run)
            await ledger.record([ONE])
            await break_connections(url)
            await logs.until("ledger.sweep_failed")
            await ledger.record([replace(ONE, id="b/1", granted=NOON + 1)])
            await until(partial(_has_one, ledger))
            tasks.cancel_scope.cancel()
    assert set(logs.names) == {"ledger.sweep_failed"}


async def _has_one(ledger: PostgresqlLedger) -> bool:
    return len(await ledger.spent_since(0.0)) == 1


@pytest.mark.slow
async def test_a_broken_connection_loses_no_end(postgresql: str) -> None:
    """An attempt from before the break is settled after it, for the windows too."""
    with database(postgresql) as url:
        ledger = PostgresqlLedger(url)
        await ledger.record([ONE])
        await break_connections(url)
        with pytest.raises(StoreError):
            await ledger.usage()
        ledger.settle(ONE, Settlement(200, "answered", Usage(3, 4), 2.0, 7))
        assert list(await ledger.spent_since(NOON)) == [Spent("code", NOON, 7, NOON + 2)]
        assert not await ledger.reserved_since(NOON)
        await ledger.aclose()
