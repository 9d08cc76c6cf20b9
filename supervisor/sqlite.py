"""Opens SQLite files that only their owner can read: ledger, lock, jobs and index are such."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path


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
