"""The lock of the key's owner, where the store is a PostgreSQL database."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import psycopg

from supervisor.ledger.postgresql import CONNECT, Connection, failure

LOCK = 0x67726F6B
"""The advisory lock of the key's owner in this database: "grok"."""

_CHECK = 5.0
"""Seconds between two questions to the server on a connection that nothing else is asked on."""
_PATIENCE = 5.0
"""Seconds that it may take to answer; then the connection counts as lost."""
_KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""So that the system notices too when the server's machine is gone without a word."""


class PostgresqlOwnership:
    """The lock of one database: one process at a time owns the key.

    An advisory lock of a session: the server gives it back when the connection ends, however that
    happens. Also when it ends while this process lives: `lost` tells.

    Args:
        url: `postgresql://USER:PASSWORD@HOST/NAME`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<PostgresqlOwnership {'held' if self._connection else 'not held'}>"

    @property
    def place(self) -> str:
        """Where the lock is, for people."""
        return "the lock in the PostgreSQL database of store.url"

    @property
    def shared(self) -> bool:
        """All processes of the key are to have the same store.url."""
        return True

    async def acquire_nowait(self) -> bool:
        """Take it, unless another process has it.

        Raises:
            StoreError: The server cannot be reached.
        """
        if self._connection is not None:
            return True
        try:
            connection: Connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=CONNECT, **_KEEPALIVES
            )
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
            row = await cursor.fetchone()
        except (psycopg.Error, OSError) as error:
            raise failure(error) from error
        if row is None or not row[0]:
            await connection.close()
            return False
        self._connection = connection
        return True

    async def lost(self) -> str:
        """Wait until the connection that holds it is broken, and say how; it is not held then."""
        connection = self._connection
        if connection is None:
            return "it is not held"
        try:
            while True:
                # Nothing is ever notified: this ends at once when the server hangs up.
                async for _ in connection.notifies(timeout=_CHECK):
                    pass
                with anyio.fail_after(_PATIENCE):
                    await connection.execute("SELECT 1")
        except (psycopg.Error, OSError) as error:
            if self._connection is connection:
                self._connection = None
            await connection.close()
            return str(failure(error).message)

    async def release(self) -> None:
        """Let the next process have it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # The server hears of a closed connection at its leisure; this it answers.
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
            await connection.close()
