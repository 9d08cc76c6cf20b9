"""A store's place on this machine, whatever becomes of the files."""

from __future__ import annotations

import errno
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.ledger.place import Place


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a store; its folder is not there yet, nor the one above."""
    return tmp_path / "project" / "data" / "owner.sqlite"


@pytest.fixture
def place(path: Path) -> Iterator[Place]:
    """The place, taken."""
    place = Place(path)
    assert place.take()
    yield place
    place.leave()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such places")
def test_one_at_a_time(place: Place, path: Path) -> None:
    """Whatever is removed or made meanwhile, the second gets it when the first has left."""
    second = Place(path)
    assert (place.take(), second.take(), second.held) == (True, False, False)
    path.parent.mkdir()
    assert not second.take()
    shutil.rmtree(path.parent)
    assert not second.take()
    moved = path.parent.parent.rename(path.parent.parent.with_name("moved"))
    assert not Place(moved / "data" / "owner.sqlite").take()
    moved.rename(path.parent.parent)
    place.leave()
    assert (second.take(), second.held) == (True, True)
    second.leave()
    assert "not held" in repr(second)


def test_another_store_has_another_place(place: Place, path: Path) -> None:
    """Another file, and another folder, are nobody's yet."""
    for other in (path.with_name("other.sqlite"), path.parent / "data" / path.name):
        one = Place(other)
        assert one.take()
        one.leave()


def test_a_place_that_cannot_be_is_said(path: Path) -> None:
    """Where the folder above cannot be made there is an error, and nothing is held."""
    path.parent.parent.touch()
    one = Place(path)
    if sys.platform == "linux":
        with pytest.raises(OSError, match="exists"):
            one.take()
    assert not one.held


def test_where_there_are_none(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Other systems have only the file's lock."""
    monkeypatch.setattr(sys, "platform", "darwin")
    one = Place(path)
    assert (one.take(), one.held) == (True, False)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such places")
def test_where_they_are_forbidden(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """A system that refuses the name has only the file's lock, too."""

    class Refused(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EPERM, f"not {address!r}")

    monkeypatch.setattr(socket, "socket", Refused)
    one = Place(path)
    assert (one.take(), one.held) == (True, False)
