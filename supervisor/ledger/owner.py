"""One process at a time owns the key: a lock in the store that a kill gives back.

A transaction that is never ended, in a small SQLite file of its own: exclusive on every system
that SQLite runs on, and released by the operating system when the process dies, however it dies.

A file can be removed or replaced under the one who locked it, and whoever comes next locks another
one. So its owner looks once a second whether it is still there, and on Linux holds the `Place`
beside it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from supervisor.errors import StoreError
from supervisor.ledger.place import Place
from supervisor.sqlite import Inode, are_there, inode, make_file

_LOOK = 1.0
"""Seconds between two looks whether the lock's file is still there."""


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
        look: Seconds between two looks whether it is still there.
    """

    def __init__(self, path: Path, *, look: float = _LOOK) -> None:
        self._path = path
        self._look = look
        self._place = Place(path)
        self._held: sqlite3.Connection | None = None
        self._file: Inode | None = None

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

    def alone(self) -> bool:
        """Whether nobody else can have it in this moment; may be asked by any thread."""
        file = self._file
        if self._held is None or file is None:
            return False
        try:
            found = inode(self._path)
        except OSError:
            return True
        return found == file or (found is None and self._place.held)

    async def lost(self) -> str:
        """Wait until its file is not the one at its path any more, and say so.

        It is not held then: another process may have locked the new file.
        """
        file = self._file
        if file is None:
            return "it is not held"
        # Whoever removes it does not tell.
        while are_there({self._path: file}):  # noqa: ASYNC110
            await anyio.sleep(self._look)
        await anyio.to_thread.run_sync(self._forget)
        return f"its file {self._path} was removed or replaced"

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
            if not self._place.take():
                return False
            # Told before it is opened: if it is replaced in between, it is seen at the first look.
            file = inode(make_file(self._path))
            connection = sqlite3.connect(
                self._path.absolute(), timeout=0.0, isolation_level=None, check_same_thread=False
            )
        except (OSError, ValueError, sqlite3.Error) as error:
            raise self._failure(error) from error
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                self._place.leave()
                return False
            raise self._failure(error) from error
        self._held, self._file = connection, file
        return True

    def _release(self) -> None:
        self._forget()
        self._place.leave()

    def _forget(self) -> None:
        """Close the file. Where another one is at its path, that one's locks stay."""
        connection, self._held, self._file = self._held, None, None
        if connection is not None:
            connection.close()

    def _failure(self, error: Exception) -> StoreError:
        return StoreError(
            f"the store's lock {self._path} cannot be taken: {error}",
            hint="see that its folder is there and writable",
        )
