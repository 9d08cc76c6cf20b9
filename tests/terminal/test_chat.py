"""The conversation, with keys on one side and the real doors of a small house on the other."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import httpx
import orjson
import pytest

from tests.terminal.glass import CTRL_C, CTRL_D, ENTER, ESC, talking
from tests.waiting import until
from tests.web.house import Events, House, chunk, open_house, streamed, waiting

pytestmark = pytest.mark.anyio
DONE = b"data: [DONE]\n\n"
USAGE = (
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,'
    b'"cost_in_usd_ticks":25000000}}\n\n'
)


def says(house: House, *pieces: str, usage: bool = True) -> None:
    """From now on the API answers with these pieces."""

    async def answer(request: httpx.Request) -> httpx.Response:
        events = [*map(chunk, pieces), chunk("", finish="stop")]
        return streamed(Events([*events, *([USAGE] if usage else []), DONE]))

    house.api.answer = answer


async def test_an_answer_is_shown_and_kept(tmp_path: Path) -> None:
    """A question goes out for the class chat, its answer is shown, and both are kept."""
    async with open_house() as house:
        says(house, "Hello *the", "re*\n\nSecond")
        async with talking(house, tmp_path) as talk:
            talk.glass.type("Hi" + ENTER)
            await talk.glass.sees("Second")
            talk.glass.type("/cost" + ENTER)
            await talk.glass.sees("0.0025")
            talk.glass.type(CTRL_D)
            await talk.ended.wait()
    request = house.api.seen[0]
    body = orjson.loads(request.content)
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    file = anyio.Path(tmp_path, f"{request.headers['x-grok-conv-id']}.jsonl")
    assert "Hello there" in talk.glass.text
    kept = [json.loads(line) for line in (await file.read_text()).splitlines()]
    assert kept[1]["asked"] == "Hi"
    assert kept[2]["answered"] == "Hello *there*\n\nSecond"
    assert kept[2]["usage"]["cost"] == "0.0025"
    assert (await file.stat()).st_mode & 0o777 == 0o600


async def test_what_was_said_goes_along_with_the_next_question(tmp_path: Path) -> None:
    """A conversation has a memory; /new forgets it, and /resume finds it again."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        says(house, "One.")
        talk.glass.type("first" + ENTER)
        await talk.glass.sees("One.")
        says(house, "Two.")
        talk.glass.type("second" + ENTER)
        await talk.glass.sees("Two.")
        talk.glass.type("/new" + ENTER)
        await talk.glass.sees(" begins")
        says(house, "Three.")
        talk.glass.type("third" + ENTER)
        await talk.glass.sees("Three.")
        old = (await talk.sessions.latest())[1].id
        talk.glass.type("/resume" + ENTER)
        await talk.glass.sees("first question")
        talk.glass.type(f"/resume {old}" + ENTER)
        await talk.glass.sees("2 answers so far")
        talk.glass.type("fourth" + ENTER)
        await until(lambda: len(house.api.seen) == 4)
    asked = [orjson.loads(request.content)["messages"] for request in house.api.seen]
    assert [one["content"] for one in asked[1]] == ["first", "One.", "second"]
    assert [one["content"] for one in asked[2]] == ["third"]
    assert [one["content"] for one in asked[3]] == ["first", "One.", "second", "Two.", "fourth"]


@pytest.mark.parametrize("key", [CTRL_C, ESC])
async def test_only_the_answer_is_stopped(tmp_path: Path, key: str) -> None:
    """Ctrl-C and Esc end the answer: what was said stays, marked, and the talk goes on."""
    events = Events([chunk("Once upon\n\n"), chunk("a time"), DONE], held_after=1)
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.api.stream(events)
        talk.glass.type("tell" + ENTER)
        await talk.glass.sees("Once upon")
        talk.glass.type(key)
        await talk.glass.sees("stopped")
        await events.closed.wait()
        says(house, "Still here.")
        talk.glass.type("there?" + ENTER)
        await talk.glass.sees("Still here.")
        # It is on the screen before it is saved; who leaves has saved it.
        talk.glass.type(CTRL_D)
        await talk.ended.wait()
        (session,) = await talk.sessions.latest()
    assert [(one.answer.strip(), one.cut) for one in session.exchanges] == [
        ("Once upon", "stopped"),
        ("Still here.", ""),
    ]


async def test_a_waiting_question_tells_why_and_leaves_when_stopped(tmp_path: Path) -> None:
    """While it is queued its place is shown; Ctrl-C frees the place and gives the text back."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.broker.pause("lunch")
        talk.glass.type("hungry?" + ENTER)
        await talk.glass.sees("waiting: first in line; sending is paused by hand")
        assert waiting(house, "chat") == 1
        talk.glass.forget()
        talk.glass.type(CTRL_C)
        await until(lambda: not waiting(house, "chat"))
        await talk.glass.sees("> hungry?")
        house.broker.resume()
        says(house, "Not any more.")
        talk.glass.type(ENTER)
        await talk.glass.sees("Not any more.")
    assert len(house.api.seen) == 1


async def test_what_is_typed_ahead_is_asked_next_or_kept(tmp_path: Path) -> None:
    """A line ended with Enter during an answer is asked after it; one begun is the next draft."""
    gate = Events([chunk("One."), chunk("", finish="stop"), DONE], held_after=1)
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.api.stream(gate)
        talk.glass.type("first" + ENTER)
        await until(lambda: house.api.seen)
        talk.glass.type("second" + ENTER + "thi")
        await talk.glass.sees("> thi · 1 to be asked next")
        says(house, "Two.")
        gate.go_on.set()
        await talk.glass.sees("Two.")
        says(house, "Three.")
        talk.glass.type("rd" + ENTER)
        await talk.glass.sees("Three.")
    last = [orjson.loads(request.content)["messages"][-1]["content"] for request in house.api.seen]
    assert last == ["first", "second", "third"]


async def test_stopping_keeps_what_was_typed_ahead(tmp_path: Path) -> None:
    """Whoever stops an answer gets all that he typed meanwhile back, and nothing of it is sent."""
    gate = Events([chunk("One."), DONE], held_after=1)
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.api.stream(gate)
        talk.glass.type("first" + ENTER)
        await until(lambda: house.api.seen)
        talk.glass.type("\x1b[200~a\rb\x1b[201~" + ENTER + "cx\x7f")
        await talk.glass.sees("> c")
        talk.glass.forget()
        talk.glass.type(CTRL_C)
        await talk.glass.sees("> a\n  b\n  c")
    assert len(house.api.seen) == 1


@pytest.mark.parametrize("plain", [False, True])
async def test_an_answer_can_do_nothing_to_the_terminal(tmp_path: Path, plain: bool) -> None:  # noqa: FBT001
    """Escape sequences in an answer are not shown, however they are cut into pieces."""
    async with open_house() as house, talking(house, tmp_path, plain=plain) as talk:
        says(house, "red \x1b[3", "1mrose\x1b]0;own", "ed\x07 \x9b2J\u202egone", " end")
        talk.glass.forget()
        talk.glass.type("hi" + ENTER)
        await talk.glass.sees("end")
    assert "red rose gone end" in " ".join(talk.glass.text.split())
    assert not {"\x1b[31m", "\x1b]0", "\x9b", "\u202e"} & {*_found(talk.glass.raw)}


def _found(raw: str) -> list[str]:
    return [mark for mark in ("\x1b[31m", "\x1b]0", "\x9b", "\u202e") if mark in raw]


async def test_a_broken_answer_is_told_and_kept(tmp_path: Path) -> None:
    """An answer that breaks off is shown as far as it came, with the reason; the talk goes on."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.api.stream(Events([chunk("Half of\n\n")]))
        talk.glass.type("tell" + ENTER)
        await talk.glass.sees("error: ")
        assert "Half of" in talk.glass.text
        says(house, "Whole.")
        talk.glass.type("again" + ENTER)
        await talk.glass.sees("Whole.")
        talk.glass.type(CTRL_D)
        await talk.ended.wait()
        (session,) = await talk.sessions.latest()
    assert session.exchanges[0].answer.strip() == "Half of"
    assert session.exchanges[0].cut
    assert not session.exchanges[1].cut


async def test_a_refused_question_comes_back_to_the_line(tmp_path: Path) -> None:
    """A question that the API refuses is not lost: it is the next line's draft."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.api.refuse(400, {"code": "invalid-argument", "error": "no such thing"})
        talk.glass.type("odd" + ENTER)
        await talk.glass.sees("error: no such thing")
        says(house, "Fine.")
        await talk.glass.sees("no such thing\n> odd")
        talk.glass.type(ENTER)
        await talk.glass.sees("Fine.")


async def test_an_answer_of_nothing_is_told(tmp_path: Path) -> None:
    """An empty answer, and one that was ended early, are said to be so."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.api.stream(Events([chunk("", finish="stop"), DONE]))
        talk.glass.type("hm" + ENTER)
        await talk.glass.sees("the answer is empty: stop")
        house.api.stream(Events([chunk("So"), chunk("", finish="length"), DONE]))
        talk.glass.type("and" + ENTER)
        await talk.glass.sees("the answer ended early: length")


async def test_commands_show_the_house(tmp_path: Path) -> None:
    """Each command shows its part of the house; an unknown one says what was meant."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.api.refuse(200, {"data": [{"id": "grok-4.7"}, {"id": "grok-4.6"}]})
        for line, expected in (
            ("/help", "Alt-Enter"),
            ("/status", "version 1.2.3"),
            ("/queue", "open, 0 waiting"),
            ("/roles", "does quality"),
            ("/jobs", "there are no jobs"),
            ("/model", "* grok-4.7\n  grok-4.6"),
            ("/model grok-4.6", "asking grok-4.6 from now on"),
            ("/model grok-4.60", "did you mean grok-4.6?"),
            ("/cost", "this session"),
            ("/resume", "there are no sessions yet"),
            ("/resume nothing", 'no session is called "nothing"'),
            ("/statsu", "did you mean /status?"),
            ("/xai-not-a-real-key", "no command is called /xai-***"),
            ("/ask", 'expected /ask ROLE TEXT, got: "/ask"; there are: quality, code'),
            ("/ask nobody x", 'no role is called "nobody"'),
        ):
            talk.glass.forget()
            talk.glass.type(line + ENTER)
            await talk.glass.sees(expected)
        talk.glass.type("/quit" + ENTER)
        await talk.ended.wait()


async def test_a_job_is_handed_in_and_its_result_shown(tmp_path: Path) -> None:
    """/ask gives a job to a role and shows what comes out; /jobs shows it again."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        talk.glass.type('/ask quality {"diff": "x"}' + ENTER)
        await until(lambda: house.jobs.watchers)
        house.jobs.finish("j1", {"findings": ["none"], "passed": False})
        await talk.glass.sees('"findings"')
        await talk.glass.sees('job j1 is done, but its result says "passed": false')
        talk.glass.type("/ask code do it" + ENTER)
        await until(lambda: house.jobs.watchers)
        house.jobs.finish("j2", None, error="JobFailed: no")
        await talk.glass.sees("job j2 failed: JobFailed: no")
        talk.glass.forget()
        talk.glass.type("/jobs j1" + ENTER)
        await talk.glass.sees('"findings"')
        talk.glass.type("/jobs" + ENTER)
        await talk.glass.sees("j2  code")
    assert house.jobs.kept["j1"].input == {"diff": "x"}
    assert house.jobs.kept["j2"].input == "do it"


async def test_a_job_goes_on_without_its_watcher(tmp_path: Path) -> None:
    """Ctrl-C leaves a job running, and says so."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        talk.glass.type("/ask quality some text" + ENTER)
        await until(lambda: house.jobs.watchers)
        talk.glass.type(CTRL_C)
        await talk.glass.sees("job j1 goes on; /jobs j1 shows it")
        await until(lambda: not house.jobs.watchers)
        talk.glass.type("/jobs j1" + ENTER)
        await talk.glass.sees("job j1 is queued")


async def test_words_are_completed(tmp_path: Path) -> None:
    """Commands, roles, models and sessions are offered after a slash."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.api.refuse(200, {"data": [{"id": "grok-4.6"}]})
        for typed, offered in (
            ("/he", "this list"),
            ("/ask qu", "quality"),
            ("/model g", "grok-4.6"),
        ):
            talk.glass.forget()
            talk.glass.type(typed)
            await talk.glass.sees(offered)
            talk.glass.type(CTRL_C)


async def test_lines_are_edited_and_recalled(tmp_path: Path) -> None:
    """Alt-Enter parts lines; Ctrl-C empties the line, which Up recalls; a second one leaves."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        says(house, "Yes.")
        talk.glass.type("one" + ESC + ENTER + "two" + CTRL_C + "/queue" + ENTER)
        await talk.glass.sees("0 waiting\n>")
        talk.glass.type("\x1b[A\x1b[A" + ENTER)
        await talk.glass.sees("Yes.")
        talk.glass.type(CTRL_C)
        await talk.glass.sees("Ctrl-C again")
        talk.glass.type(CTRL_C)
        await talk.ended.wait()
    assert orjson.loads(house.api.seen[0].content)["messages"][0]["content"] == "one\ntwo"


async def test_a_session_goes_on_where_it_was(tmp_path: Path) -> None:
    """A session that is gone on with shows what was said last, and recalls what was asked."""
    async with open_house() as house:
        says(house, "One.")
        async with talking(house, tmp_path) as talk:
            talk.glass.type("first" + ENTER)
            await talk.glass.sees("One.")
            talk.glass.type(CTRL_D)
            await talk.ended.wait()
            session = await talk.sessions.newest()
        async with talking(house, tmp_path, session=session) as talk:
            await talk.glass.sees("1 answers so far\n> first\nOne.")
            talk.glass.type("\x1b[A" + ENTER)
            await until(lambda: len(house.api.seen) == 2)
    asked = orjson.loads(house.api.seen[1].content)["messages"]
    assert [one["content"] for one in asked] == ["first", "One.", "first"]


async def test_a_closed_terminal_ends_the_talk(tmp_path: Path) -> None:
    """When the terminal goes away in the middle of an answer, the question's place is freed."""
    async with open_house() as house, talking(house, tmp_path) as talk:
        house.broker.pause("lunch")
        talk.glass.type("hungry?" + ENTER)
        await until(lambda: waiting(house, "chat"))
        talk.glass.keys.close()
        await talk.ended.wait()
        await until(lambda: not waiting(house, "chat"))


async def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    """A conversation that cannot be kept goes on all the same, and says so once."""
    blocked = tmp_path / "file"
    blocked.touch()
    async with open_house() as house, talking(house, blocked) as talk:
        says(house, "One.")
        talk.glass.type("first" + ENTER)
        await talk.glass.sees("One.")
        says(house, "Two.")
        talk.glass.type("second" + ENTER)
        await talk.glass.sees("Two.")
    assert talk.glass.text.count("cannot be written") == 1


async def test_somebody_at_a_terminal_is_noticed(tmp_path: Path) -> None:
    """The house is told that somebody is there, so that it can keep room free."""
    async with open_house() as house, talking(house, tmp_path):
        await until(lambda: house.present == [True])
