"""One writer after the other: connections to one SQLite file that wait for their turn in a queue.

SQLite has one write lock, and whoever finds it taken looks again after 1, 2, 5, 10 … 100 ms. With
a handful of writers in one process most of their time goes into looking too late. Here the next
one is woken when the lock is free. Other processes' writers still meet at SQLite's own lock.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "BEGIN")
_PATIENCE = 30.0
"""Seconds after which SQLite's own lock has to do, whoever forgot to give the turn back."""


class Turn:
    """The right to write to one file; handed from connection to connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def apply(self, database: sa.Engine) -> None:
        """Let all writes of a database's connections, made by `connection`, wait for it."""
        event.listen(database, "before_cursor_execute", _before)

    def connection(self, *args: Any, **options: Any) -> Connection:
        """Make a connection; what `sqlite3.connect` takes as `factory`."""
        made = Connection(*args, **options)
        made.turn = self._lock
        return made


class Connection(sqlite3.Connection):
    """A connection that gives its turn back at the end of each transaction.

    Attributes:
        turn: What it takes before it writes.
    """

    turn: threading.Lock
    _has_turn = False

    def take_turn(self) -> None:
        """Wait for the turn; once for each transaction."""
        if not self._has_turn:
            self._has_turn = self.turn.acquire(timeout=_PATIENCE)

    def commit(self) -> None:
        """Commit, and let the next one write."""
        try:
            super().commit()
        finally:
            self._give_back()

    def rollback(self) -> None:
        """Roll back, and let the next one write."""
        try:
            super().rollback()
        finally:
            self._give_back()

    def close(self) -> None:
        """Close, which rolls back."""
        try:
            super().close()
        finally:
            self._give_back()

    def _give_back(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.turn.release()


def _before(  # noqa: PLR0917 - SQLAlchemy's
    connection: sa.Connection,
    cursor: object,
    statement: str,
    parameters: object,
    context: object,
    executemany: object,
) -> None:
    if statement.lstrip()[:7].upper().startswith(_WRITES):
        cast("Connection", connection.connection.dbapi_connection).take_turn()
