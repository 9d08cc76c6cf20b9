"""One thing that `doctor` looks at: what was found, and how long finding it may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread

from supervisor.clock import SystemClock

PATIENCE = 8.0
"""Seconds for all looks together, since they go side by side."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was found.

    Attributes:
        name: What was looked at.
        ok: Whether all is well, or it does not matter here.
        detail: What was found.
        hint: What to do; empty when nothing has to be done.
    """

    name: str
    ok: bool
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Something to look at.

    Attributes:
        name: What it is.
        find: Finds out; blocks.
        when_slow: What to do where that takes too long.
    """

    name: str
    find: Callable[[], Check]
    when_slow: str = ""


def fine(name: str, detail: str, hint: str = "") -> Check:
    """A check that found nothing wrong; the hint is advice.

    Args:
        name: What was looked at.
        detail: What was found.
        hint: What could be better.
    """
    return Check(name, ok=True, detail=detail, hint=hint)


def wrong(name: str, detail: str, *, hint: str) -> Check:
    """A check that found something wrong.

    Args:
        name: What was looked at.
        detail: What was found.
        hint: What to do.
    """
    return Check(name, ok=False, detail=detail, hint=hint)


def look_at_all(looks: Sequence[Look], *, patience: float = PATIENCE) -> list[Check]:
    """Look at everything side by side; what does not answer in time is given up.

    Args:
        looks: What to look at.
        patience: Seconds for all of them together.

    Returns:
        What was found, in the order of `looks`.
    """
    found: dict[str, Check] = {}

    def look_at(look: Look) -> None:
        found[look.name] = _safely(look)

    # Daemons: one that hangs must not keep the process from ending.
    threads = [Thread(target=look_at, args=(look,), daemon=True) for look in looks]
    clock = SystemClock()
    until = clock.monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until - clock.monotonic(), 0.0))
    late = f"no answer within {patience:g} s"
    return [
        found.get(look.name) or wrong(look.name, late, hint=look.when_slow or "look again")
        for look in looks
    ]


def _safely(look: Look) -> Check:
    try:
        return look.find()
    except Exception as error:
        return wrong(
            look.name,
            f"the check itself failed: {type(error).__name__}: {error}",
            hint="that is a mistake in doctor: report it",
        )
