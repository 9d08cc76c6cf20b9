"""A moment that another process can compare with its own. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment on the clocks that outlive a process.

    Attributes:
        wall: Seconds since the epoch (Unix time).
        uptime: Seconds since the system was started, sleep included; nobody can set it.
        boot: Names that start, a positive number; uptimes of different ones say nothing together.
    """

    wall: float
    uptime: float
    boot: int
