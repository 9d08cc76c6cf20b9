"""How old is what was written down, whatever became of the wall clock meanwhile?

The wall clock may be set between writing and reading: after a boot, by an operator, in a virtual
machine that goes on. Uptime cannot, so what was written since the system was started has its age
by that, and is told in the wall time that is shown now. For what is from before, or from another
machine, wall time is all there is. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from supervisor.ledger.attempt import Attempt
from supervisor.ledger.ledger import Spent
from supervisor.reading import Reading

SECOND = 1_000_000
"""A database holds uptimes as whole microseconds."""
_NO_BOOT = -1


def ticks(uptime: float) -> int:
    """An uptime as a database holds it: never earlier than it was.

    Args:
        uptime: Seconds.
    """
    return ceil(uptime * SECOND)


def bounds(moment: float, by: Reading | None) -> dict[str, float]:
    """What a statement needs to find what counts from a moment on.

    Args:
        moment: Unix time in seconds, on the wall clock as it is now.
        by: Now; None to go by wall time alone.
    """
    if by is None:
        return {"since": moment, "boot": _NO_BOOT, "up": 0}
    return {"since": moment, "boot": by.boot, "up": ticks(moment - by.wall + by.uptime)}


def told(found: Iterable[Sequence[Any]], by: Reading | None) -> list[Spent]:
    """Attempts by the wall clock as it is now, the oldest first.

    Args:
        found: Class, Unix time of the grant, tokens, Unix time of the end, start of the system,
            uptime and latency of each.
        by: Now; None to go by wall time alone.
    """
    spent: list[Spent] = []
    for traffic_class, granted, tokens, ended, boot, uptime, latency, *_ in found:
        if by is None or boot != by.boot:
            spent.append(Spent(traffic_class, granted, tokens, ended))
            continue
        at = by.wall - (by.uptime - uptime / SECOND)
        spent.append(Spent(traffic_class, at, tokens, None if ended is None else at + latency))
    return sorted(spent, key=lambda one: one.granted)


def apart(first: Attempt, last: Attempt, seconds: float) -> bool:
    """Whether more than so many seconds passed between two attempts, by every clock there is."""
    known = bool(first.boot) and first.boot == last.boot
    by_uptime = not known or last.uptime - first.uptime > seconds
    return last.granted - first.granted > seconds and by_uptime
