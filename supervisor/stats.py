"""`get_stats()`: what a role's code may ask about the key it shares."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from supervisor.errors import NotRunning

Stats = dict[str, Any]

provider: ContextVar[Callable[[], Stats]] = ContextVar("provider")
"""Set by whoever runs roles; so that two supervisors in one test do not share it."""


def get_stats() -> Stats:
    """Windows, queues, waits and usage of this process, as plain values.

    The same numbers that `/api/stats` serves.

    Raises:
        NotRunning: Called outside a running supervisor.
    """
    try:
        return provider.get()()
    except LookupError:
        raise NotRunning(
            "get_stats() was called outside a running supervisor",
            hint="call it in a role, or ask GET /api/stats",
        ) from None
