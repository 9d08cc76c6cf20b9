"""Where conversations are kept."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from supervisor.errors import ConfigError, StoreError
from supervisor.messages import Cost, Usage
from supervisor.terminal.session import Exchange, Session, read_session
from supervisor.terminal.sessions import Sessions

pytestmark = pytest.mark.anyio
USAGE = Usage(3, 2, 1, 1, Decimal("0.0000105"))


async def spoken(sessions: Sessions, *questions: str) -> Session:
    """A session with some questions, all answered."""
    session = sessions.new(person="ann", model="grok-4.7")
    for question in questions:
        await sessions.asked(session, question)
        exchange = Exchange(question=question, answer=f"re: {question}", usage=USAGE, at=5.0)
        await sessions.answered(session, exchange)
    return session


async def test_a_session_reads_as_it_was_written(tmp_path: Path) -> None:
    """What was kept comes back the same, costs included."""
    sessions = Sessions(tmp_path / "chat")
    session = await spoken(sessions, "one", "two\nlines \ud800")
    found = await sessions.find(session.id)
    assert found == session
    assert found.cost == Cost(2, 12, Decimal("0.0000210"))
    assert found.title == "one"
    assert (tmp_path / "chat").stat().st_mode & 0o777 == 0o700


async def test_nothing_is_written_before_the_first_question(tmp_path: Path) -> None:
    """Who only looks leaves no file behind."""
    sessions = Sessions(tmp_path / "chat")
    session = sessions.new(person="ann", model="m")
    assert session.is_empty
    assert not (tmp_path / "chat").exists()
    assert await sessions.newest() is None


async def test_an_unanswered_question_is_pending(tmp_path: Path) -> None:
    """A question is on disk before it is sent; without an answer it is nobody's message."""
    sessions = Sessions(tmp_path)
    session = await spoken(sessions, "one")
    session.model = "grok-4.6"
    await sessions.asked(session, "two")
    found = await sessions.find(session.id)
    assert (found.pending, found.model) == ("two", "grok-4.6")
    assert [one["content"] for one in found.messages("three")] == ["one", "re: one", "three"]


async def test_a_torn_line_spoils_nothing(tmp_path: Path) -> None:
    """Half a line that a crash left behind is passed over, and what comes after it is kept."""
    sessions = Sessions(tmp_path)
    session = await spoken(sessions, "one")
    file = anyio.Path(tmp_path, f"{session.id}.jsonl")
    await file.write_text(await file.read_text() + '{"asked": "tor')
    await sessions.asked(session, "two")
    found = await sessions.find(session.id)
    assert (len(found.exchanges), found.pending) == (1, "two")


@pytest.mark.parametrize(
    "line",
    [
        '"text"',
        "[]",
        '{"answered": 1, "usage": {"prompt": "x", "cost": "much"}, "at": "now"}',
        "{}",
    ],
)
def test_strange_lines_are_read_as_far_as_they_go(line: str) -> None:
    """A file that somebody has edited is no reason to fail."""
    head = json.dumps({"session": "s", "started": None})
    session = read_session([line, head, line])
    assert session is not None
    assert session.id == "s"
    assert read_session([line]) is None


async def test_the_last_used_comes_first(tmp_path: Path) -> None:
    """Sessions are listed by when they were gone on with; the newest is the first of them."""
    sessions = Sessions(tmp_path)
    old, new = await spoken(sessions, "old"), await spoken(sessions, "new")
    for number, session in enumerate((new, old)):
        os.utime(tmp_path / f"{session.id}.jsonl", (number, number))
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "notes.txt").touch()
    assert [one.id for one in await sessions.latest()] == [old.id, new.id]
    assert [one.id for one in await sessions.latest(limit=1)] == [old.id]
    assert await sessions.newest() == old
    assert await sessions.questions() == ["new", "old"]


async def test_a_session_is_found_by_its_beginning(tmp_path: Path) -> None:
    """An id may be shortened as long as it means one session."""
    sessions = Sessions(tmp_path)
    one, _ = await spoken(sessions, "one"), await spoken(sessions, "other")
    assert await sessions.find(one.id[:-1]) == one
    with pytest.raises(ConfigError, match="expected the id of one session"):
        await sessions.find(one.id[:4])
    with pytest.raises(ConfigError, match='no session is called ""'):
        await sessions.find("")
    with pytest.raises(ConfigError, match="no session is called"):
        await sessions.find("../x")


async def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    """A session that cannot be written says where and why."""
    blocked = tmp_path / "file"
    blocked.touch()
    sessions = Sessions(blocked)
    with pytest.raises(StoreError, match=f"cannot be written to {blocked}"):
        await sessions.asked(sessions.new(person="ann", model="m"), "one")
    assert await sessions.newest() is None
