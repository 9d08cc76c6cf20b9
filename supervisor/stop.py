"""SIGTERM and SIGINT, heard from the start to the very end of the process.

Event loops give a signal back to its default when they stop listening, and so does the
interpreter when it ends. Platforms send SIGTERM repeatedly, and one that comes in the moment
between the last answer and the exit would turn an exit in good order into a kill. So only the
first signal means anything, and there is no moment without a handler.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Whether the process has been asked to stop. Made in the main thread, inside the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard = asyncio.Event()
        self._name = ""
        for number in _SIGNALS:
            signal.signal(number, self._hear)

    def __repr__(self) -> str:
        return f"<StopSignals {self._name or 'none yet'}>"

    async def wait(self) -> str:
        """Wait for the first, and say its name; at once when it has come already."""
        await self._heard.wait()
        return self._name

    def ignore(self) -> None:
        """Everything has ended: take no further signal, not even while the interpreter ends."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if sys.platform != "win32":
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._name:
            return
        self._name = signal.Signals(number).name
        self._loop.call_soon_threadsafe(self._heard.set)
