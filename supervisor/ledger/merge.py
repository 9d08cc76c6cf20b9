"""Carries what one SQLite ledger knows over into another that has taken its place.

An operator has put a copy of before in its place, or another process has made a new one. What is
open is the newer truth: each of its attempts replaces what the other file says of it, and those
that the other one lacks are added. Of the sums the larger counts: they only grow, so a copy's are
exceeded, and where two processes have added to one hour it is a little too little. What is reserved
may be too much: the safe side. Attempts of before `since` stay behind; no window is as long.
"""

from __future__ import annotations

import sqlite3

from supervisor.ledger import rows
from supervisor.ledger.attempt import Attempt, Settlement

_HOUR = ("hour", "class", "model")
_ENDED = Settlement(0, "", None, 0.0, 0)


def carry_over(old: sqlite3.Connection, new: sqlite3.Connection, *, since: float) -> rows.Numbering:
    """Write into another ledger what this one knows, in one transaction.

    Args:
        old: A ledger's connection; its file may be gone.
        new: One to the other file, which has the same columns.
        since: Unix time; attempts granted before it stay behind.

    Returns:
        The numbers in the other file: all attempts of the old one are its own, and those that only
        the other file has are another process's, to be told as its news.

    Raises:
        sqlite3.Error: It cannot be read or written; nothing has changed then.
    """
    numbering = rows.Numbering()
    numbering.go_on(0)
    with new:
        new.execute("BEGIN IMMEDIATE")
        known = old.execute("SELECT granted, id FROM attempts WHERE granted >= ?", (since,))
        new.executemany("DELETE FROM attempts WHERE granted = ? AND id = ?", known)
        numbering.go_on(last_number(new))
        names = ", ".join(name for name in _columns(old, "attempts") if name != "seq")
        marks = ", ".join("?" for _ in names.split(", "))
        found = old.execute(
            f"SELECT id, ended, {names} FROM attempts WHERE granted >= ? ORDER BY seq", (since,)
        )
        while chunk := found.fetchmany(rows.CHUNK):
            new.executemany(
                f"INSERT INTO attempts ({names}) VALUES ({marks})", [row[2:] for row in chunk]
            )
            attempts = [Attempt(row[0], "", "", "", 0.0, 0.0, 0) for row in chunk]
            ended = [one for one, row in zip(attempts, chunk, strict=True) if row[1] is not None]
            numbering.written(attempts, [(one, _ENDED) for one in ended])
        _carry_sums(old, new)
    return numbering


def last_number(connection: sqlite3.Connection) -> int:
    """The last number that was given to an attempt; 0 for none."""
    (last,) = connection.execute("SELECT max(seq) FROM attempts").fetchone()
    return last or 0


def _carry_sums(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    names = _columns(old, "hours")
    sums = ", ".join(f"{one}=max(h.{one}, excluded.{one})" for one in names if one not in _HOUR)
    new.executemany(
        f"INSERT INTO hours AS h ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)})"
        f" ON CONFLICT ({', '.join(_HOUR)}) DO UPDATE SET {sums}",
        old.execute(f"SELECT {', '.join(names)} FROM hours"),
    )


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [
        name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    ]
