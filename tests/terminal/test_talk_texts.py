"""What the conversation says in its own words."""

from __future__ import annotations

from typing import Any

import pytest
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.utils import get_cwidth

from supervisor.errors import ConfigError, NotRunning, SupervisorError, UnknownRole
from supervisor.messages import Cost
from supervisor.terminal.answer import Answer
from supervisor.terminal.commands import COMMANDS, Order, help_text, read_order, split_ask
from supervisor.terminal.failure import address_of, checked, no_answer, refused
from supervisor.terminal.job_text import as_value, result_markdown
from supervisor.terminal.markdown import render
from supervisor.terminal.reports import cost_text, queue_text, roles_text
from supervisor.terminal.screen import fitted
from supervisor.terminal.waiting import duration, waiting_text


@pytest.mark.parametrize(
    ("why", "text"),
    [
        (
            {"place": 1, "urgent_ahead": 0, "detail": "it is its turn", "expected": 0.0},
            "first in line; goes in 1 s; it is its turn",
        ),
        (
            {"place": 4, "urgent_ahead": 2, "detail": "others go first", "expected": 72.4},
            "3 ahead, 2 more urgent; goes in 1 min 12 s; others go first",
        ),
        (
            {"place": 2, "detail": "paused: \x1b[31mlunch", "expected": None},
            "1 ahead; paused: lunch",
        ),
        ({}, "first in line"),
    ],
)
def test_waiting_is_one_line(why: dict[str, Any], text: str) -> None:
    """Place, obstacle and expected wait stand on one line, as far as they are known."""
    assert waiting_text(why) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7300, "2 h 1 min")],
)
def test_durations_are_told_to_what_matters(seconds: float, text: str) -> None:
    """A duration has two units at most."""
    assert duration(seconds) == text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_given_and_is_explained(name: str) -> None:
    """A line that begins with a command's name is that command, and the help lists it."""
    assert read_order(f"/{name}  two words ") == Order(name, "two words")
    assert f"/{name}" in help_text()


def test_other_lines_are_asked() -> None:
    """Whatever does not begin with a slash is a question; so is a slash behind a space."""
    assert read_order("what is /help?") is None
    assert read_order(" /etc/passwd") is None


@pytest.mark.parametrize(("line", "text"), [("/hepl", "did you mean /help?"), ("/", "called /")])
def test_unknown_commands_are_told(line: str, text: str) -> None:
    """A command that there is not says which was meant."""
    with pytest.raises(ConfigError) as error:
        read_order(line)
    assert text in str(error.value)


def test_ask_has_two_parts() -> None:
    """The first word is the role, the rest is for it."""
    assert split_ask("quality look at\nthis") == ("quality", "look at\nthis")
    with pytest.raises(ConfigError, match="there are: a, b"):
        split_ask("quality", ["a", "b"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (f'{{"n": {10**25}}}', {"n": 10**25}),
        (" [1]", [1]),
        ("a {", "a {"),
        ("5", "5"),
        ("", ""),
    ],
)
def test_jobs_take_json(text: str, value: object) -> None:
    """An object or an array goes to the role as such, anything else as text."""
    assert as_value(text, hint="") == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "{no json",
            "property name enclosed in double quotes at line 1, column 2, before: no json",
        ),
        ('{"a": 1,\n "b" 2}', "expecting ':' delimiter at line 2, column 6, before: 2}"),
        ('{"a": 1', "expecting ',' delimiter at line 1, column 8, where it ends"),
        ("[1] and more", "extra data at line 1, column 5, before: and more"),
    ],
)
def test_what_begins_like_json_has_to_be_some(text: str, told: str) -> None:
    """Broken JSON is no text, which a role might be paid for: it is said where it breaks."""
    with pytest.raises(ConfigError, match=f'begins with "\\{text[0]}" and is not JSON') as refused:
        as_value(text, hint="mend it")
    assert told in refused.value.message
    assert refused.value.hint == "mend it"


@pytest.mark.parametrize("text", ["[" * 100_000, "[" + "1" * 5_000 + "]"])
def test_json_that_nobody_can_read_is_an_error(text: str) -> None:
    """Where Python gives up it is said why, and nothing crashes."""
    with pytest.raises(ConfigError, match="the input cannot be read"):
        as_value(text, hint="")


def test_results_are_readable() -> None:
    """A result that is a text is shown as one, anything else as JSON."""
    assert result_markdown("*hi*") == "*hi*"
    assert result_markdown({"a": "é"}) == '```json\n{\n  "a": "é"\n}\n```'


def test_the_queue_is_told() -> None:
    """Only who waits or is under way is listed, with the reason."""
    quiet = {"name": "a", "priority": 0, "queued": 0, "in_flight": 0, "why": ""}
    busy = {**quiet, "name": "b", "queued": 2, "why": "first in line; full"}
    queue = {"state": "paused", "reason": "lunch", "queued": 2, "classes": [quiet, busy]}
    lines = queue_text(queue).splitlines()
    assert lines[0] == "paused: lunch, 2 waiting"
    assert lines[2].split() == ["b", "0", "2", "0"]
    assert lines[3] == "b waits: first in line; full"
    assert queue_text({**queue, "classes": [quiet]}) == "paused: lunch, 2 waiting"


def test_broken_plugins_are_among_the_roles() -> None:
    """A file that is no role is listed with what is wrong."""
    broken = [{"file": "roles/x.py", "line": 3, "message": "expected a Role"}]
    assert roles_text({"roles": [], "broken": broken}) == "no roles\nroles/x.py:3: expected a Role"


def test_costs_are_told_apart() -> None:
    """The session's cost stands above the house's; an unknown price is a dash."""
    row = {"prompt": 1000, "completion": 200, "reasoning": 34, "answered": 3, "cost": 0.5}
    text = cost_text(Cost(1, 10), [row, row]).splitlines()
    assert text[1].split()[-3:] == ["1", "10", "-"]
    assert text[2].split()[-3:] == ["6", "2,468", "1.0000"]


@pytest.mark.parametrize("columns", [1, 5, 20])
@pytest.mark.parametrize("text", ["plain text that is long", "漢字漢字漢字漢字", "", "a\nb  c"])
def test_a_status_line_never_wraps(text: str, columns: int) -> None:
    """However wide its characters are, it keeps within the terminal."""
    assert get_cwidth(fitted(text, columns)) <= columns


def test_markdown_is_rendered_for_this_terminal() -> None:
    """It keeps within the width, and has the colours that the terminal has."""
    text = "word " * 40 + "`code`"
    vivid = render(text, columns=40, depth=ColorDepth.DEPTH_8_BIT)
    assert max(map(len, render(text, columns=40, depth=ColorDepth.DEPTH_1_BIT).splitlines())) <= 40
    assert "\x1b[" in vivid
    assert "38;5" not in render(text, columns=40, depth=ColorDepth.DEPTH_1_BIT)


def test_an_answer_grows() -> None:
    """Pieces add up; odd events change nothing."""
    answer = Answer()
    odd: list[dict[str, Any]] = [
        {},
        {"choices": None},
        {"choices": [1]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": None}}]},
        {"choices": [{"delta": {"reasoning_content": "hm"}}], "model": "m"},
    ]
    assert [answer.take(document) for document in odd] == [""] * len(odd)
    assert answer.begun
    assert answer.is_empty
    assert answer.take({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}) == "Hi"
    assert (answer.text, answer.model, answer.finish, answer.shortened) == ("Hi", "m", "stop", "")


def test_errors_of_the_house_are_our_own_again() -> None:
    """What the house says no with becomes the class that it was, with its text."""
    known = {"error": {"message": "no role is called x", "code": "unknown_role"}}
    with pytest.raises(UnknownRole, match="no role is called x"):
        checked("http://h", 404, known)
    with pytest.raises(SupervisorError, match="answered 500"):
        checked("http://h", 500, {})
    with pytest.raises(NotRunning, match="something else than a supervisor"):
        checked("http://h", 200, "hello")
    assert str(refused({"error": "flat"})) == "flat"
    assert refused({"choices": []}) is None
    assert "connection refused" in str(
        no_answer("http://h", ConnectionRefusedError(111, "Connection refused"))
    )


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
    ],
)
def test_where_it_listens_is_where_to_call(host: str, address: str) -> None:
    """A supervisor that listens everywhere is called at this machine."""
    assert address_of(host, 1) == address
