"""Who is asked, in which session, and what: what `chat` and `ask` have in common."""

from __future__ import annotations

import getpass
import io
import select
import sys
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from supervisor.cli.output import talk
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.terminal.clean import clean
from supervisor.terminal.house import house_of
from supervisor.terminal.once import Format, ask_once
from supervisor.terminal.session import Session
from supervisor.terminal.sessions import Sessions

_PATIENCE = 3.0
"""Seconds that stdin is waited for beside a question: a pipe may be open that nobody writes to."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Choice:
    """Which session, and who is asked in it.

    Attributes:
        go_on: Go on with the session that was used last.
        resume: Go on with the session of this id, or a beginning of it; without one, list them.
        model: Ask this model.
    """

    go_on: Annotated[
        bool, Parameter(name=("--continue", "-c"), negative=(), show_default=False)
    ] = False
    resume: Annotated[
        tuple[str, ...] | None,
        Parameter(name=("--resume", "-r"), negative=(), consume_multiple=True),
    ] = None
    model: str | None = None

    @property
    def lists(self) -> bool:
        """Whether the sessions are to be listed, and nothing else."""
        return self.resume == ()

    @property
    def keeps(self) -> bool:
        """Whether a session was named that one question is to become part of."""
        return self.go_on or bool(self.resume)

    async def session(self, sessions: Sessions, settings: Settings) -> Session:
        """The session that is meant.

        Raises:
            ConfigError: There is none of that name, or two were named.
        """
        if self.resume:
            wanted, *more = self.resume
            if self.go_on or more:
                raise ConfigError("expected one session, got: several; give -c, or -r with one id")
            session = await sessions.find(wanted)
        else:
            newest = await sessions.newest() if self.go_on else None
            session = newest or sessions.new(person=person(), model=settings.model)
        if self.model or not session.model:
            session.model = self.model or settings.model
        return session


def person() -> str:
    """Who sits at this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return "somebody"


def read_question(given: str | None) -> str | None:
    """What is asked: the text given, with what comes on stdin behind it, or that alone.

    Args:
        given: From the command line; None where it gave none.

    Returns:
        None where there is neither.

    Raises:
        ConfigError: It is empty, or no text.
    """
    piped = _piped(_PATIENCE if given else None)
    if given is None and piped is None:
        return None
    text = clean("\n\n".join(part for part in (given, piped) if part and part.strip()))
    if not text.strip():
        raise ConfigError("expected a question, got: none", hint="give it as text, or on stdin")
    return text


def _piped(patience: float | None) -> str | None:
    stdin = sys.stdin
    if stdin is None or stdin.closed or stdin.isatty():
        return None
    if patience is not None and not _comes(patience):
        talk(f"nothing came on stdin for {patience:g} s, going on without it")
        return None
    try:
        return stdin.read()
    except UnicodeError as error:
        raise ConfigError(f"expected a text on stdin, got: {error}") from error
    except OSError:
        # It cannot be read at all, as where a shell has closed it.
        return None


def _comes(patience: float) -> bool:
    """Whether stdin has something to read, its end included, within so many seconds."""
    try:
        ready, _, _ = select.select([sys.stdin], [], [], patience)
    except (io.UnsupportedOperation, ValueError, OSError):
        return True
    return bool(ready)


async def once(settings: Settings, text: str, *, choice: Choice, form: Format) -> None:
    """Ask one question and print the answer.

    Args:
        settings: Tell who is asked.
        text: The question.
        choice: In which session.
        form: How it is printed.

    Raises:
        SupervisorError: There is no answer, or not all of it.
    """
    sessions = Sessions(settings.store.chat)
    session = await choice.session(sessions, settings)
    house = house_of(settings)
    try:
        await ask_once(
            house, text, session=session, sessions=sessions if choice.keeps else None, form=form
        )
    finally:
        await house.aclose()
