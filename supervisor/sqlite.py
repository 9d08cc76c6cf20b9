"""Opens SQLite files that only their owner can read: ledger, lock, jobs and index are such.

A file that is removed lives on for whoever has it open, and is lost when they end. So whoever keeps
one open looks now and then whether it is still the one at its path (`are_there`), and writes what
vanished anew (`write_anew`).
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

Inode = tuple[int, int]
"""Which file it is, whatever its name: its device, and its number there."""
Files = Mapping[Path, Inode]
"""What a database consists of."""

_BESIDE = ("-wal", "-shm")
"""Ends of the names of a database's log and of the log's index."""


def make_file(path: Path) -> Path:
    """Make a file and its folder, readable by their owner alone, where they are missing.

    One that is there is not opened: closing it would take this process's locks off it (POSIX has
    them so), and the next program that reads it and closes it would take its log away under us.

    Args:
        path: The file.

    Returns:
        Its absolute path.

    Raises:
        OSError: It cannot be made or written.
    """
    path = path.absolute()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    elif path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    elif not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return path


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """Open a database, and make what is missing of it.

    It does not commit by itself (transactions are begun in words), and may go from thread to
    thread. Readers and the writer do not stop each other (WAL); a commit is the operating system's
    when it returns, and the disk's soon after (synchronous=NORMAL).

    Args:
        path: The file; made, with its folder, where it is missing.
        schema: Statements that make the tables, if they are not there.

    Raises:
        sqlite3.Error: It is no database, or cannot be written.
        OSError: It cannot be made.
    """
    connection = sqlite3.connect(make_file(path), isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(schema)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def inode(path: Path) -> Inode | None:
    """Tell which file is at a path; None where there is none.

    Raises:
        OSError: It cannot be told.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def files_of(path: Path) -> Files:
    """The files of a database that is open: itself, its log, and the log's index.

    They stay the same for as long as it is open: SQLite makes the log with the first connection,
    and removes it with the last one.

    Args:
        path: The file. A relative one goes with the working directory, wherever that is moved.

    Raises:
        FileNotFoundError: It has vanished since it was opened.
        OSError: It cannot be told.
    """
    files = _found(path)
    if path not in files:
        raise FileNotFoundError(errno.ENOENT, "it vanished while it was opened", str(path))
    return files


def are_there(files: Files) -> bool:
    """Whether these are still the files at their paths; takes some microseconds.

    Where it cannot be told, as in a folder that was closed to us, nobody can have put others there.
    """
    look = os.stat
    try:
        for path, file in files.items():
            found = look(path)
            if (found.st_dev, found.st_ino) != file:
                return False
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def write_anew(connection: sqlite3.Connection, path: Path) -> None:
    """Write an open database to its path again, from where it, or a part of it, has vanished.

    An open connection still has all of it, committed to the log or not yet merged. Nobody ever sees
    half a file. To be called while nothing is written by any connection of this process; they
    all are to be closed afterwards and opened anew, for they have the old files open. Closing them
    removes nothing: SQLite sees that the database was moved.

    Args:
        connection: One of the open connections, in no transaction.
        path: The file; what is there now is replaced. Its folder is made, where it is missing.

    Raises:
        sqlite3.Error: It cannot be read or written.
        OSError: It cannot be made; nothing has changed then.
    """
    draft = path.with_name(f"{path.name}-new")
    draft.unlink(missing_ok=True)
    try:
        target = sqlite3.connect(make_file(draft), isolation_level=None)
        try:
            connection.backup(target)
        finally:
            target.close()
        clear_beside(path, _found(path))
        draft.replace(path)
    except (OSError, sqlite3.Error):
        draft.unlink(missing_ok=True)
        raise


def clear_beside(path: Path, files: Files) -> None:
    """Remove a database's log, and the log's index: they would be taken for the next one's.

    Args:
        path: The database.
        files: What it consisted of; others at their paths are left alone.

    Raises:
        OSError: They cannot be removed.
    """
    for one in _beside(path):
        if one in files and inode(one) == files[one]:
            one.unlink()


def _found(path: Path) -> Files:
    paths = (path, *_beside(path))
    return {one: found for one in paths if (found := inode(one)) is not None}


def _beside(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{end}") for end in _BESIDE]
