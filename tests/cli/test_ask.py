"""One question out of a script: what is printed where, and what the exit code says."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import orjson
import pytest

from tests.cli.commands import command
from tests.waiting import until
from tests.web.house import (
    Events,
    House,
    beside,
    chunk,
    open_house,
    served,
    settings_of,
    waiting,
)

pytestmark = pytest.mark.anyio
Capture = pytest.CaptureFixture[str]
DONE = b"data: [DONE]\n\n"


class Screen(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _nothing_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Screen())


def asked(house: House, number: int = 0) -> list[dict[str, str]]:
    """The messages of a request that reached the API."""
    messages: list[dict[str, str]] = orjson.loads(house.api.seen[number].content)["messages"]
    return messages


async def test_the_answer_is_all_that_is_on_stdout(capsys: Capture) -> None:
    """`ask` prints the answer and a line feed; the request counts for the class chat."""
    async with open_house() as house, served(house) as port:
        result = await command(capsys, port, "ask", "say", "hi")
        classes = house.broker.snapshot().classes
    assert (result.code, result.out, result.err) == (0, "Hello\n", "")
    assert asked(house) == [{"role": "user", "content": "say hi"}]
    assert [one.name for one in classes if one.since_start.requests] == ["chat"]


@pytest.mark.parametrize(
    ("words", "piped", "question"),
    [
        (("chat", "-p", "sum up"), "the text\n", "sum up\n\nthe text\n"),
        (("chat",), "all of it", "all of it"),
        (("ask", "sum up"), "", "sum up"),
        (("chat", "-p", "-x, is that an option?"), "", "-x, is that an option?"),
        (("ask", "look"), "\x1b[31mred\x1b[0m", "look\n\nred"),
    ],
)
async def test_stdin_stands_behind_the_question(
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    piped: str,
    question: str,
) -> None:
    """What is piped in is context for the question, or is the question."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(piped))
    async with open_house() as house, served(house) as port:
        result = await command(capsys, port, *words)
    assert result.code == 0
    assert asked(house)[0]["content"] == question


async def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question beside a silent pipe is asked without it, after a moment."""
    monkeypatch.setattr("supervisor.cli.question._PATIENCE", 0.01)
    reader, writer = os.pipe()
    with os.fdopen(reader) as silent:
        monkeypatch.setattr(sys, "stdin", silent)
        async with open_house() as house, served(house) as port:
            result = await command(capsys, port, "ask", "hi")
    os.close(writer)
    assert (result.code, result.out) == (0, "Hello\n")
    assert "nothing came on stdin" in result.err


async def test_json_is_one_document(capsys: Capture) -> None:
    """With --output-format json the answer is one document, harmless to a terminal."""
    usage = (
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,'
        b'"total_tokens":5,"cost_in_usd_ticks":25000000}}\n\n'
    )
    events = [chunk("a\x9b2J\x1b[31m é"), chunk("", finish="stop"), usage, DONE]
    async with open_house() as house, served(house) as port:
        house.api.stream(Events(events))
        result = await command(capsys, port, "ask", "hi", "--output-format", "json")
    document = json.loads(result.out)
    assert document["text"] == "a\x9b2J\x1b[31m é"
    assert (document["finish_reason"], document["whole"]) == ("stop", True)
    assert document["usage"]["cost_usd"] == 0.0025
    assert "\x9b" not in result.out
    assert "\x1b" not in result.out
    assert "é" in result.out


async def test_streaming_json_is_a_document_a_line(capsys: Capture) -> None:
    """Pieces come as they are, the last line tells how it ended; an error is a line too."""
    async with open_house() as house, served(house) as port:
        good = await command(capsys, port, "ask", "hi", "--output-format", "streaming-json")
        half = b'data: {"choices":[{"delta":{"content":"Half \\ud83d"}}]}\n\n'
        house.api.stream(Events([half]))
        bad = await command(capsys, port, "ask", "hi", "--output-format", "streaming-json")
    lines = [json.loads(line) for line in good.out.splitlines()]
    assert [line["type"] for line in lines] == ["text", "text", "answer"]
    assert lines[0]["text"] + lines[1]["text"] == "Hello"
    assert "text" not in lines[2]
    assert bad.code == 1
    assert [json.loads(line)["type"] for line in bad.out.splitlines()] == ["text", "error"]


async def test_a_broken_answer_is_printed_as_far_as_it_came(capsys: Capture) -> None:
    """What there is of an answer goes to stdout, why it is not whole to stderr, and 1 is it."""
    async with open_house() as house, served(house) as port:
        house.api.stream(Events([chunk("Half of")]))
        lost = await command(capsys, port, "ask", "hi")
        house.api.stream(Events([chunk("So"), chunk("", finish="length"), DONE]))
        short = await command(capsys, port, "ask", "hi")
    assert (lost.code, lost.out) == (1, "Half of\n")
    assert lost.err.startswith("error: ")
    assert (short.code, short.out) == (1, "So\n")
    assert "the answer ended early: length" in short.err


async def test_a_refusal_is_one_line(capsys: Capture) -> None:
    """What the API refuses is told on stderr, in its own words."""
    async with open_house() as house, served(house) as port:
        house.api.refuse(400, {"code": "invalid-argument", "error": "no such thing"})
        result = await command(capsys, port, "ask", "hi")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: no such thing")


async def test_waiting_is_told_where_somebody_looks(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue line is on stderr, on a terminal only, and gone before the answer."""
    screen = Screen()
    async with open_house() as house, served(house) as port:
        house.broker.pause("lunch")
        monkeypatch.setattr(sys, "stderr", screen)

        async def go_on() -> None:
            await until(lambda: waiting(house, "chat") and "waiting: first" in screen.getvalue())
            house.broker.resume()

        async with beside(go_on):
            result = await command(capsys, port, "ask", "hi")
    assert result.out == "Hello\n"
    assert screen.getvalue().endswith("\r\x1b[K")


async def test_a_session_can_be_gone_on_with(capsys: Capture) -> None:
    """-c and -r make a question part of a session; without them nothing is kept."""
    async with open_house() as house, served(house) as port:
        await command(capsys, port, "ask", "alone")
        none = await command(capsys, port, "chat", "-r")
        await command(capsys, port, "ask", "one", "-c")
        listed = await command(capsys, port, "chat", "-r")
        name = listed.out.splitlines()[1].split()[0]
        await command(capsys, port, "chat", "-r", name[:-2], "-p", "two", "--model", "grok-4.6")
        await command(capsys, port, "chat", "--continue", "-p", "three")
        both = await command(capsys, port, "ask", "four", "-c", "-r", name)
        lost = await command(capsys, port, "ask", "four", "-r", "nothing")
    assert "there are no sessions in" in none.err
    assert [one["content"] for one in asked(house, 3)] == ["one", "Hello", "two", "Hello", "three"]
    assert orjson.loads(house.api.seen[3].content)["model"] == "grok-4.6"
    assert both.code == lost.code == 2
    assert 'no session is called "nothing"' in lost.err


async def test_the_token_goes_along(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's token opens the gateway; without it the error says where to put it."""
    settings = settings_of({"web": {"token": "house-token-1234"}})
    async with open_house(settings=settings) as house, served(house) as port:
        without = await command(capsys, port, "ask", "hi")
        monkeypatch.setenv("SUPERVISOR_TOKEN", "house-token-1234")
        with_it = await command(capsys, port, "ask", "hi")
    assert without.code == 2
    assert "SUPERVISOR_TOKEN" in without.err
    assert (with_it.code, with_it.out) == (0, "Hello\n")


async def test_a_token_of_its_own_goes_along(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where only clients have tokens, the terminal uses that of the client chat."""
    table = {"clients": {"chat": {"token_env": "CHAT_TOKEN"}}}
    settings = settings_of(table, {"chat": "chat-token-1234"})
    config = '[clients.chat]\ntoken_env = "CHAT_TOKEN"\n'
    (tmp_path / "config.toml").write_text(config)
    monkeypatch.setenv("CHAT_TOKEN", "chat-token-1234")
    async with open_house(settings=settings) as house, served(house) as port:
        result = await command(capsys, port, "ask", "hi")
    assert (result.code, result.out) == (0, "Hello\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("ask",), "expected a question, got: none"),
        (("ask", " "), "expected a question, got: none"),
        (("chat", "-p", ""), "expected a question, got: none"),
        (("chat", "--output-format", "json"), "expected a question for --output-format json"),
        (("chat",), "expected a terminal to talk in"),
        (("ask", "x", "--output-format", "xml"), "xml"),
    ],
)
async def test_nothing_to_ask_is_wrong_usage(
    capsys: Capture, words: tuple[str, ...], text: str
) -> None:
    """Without a question, or without a terminal to talk in, it says what was expected."""
    result = await command(capsys, 1, *words)
    assert result.code == 2
    assert text in result.err
