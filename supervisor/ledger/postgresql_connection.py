"""A connection to a PostgreSQL server, which may swallow what it is asked instead of refusing."""

from __future__ import annotations

from typing import Any

import psycopg

from supervisor.errors import StoreError

CONNECT = 10
"""Seconds to connect."""
KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""So that the system notices too when the server's machine is gone without a word: idle, or with
something on its way, in milliseconds."""

Session = tuple[Any, ...]
"""One connection as the server knows it: its process, and when that began."""
WHICH = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
WATCH = """
SELECT set_config(name, value, false) FROM pg_settings JOIN (VALUES
    ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'),
    ('tcp_user_timeout', '10000')) AS wanted (name, value) USING (name)
"""
"""So that the server notices when this machine is gone without a word, and lets others have what
this one has locked: of itself it would take two hours."""


class Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """Hangs up at once when whoever waits for an answer is cancelled, as by a time-out."""

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Hang up; psycopg calls it before it waits for the end of what was cancelled.

        It would ask the server, on another connection, and then wait for the answer: ten seconds
        more where the server is silent.
        """
        self.pgconn.finish()


async def connect(url: str) -> Connection:
    """Connect; each statement is a transaction of its own, unless one is begun.

    Args:
        url: `postgresql://USER:PASSWORD@HOST/NAME`.

    Raises:
        psycopg.Error: The server cannot be reached, or lets this user not in.
        OSError: Likewise.
    """
    return await Connection.connect(url, autocommit=True, connect_timeout=CONNECT, **KEEPALIVES)


async def begin(connection: Connection, *, after: Session | None) -> tuple[Session, bool]:
    """Be known to the server, and have it end an earlier session that may have been cut off.

    That one would keep what it has locked: nobody at the other end can say that it is over.

    Args:
        connection: A new connection.
        after: The earlier session of the same user, if there was one.

    Returns:
        The session; and whether the earlier one was still there: it ends in a moment.

    Raises:
        psycopg.Error: The connection is lost.
    """
    ended = after is not None and (await connection.execute(END, after)).rowcount > 0
    await connection.execute(WATCH)
    session = await (await connection.execute(WHICH)).fetchone()
    return session or (0, None), ended


def failure(error: BaseException) -> StoreError:
    """What whoever waits is told, without the connection's parameters.

    Args:
        error: What psycopg or the system says, or this has said.
    """
    if isinstance(error, StoreError):
        return StoreError(error.message, hint=error.hint)
    # Its first line only: the rest may hold the connection's parameters.
    reason = str(error).partition("\n")[0]
    if not reason:
        silent = isinstance(error, TimeoutError)
        reason = "it does not answer" if silent else type(error).__name__
    return StoreError(
        f"the ledger on PostgreSQL failed: {reason}",
        hint="see that the server of store.url is there and lets this user make tables",
    )
