"""The one conversation loop, for this machine's terminal and for those that come over SSH."""

from __future__ import annotations

from contextlib import suppress
from typing import NoReturn

import anyio
from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session

from supervisor.clock import Clock, SystemClock
from supervisor.errors import ConfigError, SupervisorError
from supervisor.terminal.clean import clean
from supervisor.terminal.commands import read_order
from supervisor.terminal.completion import Words
from supervisor.terminal.conversation import Conversation
from supervisor.terminal.door import Door
from supervisor.terminal.house import House
from supervisor.terminal.orders import Orders
from supervisor.terminal.prompt import MARK, create_prompt, read_line
from supervisor.terminal.reports import money
from supervisor.terminal.session import Session
from supervisor.terminal.sessions import Sessions
from supervisor.terminal.text import Color

_PRESENT = 50.0
"""Seconds between two times that the house is told that somebody is here."""


async def converse(  # noqa: PLR0913 - what it is made of
    door: Door,
    house: House,
    *,
    sessions: Sessions,
    model: str,
    session: Session | None = None,
    plain: bool = False,
    clock: Clock | None = None,
) -> None:
    """Talk with the person at a door until he leaves or the door is closed.

    Nothing is shown but through the door, and no signal is handled: several conversations can go
    on in one process.

    Args:
        door: Where he sits.
        house: Who is talked with.
        sessions: Where the conversation is kept.
        model: Who is asked in a new session.
        session: The session to go on with; None for a new one.
        plain: Show markdown as it is written, as it comes, and no colours.
        clock: Tells the time; None for the machine's.
    """
    # prompt_toolkit finds "the" terminal of a task by this, else all would share one.
    with create_app_session(input=door.input, output=door.output):
        talk = Conversation(
            door,
            house,
            sessions=sessions,
            session=session or sessions.new(person=door.person, model=model),
            plain=plain,
            clock=clock or SystemClock(),
        )
        prompt = create_prompt(
            door,
            completer=Words(house, sessions),
            questions=await sessions.questions(),
            toolbar=None if plain else lambda: _toolbar(talk.session),
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stay, house)
            await _Loop(talk, prompt).run()
            tasks.cancel_scope.cancel()


class _Loop:
    """One line after the other.

    Args:
        talk: The conversation.
        prompt: Where lines are typed.
    """

    def __init__(self, talk: Conversation, prompt: PromptSession[str]) -> None:
        self._talk = talk
        self._prompt = prompt
        self._orders = Orders(talk)

    async def run(self) -> None:
        talk = self._talk
        talk.screen.say(
            f"{talk.session.model} at {talk.house.address}, /help, Ctrl-D leaves", Color.FAINT
        )
        talk.show_last()
        while (line := await self._next()) is not None:
            if line.strip() and not await self._do(line):
                break

    async def _next(self) -> str | None:
        """The next line; None at the end."""
        talk = self._talk
        if talk.keys.gone:
            return None
        if talk.keys.queued:
            line = talk.keys.queued.pop(0)
            talk.screen.say(f"{MARK}{line}")
            self._prompt.history.append_string(line)
            return line
        warned = False
        while True:
            draft, talk.draft = talk.draft or talk.keys.take_draft(), ""
            try:
                return await read_line(self._prompt, draft)
            except EOFError:
                return None
            except KeyboardInterrupt:
                if warned:
                    return None
                talk.screen.say("Ctrl-C again, or Ctrl-D, leaves", Color.FAINT)
                warned = True

    async def _do(self, line: str) -> bool:
        """Whether the conversation goes on after a line."""
        try:
            order = read_order(line)
        except ConfigError as error:
            self._talk.tell(error)
            return True
        if order is not None:
            return await self._orders.follow(order)
        await self._talk.ask(clean(line).strip())
        return True


async def _stay(house: House) -> NoReturn:
    """Have room kept free for the next question, until cancelled."""
    while True:
        with suppress(SupervisorError):
            await house.post("/api/chat")
        await anyio.sleep(_PRESENT)


def _toolbar(session: Session) -> str:
    cost = session.cost
    spent = f" · {money(cost.usd)} usd" if cost.usd is not None else ""
    used = f" · {cost.tokens:,} tokens{spent}" if cost.requests else ""
    return f"{clean(session.model)}{used} · /help"
