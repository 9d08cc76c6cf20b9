"""One process at a time owns the key: a lock in the store that a kill gives back.

A transaction that is never ended, in a small SQLite file of its own: exclusive on every system
that SQLite runs on, and released by the operating system when the process dies, however it dies.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from supervisor.errors import StoreError
from supervisor.sqlite import make_file


class Ownership(Protocol):
    """The lock of one store."""

    @property
    def place(self) -> str:
        """Where the lock is, for people."""
        ...

    @property
    def shared(self) -> bool:
        """Whether all processes on the key meet at it, wherever they run."""
        ...

    async def acquire_nowait(self) -> bool:
        """Take it, unless another process has it.

        Raises:
            StoreError: The store cannot be used.
        """
        ...

    async def lost(self) -> str:
        """Wait until it is gone although nobody let go of it, and say how."""
        ...

    async def release(self) -> None:
        """Let the next process have it."""
        ...


class SqliteOwnership:
    """The lock of a store in files.

    Args:
        path: The lock's file; made, with its folder, where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return (
            f"<SqliteOwnership {self._path} {'held' if self._held else 'free or another holds it'}>"
        )

    @property
    def place(self) -> str:
        """Where the lock is, for people."""
        return str(self._path)

    @property
    def shared(self) -> bool:
        """Only with those that see this file: a deploy may give each process a disk of its own."""
        return False

    async def lost(self) -> str:
        """Wait for ever: the operating system keeps it for as long as the process lives."""
        await anyio.sleep_forever()
        return ""

    async def acquire_nowait(self) -> bool:
        """Take it, unless another process has it.

        Raises:
            StoreError: The file cannot be made or is no lock.
        """
        return await anyio.to_thread.run_sync(self._acquire)

    async def release(self) -> None:
        """Let the next process have it."""
        await anyio.to_thread.run_sync(self._release)

    def _acquire(self) -> bool:
        if self._held is not None:
            return True
        try:
            connection = sqlite3.connect(
                make_file(self._path), timeout=0.0, isolation_level=None, check_same_thread=False
            )
        except (OSError, ValueError, sqlite3.Error) as error:
            raise self._failure(error) from error
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return False
            raise self._failure(error) from error
        self._held = connection
        return True

    def _release(self) -> None:
        connection, self._held = self._held, None
        if connection is not None:
            connection.close()

    def _failure(self, error: Exception) -> StoreError:
        return StoreError(
            f"the store's lock {self._path} cannot be taken: {error}",
            hint="see that its folder is there and writable",
        )
