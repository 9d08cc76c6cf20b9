"""The only place that reads a clock, so that a test can put another one in its place.

*Monotonic* time orders grants and windows and never jumps. *Wall* time names days and hours, and
can be set. *Uptime* never jumps either, and goes on from one process to the next: what the ledger
stores has its age by it, for as long as the machine runs.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Protocol

from supervisor.reading import Reading

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Monotonic and wall time, in seconds."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; its zero means nothing."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch (Unix time)."""
        ...


class LastingClock(Clock, Protocol):
    """A clock that goes on where the process before has stopped."""

    def reading(self) -> Reading:
        """This moment, for whoever comes after."""
        ...


class SystemClock:
    """The machine's clocks.

    `time.monotonic` and not `loop.time()`: uvloop's is cached once per loop iteration, so a busy
    loop would stamp a grant earlier than it happened.

    Args:
        boot_id: The file in which the system names its start.
    """

    def __init__(self, boot_id: Path = _BOOT_ID) -> None:
        self._boot_id = boot_id
        self._boot = 0

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def reading(self) -> Reading:
        self._boot = self._boot or _boot_of(self._boot_id)
        # Uptime first: held up in between, what was written down looks younger and not older.
        uptime = _uptime()
        return Reading(time.time(), uptime, self._boot)


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

    def reading(self) -> Reading:
        return Reading(self.wall(), self.monotonic(), boot=1)


def _uptime() -> float:
    # Elsewhere no start has a name, so that this clock is compared with itself alone.
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def _boot_of(file: Path) -> int:
    """A number of 31 bits; where the system names no start, this process is a start of its own."""
    try:
        drawn = int(file.read_text(encoding="ascii")[:8], 16)
    except (OSError, ValueError):
        drawn = int.from_bytes(os.urandom(4))
    return drawn >> 1 or 1
