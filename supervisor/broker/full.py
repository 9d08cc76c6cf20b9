"""What a request is told that finds its class's queue full. Pure."""

from __future__ import annotations

from supervisor.errors import QueueFull

_SOMETIME = 30.0
"""Seconds after which to try again while nobody knows when sending goes on."""


def queue_full(name: str, waiting: int, *, wait: float, stopped: str) -> QueueFull:
    """The error for one request too many.

    Args:
        name: Its class.
        waiting: How many of the class wait.
        wait: Seconds that a new one would wait.
        stopped: Why nothing is sent, in words; empty when it is. No wait can be told then.
    """
    if stopped:
        then, after = f"nothing is sent now: {stopped}", _SOMETIME
    else:
        then, after = f"a new one would wait about {wait:.0f} s", max(1.0, wait / max(1, waiting))
    return QueueFull(
        f"{waiting} requests of {name} wait already, which is its bound; {then}",
        hint="try again when it goes on" if stopped else "send fewer at once, or raise its `queue`",
        retry_after=after,
    )
