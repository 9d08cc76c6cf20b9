"""A terminal on paper: keys that a test presses, and all that was ever written to the screen."""

from __future__ import annotations

import io
import os
import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from supervisor.terminal.chat import converse
from supervisor.terminal.door import Door
from supervisor.terminal.house import House as Way
from supervisor.terminal.session import Session
from supervisor.terminal.sessions import Sessions
from tests.waiting import until
from tests.web.house import House, served

_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
CTRL_C, CTRL_D, ESC, ENTER = "\x03", "\x04", "\x1b", "\r"


@dataclass(slots=True)
class Glass:
    """One terminal.

    Attributes:
        keys: Its keyboard.
        paper: What was written.
        door: What a conversation gets of it.
        columns: Its width.
    """

    keys: PipeInput
    paper: io.StringIO
    door: Door
    columns: int = 80

    @property
    def raw(self) -> str:
        """Everything that was written, escape sequences included."""
        return self.paper.getvalue()

    @property
    def text(self) -> str:
        """The same without them."""
        return _SEQUENCE.sub("", self.raw).replace("\r", "")

    def type(self, text: str) -> None:
        """Press keys."""
        self.keys.send_text(text)

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self.paper.seek(0)
        self.paper.truncate()

    async def sees(self, text: str) -> None:
        """Wait until something can be read.

        Raises:
            AssertionError: It never comes; says what is there instead.
        """
        try:
            await until(lambda: text in self.text)
        except TimeoutError:
            raise AssertionError(f"{text!r} never came, only:\n{self.text}") from None


@contextmanager
def glass(*, person: str = "somebody", local: bool = True, term: str = "xterm") -> Generator[Glass]:
    """A terminal for one test."""
    paper = io.StringIO()
    with create_pipe_input() as keys:
        # It is read only when there is something in it; BlockBuster believes only a descriptor.
        os.set_blocking(keys.fileno(), False)
        output = Vt100_Output(
            paper, lambda: Size(rows=24, columns=one.columns), term=term, enable_cpr=False
        )
        door = Door(
            input=keys, output=output, person=person, local=local, columns=lambda: one.columns
        )
        one = Glass(keys, paper, door)
        yield one


@dataclass(slots=True)
class Talk:
    """A conversation that goes on beside a test.

    Attributes:
        glass: Its terminal.
        sessions: Where it is kept.
        ended: Set when it is over.
    """

    glass: Glass
    sessions: Sessions
    ended: anyio.Event


@asynccontextmanager
async def talking(
    house: House, folder: Path, *, session: Session | None = None, plain: bool = False
) -> AsyncGenerator[Talk]:
    """A conversation with a house on a real socket; it is left at the end of the block."""
    sessions = Sessions(folder)
    with glass() as one:
        async with served(house) as port, anyio.create_task_group() as tasks:
            way = Way(f"http://127.0.0.1:{port}")
            ended = anyio.Event()

            async def run() -> None:
                await converse(
                    one.door,
                    way,
                    sessions=sessions,
                    model="grok-4.7",
                    session=session,
                    plain=plain,
                )
                ended.set()

            tasks.start_soon(run)
            try:
                await one.sees("Ctrl-D leaves")
                yield Talk(one, sessions, ended)
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await way.aclose()
