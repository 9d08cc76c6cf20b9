"""What `ssh host COMMAND` answers: looks at the house, and never a shell."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from supervisor.config.report import without_keys
from supervisor.errors import SupervisorError
from supervisor.terminal.clean import clean
from supervisor.terminal.job_text import jobs_table
from supervisor.terminal.reports import queue_text, roles_text
from supervisor.terminal.status_text import status_text
from supervisor.terminal.text import Painter
from supervisor.terminal.usage_text import usage_text

OK = 0
FAILURE = 1
USAGE = 2
"""The command was wrong; these numbers are those of the command line."""


class Reader(Protocol):
    """The way to the running house."""

    async def get(self, path: str) -> dict[str, Any]:
        """Fetch a document.

        Args:
            path: With its query.

        Raises:
            SupervisorError: It is refused.
        """
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """What a command comes to.

    Attributes:
        code: The exit code.
        data: For stdout.
        talk: For stderr.
    """

    code: int
    data: str = ""
    talk: str = ""


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    path: str
    text: Callable[[Mapping[str, Any]], str]
    about: str


def _jobs(document: Mapping[str, Any]) -> str:
    return jobs_table(document["jobs"]) if document["jobs"] else "there are no jobs yet"


def _status(document: Mapping[str, Any]) -> str:
    return status_text(document, Painter(enabled=False))


_COMMANDS = (
    _Command("status", "/health", _status, "roles, clients, what waits and why, budgets"),
    _Command("queue", "/api/queue", queue_text, "what waits, by role and client"),
    _Command("roles", "/api/roles", roles_text, "the roles and how they are"),
    _Command("jobs", "/api/jobs?limit=20", _jobs, "the newest jobs"),
    _Command(
        "usage", "/api/usage", usage_text, "tokens and money by day, class and model; budgets"
    ),
)
_NAMES = (*(command.name for command in _COMMANDS), "help")
_HELP_WORDS = frozenset({"help", "-h", "--help"})


async def answer(line: str, house: Reader) -> Result:
    """Run one command.

    Args:
        line: As the client sent it.
        house: Where to look.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        return _wrong(USAGE, f"expected a command, got: {line!r}: {error}")
    as_json = "--json" in words
    names = [word for word in words if word != "--json"]
    if not names or names[0] in _HELP_WORDS:
        return _help(as_json=as_json)
    found = next((command for command in _COMMANDS if command.name == names[0]), None)
    if found is None:
        return _wrong(USAGE, _unknown(names[0]))
    if len(names) > 1:
        usage = f"{names[0]} takes --json and nothing else, got: {' '.join(names[1:])}"
        return _wrong(USAGE, usage)
    return await _look(found, house, as_json=as_json)


async def _look(command: _Command, house: Reader, *, as_json: bool) -> Result:
    try:
        document = await house.get(command.path)
    except SupervisorError as error:
        return _wrong(FAILURE, str(error))
    if as_json:
        return Result(OK, _json(document))
    # Errors and reasons quote what models and plugins have written.
    return Result(OK, clean(command.text(document)) + "\n")


def _help(*, as_json: bool) -> Result:
    listed = {command.name: command.about for command in _COMMANDS} | {"help": "this list"}
    if as_json:
        return Result(OK, _json({"commands": listed}))
    lines = "".join(f"  {name:<8}{about}\n" for name, about in listed.items())
    without = "Without a command, on a terminal: a conversation."
    return Result(OK, f"ssh -p PORT HOST COMMAND [--json]\n\n{lines}\n{without}\n")


def _wrong(code: int, text: str) -> Result:
    # A word that is no command may be a key that was pasted.
    return Result(code, talk=f"error: {without_keys(text)}\n")


def _unknown(word: str) -> str:
    near = difflib.get_close_matches(word, _NAMES, n=1)
    guess = f'did you mean "{near[0]}"? ' if near else ""
    return f'no command is called "{word}" ({guess}there are: {", ".join(_NAMES)})'


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
