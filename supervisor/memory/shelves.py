"""The tables of the index, and every statement that reads or changes them.

FTS5 finds passages by words, stemmed; names count three times. Identifiers are indexed whole and
in parts, so that `parse_request` is found by "parse request" and the other way round.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from supervisor.memory.folder import File
from supervisor.memory.passages import cut, words
from supervisor.memory.words import Document, Hit, Source
from supervisor.sqlite import connect

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sources (path TEXT PRIMARY KEY, updated REAL NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,
    changed INTEGER NOT NULL, digest TEXT NOT NULL, description TEXT, UNIQUE (source, path)
);
CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS passages_document ON passages (document);
CREATE VIRTUAL TABLE IF NOT EXISTS found USING fts5
    (name, path, words, description, tokenize = "porter unicode61");
"""
_FIND = """
SELECT d.source, d.path, p.start, p."end", p.name, p.text, -bm25(found, 3.0, 1.0, 1.0, 1.0) AS score
FROM found JOIN passages p ON p.id = found.rowid JOIN documents d ON d.id = p.document
WHERE found MATCH :words AND (:source = '' OR d.source = :source)
ORDER BY score DESC, d.path, p.start LIMIT :limit
"""
_SOURCES = """
SELECT s.path, count(d.id),
    (SELECT count(*) FROM passages p JOIN documents o ON o.id = p.document WHERE o.source = s.path),
    count(d.description), s.updated
FROM sources s LEFT JOIN documents d ON d.source = s.path GROUP BY s.path ORDER BY s.path
"""
_FORGET = (
    "DELETE FROM found WHERE rowid IN"
    " (SELECT p.id FROM passages p JOIN documents d ON d.id = p.document WHERE d.source = ?)",
    "DELETE FROM passages WHERE document IN (SELECT id FROM documents WHERE source = ?)",
    "DELETE FROM documents WHERE source = ?",
)
_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 64


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when it was indexed."""

    id: int
    size: int
    changed: int
    digest: str


def open_index(path: Path) -> sqlite3.Connection:
    """Open the index, and make what is missing.

    Args:
        path: The file.

    Raises:
        sqlite3.Error: It is no index, or cannot be written.
        OSError: It cannot be made.
    """
    return connect(path, _SCHEMA)


def known(connection: sqlite3.Connection, source: str) -> dict[str, Known]:
    """The indexed files of a folder, by path."""
    statement = "SELECT path, id, size, changed, digest FROM documents WHERE source = ?"
    return {path: Known(*rest) for path, *rest in connection.execute(statement, (source,))}


def put(connection: sqlite3.Connection, source: str, *, file: File, text: str) -> None:
    """Index a file, in the place of what was known of it; its description goes."""
    take_out(connection, source, path=file.path)
    cursor = connection.execute(
        "INSERT INTO documents (source, path, size, changed, digest) VALUES (?,?,?,?,?)",
        (source, file.path, file.size, file.changed, digest_of(text)),
    )
    document, path_words = cursor.lastrowid, words(file.path)
    for passage in cut(file.path, text):
        added = connection.execute(
            'INSERT INTO passages (document, start, "end", name, text) VALUES (?,?,?,?,?)',
            (document, passage.start, passage.end, passage.name, passage.text),
        )
        connection.execute(
            "INSERT INTO found (rowid, name, path, words, description) VALUES (?,?,?,?,'')",
            (added.lastrowid, words(passage.name), path_words, words(passage.text)),
        )


def touch(connection: sqlite3.Connection, document: int, file: File) -> None:
    """Note that a file's time has changed and its content has not."""
    connection.execute(
        "UPDATE documents SET size = ?, changed = ? WHERE id = ?",
        (file.size, file.changed, document),
    )


def take_out(connection: sqlite3.Connection, source: str, *, path: str) -> None:
    """Forget a file."""
    row = connection.execute(
        "SELECT id FROM documents WHERE source = ? AND path = ?", (source, path)
    ).fetchone()
    if row is None:
        return
    connection.execute(
        "DELETE FROM found WHERE rowid IN (SELECT id FROM passages WHERE document = ?)", row
    )
    connection.execute("DELETE FROM passages WHERE document = ?", row)
    connection.execute("DELETE FROM documents WHERE id = ?", row)


def looked_at(connection: sqlite3.Connection, source: str, *, now: float) -> None:
    """Note when a folder was gone through, in Unix seconds."""
    connection.execute("INSERT OR REPLACE INTO sources VALUES (?,?)", (source, now))


def forget(connection: sqlite3.Connection, source: str) -> bool:
    """Forget a folder, wholly or not at all; tells whether it was known."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for statement in _FORGET:
            connection.execute(statement, (source,))
        return connection.execute("DELETE FROM sources WHERE path = ?", (source,)).rowcount > 0


def sources(connection: sqlite3.Connection) -> list[Source]:
    """The indexed folders, by path."""
    return [Source(*row) for row in connection.execute(_SOURCES)]


def search(connection: sqlite3.Connection, query: str, *, source: str, limit: int) -> list[Hit]:
    """Find passages, best first; see `Index.search`."""
    spelled = question(query)
    if not spelled or limit < 1:
        return []
    values = {"words": spelled, "source": source, "limit": limit}
    return [Hit(*row) for row in connection.execute(_FIND, values)]


def question(query: str) -> str:
    """A query in FTS5's language: any of its words, each quoted, so that nothing is syntax."""
    found = dict.fromkeys(word.lower() for word in _WORD.findall(words(query)))
    return " OR ".join(f'"{word}"' for word in list(found)[:_MOST_WORDS])


def undescribed(
    connection: sqlite3.Connection, source: str, *, limit: int
) -> list[tuple[str, str]]:
    """Path and digest of files that have no description as they are now."""
    return connection.execute(
        "SELECT path, digest FROM documents d WHERE source = ? AND description IS NULL"
        # A file that says nothing needs no description.
        " AND EXISTS (SELECT 1 FROM passages p WHERE p.document = d.id)"
        " ORDER BY path LIMIT ?",
        (source, limit),
    ).fetchall()


def describe(connection: sqlite3.Connection, document: Document, text: str) -> None:
    """Keep a description, unless the file has changed since it was read."""
    row = connection.execute(
        "UPDATE documents SET description = ? WHERE source = ? AND path = ? AND digest = ?"
        " RETURNING id",
        (text, document.source, document.path, document.digest),
    ).fetchone()
    if row is not None:
        # At the first passage only: the file is to be found by it, not each of its parts.
        connection.execute(
            "UPDATE found SET description = ? WHERE rowid ="
            " (SELECT min(id) FROM passages WHERE document = ?)",
            (words(text), row[0]),
        )


def counts(connection: sqlite3.Connection, source: str) -> Sequence[int]:
    """How many files and passages of a folder are indexed."""
    row: tuple[int, int] = connection.execute(
        "SELECT count(DISTINCT d.id), count(p.id) FROM documents d"
        " LEFT JOIN passages p ON p.document = d.id WHERE d.source = ?",
        (source,),
    ).fetchone()
    return row


def digest_of(text: str) -> str:
    """Sums a file's text up."""
    return sha256(text.encode()).hexdigest()[:32]
