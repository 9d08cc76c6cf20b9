"""The lock of the key's owner, where the store is a PostgreSQL database."""

from __future__ import annotations

import contextlib

import anyio
import psycopg

from supervisor.errors import StoreError
from supervisor.ledger.postgresql_connection import Connection, Session, begin, connect, failure

LOCK = 0x67726F6B
"""The advisory lock of the key's owner in this database: "grok"."""

_CHECK = 5.0
"""Seconds between two questions to the server on a connection that nothing else is asked on."""
_PATIENCE = 5.0
"""Seconds that it may take to answer; then the connection counts as lost."""


class PostgresqlOwnership:
    """The lock of one database: one process at a time owns the key.

    An advisory lock of a session: the server gives it back when the connection ends, however that
    happens. Also when it ends while this process lives: `lost` tells.

    Args:
        url: `postgresql://USER:PASSWORD@HOST/NAME`.
        patience: Seconds that the server may take to answer; then it counts as lost.
    """

    def __init__(self, url: str, *, patience: float = _PATIENCE) -> None:
        self._url = url
        self._patience = patience
        self._connection: Connection | None = None
        self._session: Session | None = None

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
            StoreError: The server cannot be reached, or a session of ours still has it.
        """
        if self._connection is not None:
            return True
        try:
            connection = await connect(self._url)
            try:
                with anyio.fail_after(self._patience):
                    if await self._take(connection):
                        self._connection = connection
            finally:
                if self._connection is None:
                    await connection.close()
        except (psycopg.Error, OSError) as error:
            raise failure(error) from error
        return self._connection is not None

    async def _take(self, connection: Connection) -> bool:
        """Ask for it; a session of ours that was cut off may have it still, and is ended first."""
        session, ended = await begin(connection, after=self._session)
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
        row = await cursor.fetchone()
        if row is not None and row[0]:
            self._session = session
            return True
        if ended:
            raise StoreError("the session that had the lock of the key's owner has yet to end")
        return False

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
                # Cut short it would cost the connection, and the lock with it.
                with anyio.fail_after(self._patience, shield=True):
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
            with contextlib.suppress(psycopg.Error, OSError), anyio.move_on_after(self._patience):
                await connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
            await connection.close()
