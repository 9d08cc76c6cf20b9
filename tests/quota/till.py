"""Budgets at noon, and somebody who asks them and pays."""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.budget import TICKS_PER_DOLLAR, Budget
from supervisor.messages import Priority
from supervisor.quota.budgets import Budgets

NOON = 1_800_014_400.0
"""Unix time of 2027-01-15 12:00 UTC."""
DOLLAR = TICKS_PER_DOLLAR
CENT = DOLLAR // 100


@dataclass
class Till:
    """Budgets with two classes, at noon by the wall clock where it says nothing else."""

    total: str = "1 usd / day"
    own: str = "0.5 usd / hour"
    wall: float = NOON
    budgets: Budgets = field(init=False)

    def __post_init__(self) -> None:
        self.budgets = Budgets([Budget.parse(self.total)], now=0.0, wall=self.wall)
        self.budgets.set_class(0, "code", [Budget.parse(self.own)], now=0.0)
        self.budgets.set_class(1, "memory", [], now=0.0)

    def spend(self, owner: int, cost: int, *, now: float = 0.0) -> None:
        """A request goes, and costs what was expected."""
        self.budgets.take(owner, cost, now, priority=Priority.MEDIUM)
        self.budgets.settle(owner, reserved=cost, actual=cost, granted=NOON + now)

    def may(
        self, owner: int, cost: int, *, now: float = 0.0, priority: int = Priority.MEDIUM
    ) -> bool:
        """Whether a request may go."""
        return self.budgets.blocked(owner, cost, now, priority=priority) is None
