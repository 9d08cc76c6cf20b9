"""One session over SSH: a conversation on a terminal, or the answer to one command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio
import asyncssh
import structlog
from prompt_toolkit.application import Application
from prompt_toolkit.application.current import AppSession, create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.output.vt100 import Vt100_Output

from supervisor.terminal.door import Door
from supervisor.terminal.ssh_commands import FAILURE, OK, USAGE, Reader, answer
from supervisor.terminal.ssh_input import SshInput
from supervisor.terminal.ssh_keys import Permit
from supervisor.terminal.ssh_output import SshOutput

if TYPE_CHECKING:
    from typing import TextIO


class Channel(Protocol):
    """What is used of asyncssh's channel."""

    def write(self, data: str) -> None: ...
    def write_stderr(self, data: str) -> None: ...
    def exit(self, status: int) -> None: ...
    def is_closing(self) -> bool: ...
    def get_terminal_size(self) -> tuple[int, int, int, int]: ...
    def get_extra_info(self, name: str) -> Any: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


Converse = Callable[[Door], Awaitable[None]]
"""Holds a conversation, until the person has enough of it."""

_log = structlog.get_logger("supervisor.terminal")

_INTERRUPTED = 130
_CHANNEL = "channel"
_USUAL = Size(rows=24, columns=80)
_LARGEST = Size(rows=500, columns=1000)
"""A screen is drawn whole, in memory: a larger one is a mistake or an attack."""
_FATAL = frozenset({"HUP", "INT", "KILL", "QUIT", "TERM"})
_NO_TERMINAL = (
    "error: a conversation needs a terminal: `ssh -t{port} HOST`;"
    " or give a command: `ssh{port} HOST help`\n"
)
_PORT = 22
"""Where a client calls that is told no other port."""


class SshSession(asyncssh.SSHServerSession[str]):
    """One session of somebody who has logged in.

    Args:
        permit: Who it is, and what they may do.
        converse: Holds the conversation.
        house: Where commands look.
        start: Runs `run` in a task; called when the client has said what it wants.
    """

    def __init__(
        self,
        permit: Permit,
        *,
        converse: Converse,
        house: Reader,
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], object],
    ) -> None:
        self._permit = permit
        self._converse = converse
        self._house = house
        self._start = start
        # Only `end` ends it: a conversation that is cancelled with everything else would wait for
        # a terminal's answers before anybody has told it that there will be none.
        self._scope = anyio.CancelScope(shield=True)
        self._last_words = ""
        self._closed = anyio.Event()
        self._channel: Channel | None = None
        self._keys: SshInput | None = None
        self._screen = SshOutput(self._send, redraw=self._redraw)
        self._app_session: AppSession | None = None
        self._terminal: str | None = None
        self._command = permit.command

    def __repr__(self) -> str:
        what = self._command if self._command is not None else "a conversation"
        return f"<SshSession {self._permit.person}: {what}>"

    @property
    def gone(self) -> bool:
        """Whether the other side has left, or has closed the channel as we have."""
        return self._closed.is_set()

    async def wait_gone(self) -> None:
        """Wait until it is gone."""
        await self._closed.wait()

    async def run(self) -> None:
        """Give the person what they came for, then close the channel."""
        code = FAILURE
        with self._scope:
            code = await self._serve()
        if self._last_words:
            self._say(self._last_words)
        self._screen.finish()
        if self._channel is not None:
            self._channel.exit(code)

    def end(self, words: str = "") -> None:
        """End the session now.

        Args:
            words: What to tell the person, if they are still there.
        """
        self._last_words = words
        self._screen.close()
        self._scope.cancel()

    def hold(self, reason: object) -> None:
        """Keep what is written: the other side does not take it.

        Args:
            reason: What does not take it.
        """
        self._screen.hold(reason)

    def release(self, reason: object) -> None:
        """Send what was kept for this reason.

        Args:
            reason: As it was given to `hold`.
        """
        self._screen.release(reason)

    # -- what asyncssh calls -----------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHServerChannel[str]) -> None:
        self._channel = chan
        self._keys = SshInput(chan)

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        self._closed.set()
        self.end()

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        if self._permit.terminal:
            self._terminal = term_type
        return self._permit.terminal

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        if self._command is None:
            self._command = command
        return True

    def session_started(self) -> None:
        self._start(self.run)

    def data_received(self, data: str, datatype: asyncssh.DataType) -> None:
        # A command reads nothing.
        if self._keys is not None and self._command is None:
            self._keys.feed(data)

    def eof_received(self) -> bool:
        if self._keys is not None:
            self._keys.close()
        self._screen.close()
        # Half open: we still have something to say.
        return True

    def signal_received(self, signal: str) -> None:
        if signal in _FATAL:
            self.end()

    def terminal_size_changed(  # noqa: PLR0917 - asyncssh's signature
        self, width: int, height: int, pixwidth: int, pixheight: int
    ) -> None:
        self._redraw()

    def pause_writing(self) -> None:
        self._screen.hold(_CHANNEL)

    def resume_writing(self) -> None:
        self._screen.release(_CHANNEL)

    # -- what they came for ------------------------------------------------------------------------

    async def _serve(self) -> int:
        try:
            if self._command is not None:
                return await self._answer(self._command)
            if self._terminal is None:
                self._say(_NO_TERMINAL.format(port=self._port()))
                return USAGE
            return await self._hold_conversation(self._terminal)
        except EOFError:
            return OK
        except (KeyboardInterrupt, SystemExit):
            # A prompt raises the first for Ctrl-C. Out of this task it would end the process.
            return _INTERRUPTED
        except Exception:
            _log.exception("ssh.session_failed", person=self._permit.person)
            self._say("error: something went wrong here; the log of the supervisor tells what\n")
            return FAILURE

    async def _answer(self, command: str) -> int:
        answered = await answer(command, self._house)
        # Not through the screen: a document is never left out, and ends with the channel.
        self._send(self._lines(answered.data))
        self._say(answered.talk)
        return answered.code

    async def _hold_conversation(self, terminal: str) -> int:
        assert self._keys is not None
        # Without asking where the cursor is, prompt_toolkit would show no status line.
        output = Vt100_Output(
            cast("TextIO", self._screen), self._size, term=terminal, enable_cpr=True
        )
        door = Door(
            input=self._keys,
            output=output,
            person=self._permit.person,
            local=False,
            columns=lambda: self._size().columns,
        )
        with create_app_session(input=self._keys, output=output) as self._app_session:
            try:
                await self._converse(door)
            finally:
                self._app_session = None
                self._keys.forget()
        return OK

    def _size(self) -> Size:
        if self._channel is None:
            return _USUAL
        width, height, *_ = self._channel.get_terminal_size()
        return Size(
            rows=min(height, _LARGEST.rows) or _USUAL.rows,
            columns=min(width, _LARGEST.columns) or _USUAL.columns,
        )

    def _port(self) -> str:
        """The option by which a client finds us, as far as we know; empty for the usual port."""
        own = None if self._channel is None else self._channel.get_extra_info("sockname")
        return f" -p {own[1]}" if own and own[1] != _PORT else ""

    def _redraw(self) -> None:
        app = self._app_session.app if self._app_session else None
        if app is not None and app.is_running and app.context is not None:
            app.context.copy().run(_repaint, app)

    def _send(self, text: str) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(text)

    def _say(self, text: str) -> None:
        """Say something on stderr; on a terminal there is but one stream."""
        if self._terminal is not None:
            self._screen.write(f"\n{text}" if self._command is None else text)
        elif self._channel is not None and not self._channel.is_closing():
            self._channel.write_stderr(text)

    def _lines(self, text: str) -> str:
        return text if self._terminal is None else text.replace("\n", "\r\n")


def _repaint(app: Application[Any]) -> None:
    """What prompt_toolkit does itself when its own terminal has another size."""
    app.renderer.erase(leave_alternate_screen=False)
    app.renderer.request_absolute_cursor_position()
    app.invalidate()
