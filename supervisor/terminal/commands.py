"""The commands of the conversation: their names, what they take, and how a line is read. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supervisor.errors import ConfigError
from supervisor.terminal.text import table

COMMANDS: Mapping[str, tuple[str, str]] = {
    "help": ("", "this list"),
    "model": ("[NAME]", "the models; with a name, ask that one from now on"),
    "status": ("", "roles, clients, what waits and why, windows, budgets, schedules, the key"),
    "cost": ("", "tokens and money of this session, and of the house"),
    "queue": ("", "what waits, by class, and why the first of each does"),
    "roles": ("", "the roles, and how each stands"),
    "jobs": ("[ID]", "the newest jobs; with an id, that one and its result"),
    "ask": ("ROLE TEXT", "give a job to a role and show its result"),
    "new": ("", "begin a new session"),
    "resume": ("[ID]", "the sessions; with an id, go on with that one"),
    "quit": ("", "leave; Ctrl-D does the same"),
}
"""What each takes, and does."""

_KEYS = (
    ("Enter", "send; while something is under way: keep the line for when it is done"),
    ("Alt-Enter", "a new line"),
    ("Ctrl-C, Esc", "stop the answer, and nothing else; at the prompt Ctrl-C empties the line"),
    ("Ctrl-R, Up", "earlier questions, also of earlier sessions"),
    ("Tab", "complete a command, a role, a model or a session"),
    ("Ctrl-X Ctrl-E", "write it in $EDITOR (at this machine only)"),
    ("Ctrl-D", "leave"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """A command that was given.

    Attributes:
        name: One of `COMMANDS`.
        argument: What stands behind it.
    """

    name: str
    argument: str


def read_order(line: str) -> Order | None:
    """The command that a line gives; None for a line that is to be asked.

    Args:
        line: As typed; one that begins with a space is never a command.

    Raises:
        ConfigError: There is no such command.
    """
    if not line.startswith("/"):
        return None
    word, _, argument = line[1:].partition(" ")
    name = word.strip()
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        guess = f"did you mean /{near[0]}? " if near else ""
        raise ConfigError(
            f"no command is called /{name}",
            hint=f"{guess}/help lists them; a space before it sends the line as a question",
        )
    return Order(name, argument.strip())


def help_text() -> str:
    """All commands and keys."""
    commands = [(f"/{name} {takes}".rstrip(), does) for name, (takes, does) in COMMANDS.items()]
    return f"{table(('command', ''), commands)}\n\n{table(('key', ''), _KEYS)}"


def split_ask(argument: str, roles: Sequence[str] = ()) -> tuple[str, str]:
    """Role and text of `/ask ROLE TEXT`.

    Args:
        argument: What stands behind `/ask`.
        roles: The known roles, for the error's sake.

    Raises:
        ConfigError: One of the two is missing.
    """
    role, _, text = argument.partition(" ")
    if not role or not text.strip():
        known = f"; there are: {', '.join(roles)}" if roles else ""
        given = f"/ask {argument}".rstrip()
        raise ConfigError(f'expected /ask ROLE TEXT, got: "{given}"{known}')
    return role, text.strip()
