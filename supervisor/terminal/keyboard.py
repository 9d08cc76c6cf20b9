"""What is typed while something is under way: Ctrl-C and Esc stop it, the rest is kept.

Between two prompts nobody else reads the keys. Were the terminal left as it is, Ctrl-C would end
the whole program there, and what is typed ahead would be shown in the middle of an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from supervisor.terminal.door import Door

_ESCAPE = 0.1
"""Seconds after which an Esc is no beginning of another key any more."""
_ENTER = frozenset({Keys.ControlM, Keys.ControlJ})
_ERASING = frozenset({Keys.ControlH, Keys.Backspace})


class Keyboard:
    """The keys of one terminal.

    Args:
        door: Where they come from.

    Attributes:
        draft: A line that was begun.
        queued: Lines that were ended with Enter, to be asked next.
        gone: Whether the terminal has been closed.
    """

    def __init__(self, door: Door) -> None:
        self._input = door.input
        self._output = door.output
        self._stop: Callable[[], None] = _nothing
        self._changed: Callable[[], None] = _nothing
        self._flush: asyncio.TimerHandle | None = None
        self.draft = ""
        self.queued: list[str] = []
        self.gone = False

    @contextmanager
    def listening(self, stop: Callable[[], None], changed: Callable[[], None]) -> Generator[None]:
        """Read keys during the block.

        Args:
            stop: Called for Ctrl-C and Esc, and when the terminal is closed.
            changed: Called when draft or queue have changed.
        """
        self._stop, self._changed = stop, changed
        with self._input.raw_mode(), self._input.attach(self._read):
            try:
                # Else every line of a pasted text would be a question of its own.
                self._output.enable_bracketed_paste()
                self._output.flush()
                # The prompt before may have read more than its own line.
                self._take(get_typeahead(self._input))
                yield
            finally:
                self._output.disable_bracketed_paste()
                self._output.flush()
                self._cancel_flush()
                self._stop = self._changed = _nothing

    def take_draft(self) -> str:
        """What was typed and not sent; queued lines come back with it. It is empty afterwards."""
        draft = "\n".join([*self.queued, self.draft]) if self.queued else self.draft
        self.draft, self.queued = "", []
        return draft.rstrip("\n")

    def _read(self) -> None:
        self._cancel_flush()
        self._take(self._input.read_keys())
        if self._input.closed:
            self.gone = True
            self._stop()
            return
        # Whether an Esc stands for itself shows only when nothing follows it.
        self._flush = asyncio.get_running_loop().call_later(_ESCAPE, self._flush_keys)

    def _flush_keys(self) -> None:
        self._take(self._input.flush_keys())

    def _cancel_flush(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    def _take(self, keys: Sequence[KeyPress]) -> None:
        before = self.draft, len(self.queued)
        pressed = iter(keys)
        for press in pressed:
            if press.key is Keys.Escape:
                # Alt and a key come as Esc and the key.
                self._take_escaped(next(pressed, None))
            else:
                self._take_one(press)
        if before != (self.draft, len(self.queued)):
            self._changed()

    def _take_escaped(self, press: KeyPress | None) -> None:
        if press is None:
            self._stop()
        elif press.key in _ENTER:
            self.draft += "\n"

    def _take_one(self, press: KeyPress) -> None:
        if press.key is Keys.ControlC:
            self._stop()
        elif press.key in _ENTER:
            if self.draft.strip():
                self.queued.append(self.draft)
            self.draft = ""
        elif press.key in _ERASING:
            self.draft = self.draft[:-1]
        elif press.key is Keys.ControlU:
            self.draft = ""
        elif press.key is Keys.BracketedPaste:
            self.draft += press.data.replace("\r\n", "\n").replace("\r", "\n")
        elif not isinstance(press.key, Keys):
            self.draft += press.data


def _nothing() -> None:
    pass
