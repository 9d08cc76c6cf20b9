"""Files of a database that vanish while it is open, and how it gets others."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from shutil import rmtree

import pytest

from supervisor.sqlite import are_there, connect, files_of, inode, write_anew

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "new" / "words.sqlite"


@pytest.fixture
def opened(file: Path) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Opens it; all are closed at the end."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(connect(file, SCHEMA)))


def words(connection: sqlite3.Connection) -> list[str]:
    """All there are."""
    return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "removed"])
def test_it_is_seen_when_one_is_not_there(
    file: Path, opened: Callable[[], sqlite3.Connection], end: str, *, replaced: bool
) -> None:
    """Each file of an open database counts, and another one in its place is not it."""
    opened()
    files = files_of(file)
    assert (len(files), are_there(files)) == (3, True)
    one = file.with_name(f"{file.name}{end}")
    kept = one.rename(file.with_name("elsewhere"))
    if replaced:
        one.touch()
    assert not are_there(files)
    kept.replace(one)
    assert are_there(files)


def test_what_cannot_be_seen_counts_as_there(tmp_path: Path, file: Path) -> None:
    """Nobody can have put another file where we cannot look; where there is no folder is none."""
    unseen = tmp_path / ("x" * 300)
    assert are_there({unseen: (0, 0)})
    with pytest.raises(OSError, match="too long"):
        inode(unseen)
    assert inode(file / "deeper") is None


def test_an_open_database_is_written_anew(
    file: Path, opened: Callable[[], sqlite3.Connection]
) -> None:
    """It has all that was committed; the old connections take nothing from the new ones."""
    one, two = opened(), opened()
    one.execute("INSERT INTO words VALUES ('merged')")
    one.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    two.execute("INSERT INTO words VALUES ('logged')")
    rmtree(file.parent)
    write_anew(two, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    new = opened()
    new.execute("INSERT INTO words VALUES ('new')")
    files = files_of(file)
    one.close()
    two.close()
    assert are_there(files)
    assert words(new) == words(opened()) == ["logged", "merged", "new"]


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_a_log_without_its_database_is_not_taken_for_the_new_ones(
    file: Path, opened: Callable[[], sqlite3.Connection], end: str
) -> None:
    """Whichever of the files is gone, what is left of the others is not mixed with the new."""
    one = opened()
    one.execute("INSERT INTO words VALUES ('a')")
    file.with_name(f"{file.name}{end}").unlink()
    one.execute("INSERT INTO words VALUES ('b')")
    write_anew(one, file)
    one.close()
    assert words(opened()) == ["a", "b"]


def test_what_cannot_be_written_leaves_nothing_behind(
    file: Path, opened: Callable[[], sqlite3.Connection]
) -> None:
    """Where something is in the way nothing changes, and no half file stays."""
    one = opened()
    rmtree(file.parent)
    file.mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_anew(one, file)
    assert list(file.parent.iterdir()) == [file]
    file.rmdir()
    write_anew(one, file)
    assert words(opened()) == []


def test_files_that_vanished_while_they_were_opened_are_said(tmp_path: Path) -> None:
    """Nothing would be there to be looked for: it would never be noticed."""
    with pytest.raises(FileNotFoundError, match="vanished while it was opened"):
        files_of(tmp_path / "gone.sqlite")
