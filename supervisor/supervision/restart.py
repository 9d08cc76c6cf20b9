"""What to do about a child that ended: pure, so that every case can be tried without waiting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from supervisor.supervision.spec import Backoff, Policy, RestartBudget, RestartType

ExitKind = Literal["normal", "crash", "cancelled"]
"""normal: it returned; crash: it raised; cancelled: its supervisor told it to end."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Run it again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Done:
    """It ended as it should; leave it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It has used up its budget: one restart more would be the `restarts`-th in the period."""

    restarts: int


Decision = Restart | Done | Failed


def decide(
    exit_kind: ExitKind,
    restart: RestartType,
    *,
    earlier: Iterable[float],
    now: float,
    policy: Policy,
    luck: float,
) -> Decision:
    """Say what becomes of a child that ended.

    Args:
        exit_kind: How it ended.
        restart: When it is to be restarted.
        earlier: Moments of earlier restarts that count against the same budget, in seconds.
        now: The moment of the end, in seconds on the same clock.
        policy: Budget and back-off.
        luck: A random number from 0 to 1, for the jitter.
    """
    if not _comes_back(exit_kind, restart):
        return Done()
    count = len(recent(earlier, now=now, budget=policy.budget))
    if count >= policy.budget.max_restarts:
        return Failed(count + 1)
    return Restart(_delay(policy.backoff, count, luck))


def recent(earlier: Iterable[float], *, now: float, budget: RestartBudget) -> tuple[float, ...]:
    """The restarts that still count.

    Args:
        earlier: Moments of restarts, in seconds.
        now: This moment, in seconds on the same clock.
        budget: Its period says how long a restart counts.
    """
    return tuple(moment for moment in earlier if now - moment <= budget.period)


def _comes_back(exit_kind: ExitKind, restart: RestartType) -> bool:
    if exit_kind == "cancelled" or restart == "temporary":
        return False
    return exit_kind == "crash" or restart == "permanent"


def _delay(backoff: Backoff, count: int, luck: float) -> float:
    if backoff.initial == 0:
        return 0.0
    try:
        grown = min(backoff.initial * backoff.factor**count, backoff.maximum)
    except OverflowError:  # a generous budget lets count grow into the thousands
        grown = backoff.maximum
    return grown * (1 - backoff.jitter * luck)
