"""The keys of somebody who is connected over SSH.

prompt_toolkit's own input for this is a pipe. Writing to it blocks once it holds 64 KiB, which a
paste into a conversation that is busy answering reaches: the whole process would stand still. This
one holds the text itself, asks the other side to wait instead, and needs no file descriptor.

prompt_toolkit also takes a millisecond for each key: 10 KB pasted into a terminal that does not
mark pastes would hold up everybody in this process for ten seconds. So what comes faster than
anybody types is given to it as the paste that it is, and keys only a few at a time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Protocol

from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

_MOST = 64 * 1024
"""Characters that may wait unread before the other side has to wait."""
_AT_ONCE = 16
"""Keys that are handed out in one turn of the loop."""
_PAUSE = 0.01
"""Seconds between two such turns, for everybody else."""
_BURST = re.compile(r"[^\x00-\x1f\x7f-\x9f]{32,}")
"""More characters in a row than anybody types between two turns of the loop."""
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O])", re.DOTALL)
"""One key that the terminal sends as several characters, whole."""
_LONGEST_PASTE = 100_000
"""Characters; drawing that many takes a tenth of a second, each time."""
_BEGIN = "\x1b[200~"
_END = "\x1b[201~"


class Tap(Protocol):
    """Where the keys come from."""

    def pause_reading(self) -> None:
        """Let the other side wait."""
        ...

    def resume_reading(self) -> None:
        """Let it go on."""
        ...


@dataclass(frozen=True, slots=True)
class _Listener:
    """Who is told of keys, and in which context it asked for that."""

    callback: Callable[[], None]
    context: Context


class SshInput(Input):
    """The keys of one session.

    Args:
        tap: Where they come from.
    """

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._text = ""
        self._paste: str | None = None
        self._left_out = 0
        self._partial = False
        self._ended = False
        self._listener: _Listener | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keys: list[KeyPress] = []
        self._parser = Vt100Parser(self._keys.append)

    def __repr__(self) -> str:
        return f"<SshInput waiting={len(self._text)} ended={self._ended}>"

    def feed(self, text: str) -> None:
        """Take what was typed.

        Args:
            text: As the terminal sent it.
        """
        self._text += text
        if len(self._text) > _MOST:
            self._tap.pause_reading()
        self._announce(0.0)

    def close(self) -> None:
        """No more will come: a prompt that has read all of it ends."""
        self._ended = True
        self._announce(0.0)

    def forget(self) -> None:
        """Drop what prompt_toolkit keeps of the keys between two prompts, and tell nobody more."""
        self._listener = None
        if self._timer is not None:
            self._timer.cancel()
        clear_typeahead(self)

    @property
    def closed(self) -> bool:
        return self._ended and not self._text

    def read_keys(self) -> list[KeyPress]:
        waited = len(self._text)
        self._read()
        if waited > _MOST >= len(self._text):
            self._tap.resume_reading()
        # What is left when nothing was read is the beginning of something: there is more to come.
        if 0 < len(self._text) < waited:
            self._announce(_PAUSE)
        return self._take()

    def flush_keys(self) -> list[KeyPress]:
        self._partial = False
        self._parser.flush()
        return self._take()

    def fileno(self) -> int:
        raise NotImplementedError("keys that come over SSH have no file descriptor of their own")

    def typeahead_hash(self) -> str:
        # prompt_toolkit never drops a name from its table. Among the living this one is unique,
        # and the memory of the dead is used again, so the table stays as small as it was.
        return f"ssh-{id(self):x}"

    def raw_mode(self) -> AbstractContextManager[None]:
        return nullcontext()

    def cooked_mode(self) -> AbstractContextManager[None]:
        return nullcontext()

    def attach(self, input_ready_callback: Callable[[], None]) -> AbstractContextManager[None]:
        return self._listening(_Listener(input_ready_callback, copy_context()))

    def detach(self) -> AbstractContextManager[None]:
        return self._listening(None)

    @contextmanager
    def _listening(self, listener: _Listener | None) -> Generator[None]:
        previous, self._listener = self._listener, listener
        self._announce(0.0)
        try:
            yield
        finally:
            self._listener = previous
            self._announce(0.0)

    @property
    def _ready(self) -> bool:
        return self._listener is not None and (bool(self._text) or self._ended)

    def _announce(self, delay: float) -> None:
        """Have the listener told soon, as of a descriptor that can be read."""
        if self._timer is None and self._ready:
            self._timer = asyncio.get_running_loop().call_later(delay, self._tell)

    def _tell(self) -> None:
        self._timer = None
        if self._listener is not None and self._ready:
            self._listener.context.copy().run(self._listener.callback)

    def _read(self) -> None:
        """Turn the next few characters that wait into keys, or as much as there is of a paste."""
        if self._paste is not None or self._text.startswith(_BEGIN):
            self._read_paste()
        elif not self._partial and (burst := _BURST.match(self._text)):
            self._press_paste(self._cut(burst.end()))
        else:
            self._parser.feed(self._cut(self._few()))

    def _few(self) -> int:
        """How many characters to read: some keys, the last of them whole."""
        self._partial = False
        end = 0
        while end < min(_AT_ONCE, len(self._text)):
            if self._text[end] != "\x1b":
                end += 1
            elif self._text.startswith(_BEGIN, end):
                return end
            elif whole := _ESCAPE.match(self._text, end):
                end = whole.end()
            else:
                # The rest of it is still on its way, or it is the key Esc.
                self._partial = True
                return len(self._text)
        return end

    def _read_paste(self) -> None:
        if self._paste is None:
            self._paste, self._left_out = "", 0
            self._cut(len(_BEGIN))
        end = self._text.find(_END)
        # The mark of its end may have arrived in part.
        kept = 0 if self._ended else len(_END)
        text = self._paste + self._cut(end if end >= 0 else max(0, len(self._text) - kept))
        self._paste = text[:_LONGEST_PASTE]
        self._left_out += len(text) - len(self._paste)
        if end >= 0:
            self._cut(len(_END))
            rest = f"\n[{self._left_out} more characters are left out]" if self._left_out else ""
            self._press_paste(self._paste + rest)
            self._paste = None

    def _press_paste(self, text: str) -> None:
        self._keys.append(KeyPress(Keys.BracketedPaste, text))

    def _cut(self, length: int) -> str:
        text, self._text = self._text[:length], self._text[length:]
        return text

    def _take(self) -> list[KeyPress]:
        keys = self._keys.copy()
        self._keys.clear()
        return keys
