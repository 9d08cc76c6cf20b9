"""Time that jumps instead of passing.

`VirtualLoop` is an asyncio event loop whose clock jumps to the next timer as soon as nothing is
ready to run, so that hours of limits and back-off take milliseconds and come out the same in
every run. Worker threads and real sockets are invisible to it: use it with in-memory parts only.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from math import ulp
from typing import Any, TypeVar

import anyio

T = TypeVar("T")

# aiolimiter re-arms its timer at the same instant when rounding leaves a residue: time must creep
# on even when something is ready, or that timer fires for ever.
_TICK = 1e-9


class _JumpingSelector(selectors.DefaultSelector):
    """Polls without waiting and tells the loop how long it would have waited."""

    jump: float = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if timeout is None and not ready:
            # Nothing will ever happen in virtual time: only a thread or a signal can wake us.
            return super().select(1.0)
        self.jump = _TICK if ready else max(timeout or 0.0, _TICK)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; `time()` starts at `start` seconds."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        self._now += max(self._jumping.jump, ulp(self._now)) if self._jumping.jump else 0.0
        self._jumping.jump = 0.0
        return self._now


def run_virtual(main: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function to its end in virtual time.

    Args:
        main: The function.
        args: Its positional arguments.
    """
    return anyio.run(main, *args, backend_options={"loop_factory": VirtualLoop})
