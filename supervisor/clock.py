"""The only place that reads a clock, so that a test can put another one in its place.

Two kinds of time are needed. *Monotonic* time orders grants and windows and never jumps.
*Wall* time is what the ledger stores, because it still means something after a restart.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic and wall time, in seconds."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; its zero means nothing."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch (Unix time)."""
        ...


class SystemClock:
    """The machine's clocks.

    `time.monotonic` and not `loop.time()`: uvloop's is cached once per loop iteration, so a busy
    loop would stamp a grant earlier than it happened.
    """

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class LoopClock:
    """The running event loop's time, which a virtual loop makes jump.

    Args:
        wall_at_zero: Unix time, in seconds, that loop time 0 stands for.
    """

    def __init__(self, wall_at_zero: float = 1_800_000_000.0) -> None:
        self._wall_at_zero = wall_at_zero

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return self._wall_at_zero + self.monotonic()
