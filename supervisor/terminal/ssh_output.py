"""The screen of somebody who is connected over SSH, and who may not read what it is sent.

A conversation writes and does not wait. What the other side does not take is kept up to a bound;
beyond it whole writes are left out, and the person is told. A write is never cut: prompt_toolkit's
begin and end with the terminal in order, so what comes after one left out still looks right.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

_MOST = 1024 * 1024
"""Characters that are kept for a terminal that does not read."""
_BARE_NEWLINE = re.compile(r"(?<!\r)\n")


class SshOutput:
    """Text on its way to one session's terminal; a file as prompt_toolkit wants one.

    Args:
        send: Hands text over for sending.
        redraw: Called after something was left out, for what is on the screen may be wrong.
    """

    encoding = "utf-8"

    def __init__(self, send: Callable[[str], None], *, redraw: Callable[[], None]) -> None:
        self._send = send
        self._redraw = redraw
        self._held_by: set[object] = set()
        self._kept: deque[str] = deque()
        self._kept_length = 0
        self._left_out = 0
        self._closed = False

    def __repr__(self) -> str:
        held = bool(self._held_by)
        return f"<SshOutput held={held} kept={self._kept_length} left_out={self._left_out}>"

    @property
    def kept(self) -> int:
        """Characters that wait for the other side to read."""
        return self._kept_length

    def write(self, text: str) -> None:
        """Send text, now or when the other side reads again.

        Args:
            text: Line ends may be bare: no terminal driver is in between to add what they lack.
        """
        text = _BARE_NEWLINE.sub("\r\n", text)
        if not self._held_by and not self._kept:
            self._send(text)
        elif self._left_out or self._kept_length + len(text) > _MOST:
            self._left_out += len(text)
        else:
            self._kept.append(text)
            self._kept_length += len(text)

    def flush(self) -> None:
        """Do nothing: what is written is on its way."""

    def isatty(self) -> bool:
        # prompt_toolkit asks this before it waits for a terminal to say where its cursor is: for
        # one that is gone it would wait a second, in tasks that outlive the session.
        return not self._closed

    def close(self) -> None:
        """Nobody can answer any more; what is written is still sent."""
        self._closed = True

    def hold(self, reason: object) -> None:
        """Keep what is written from now on.

        Args:
            reason: What does not take any more; there may be several at once.
        """
        self._held_by.add(reason)

    def release(self, reason: object) -> None:
        """Send what was kept, as far as no reason is left to hold it.

        Args:
            reason: As it was given to `hold`.
        """
        self._held_by.discard(reason)
        # Sending can bring a reason back.
        while self._kept and not self._held_by:
            self._send_first()
        if self._left_out and not self._held_by:
            left_out, self._left_out = self._left_out, 0
            self._send(f"\r\n[{left_out} characters are left out: this terminal did not read]\r\n")
            self._redraw()

    def finish(self) -> None:
        """Hand over all that was kept: nothing comes after it."""
        while self._kept:
            self._send_first()

    def _send_first(self) -> None:
        text = self._kept.popleft()
        self._kept_length -= len(text)
        self._send(text)
