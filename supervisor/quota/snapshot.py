"""What the quota shows: frozen values that every view renders the same way. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.quota.pause import PauseSnapshot
from supervisor.quota.strictness import StrictnessSnapshot


@dataclass(frozen=True, slots=True)
class WindowSnapshot:
    """One window as everybody shows it.

    Attributes:
        limit: The limit as text.
        used: Units spent or reserved in the last period + jitter.
        amount: Units it holds.
        next_free: Seconds until the next unit returns; 0 when some are free.
        reserved: Units kept free for each class that has a reserve.
        spent: Units spent by each class.
        others: Units that somebody else has spent with the same key, as the server's answers prove.
    """

    limit: str
    used: int
    amount: int
    next_free: float
    reserved: dict[str, float]
    spent: dict[str, int]
    others: int = 0


@dataclass(frozen=True, slots=True)
class QuotaSnapshot:
    """Everything that decides whether a request may go."""

    windows: tuple[WindowSnapshot, ...]
    pause: PauseSnapshot
    strictness: tuple[StrictnessSnapshot, ...]
    pace: dict[str, float]
