"""The money of one budget in its current period. Pure.

Money is reserved before a request is sent and settled with its real price afterwards, so that
requests under way together cannot spend the same money.
"""

from __future__ import annotations

from supervisor.budget import Budget


class Purse:
    """One budget at work.

    Args:
        budget: How much, and how often.
        wall: Unix time in seconds.

    Attributes:
        budget: The budget.
        span: The current period.
        spent: Ticks of 1e-10 US dollars spent in it.
        reserved: Ticks that requests under way may still cost.
        unpriced: Ticks that stay reserved in it, for what nobody will tell the price of.
    """

    __slots__ = ("budget", "reserved", "span", "spent", "unpriced")

    def __init__(self, budget: Budget, wall: float) -> None:
        self.budget = budget
        self.span = budget.span(wall)
        self.spent = 0
        self.reserved = 0
        self.unpriced = 0

    def __repr__(self) -> str:
        return f"<Purse {self.budget}: spent={self.spent} reserved={self.reserved}>"

    @property
    def left(self) -> int:
        """Ticks that nobody has spent or reserved; below 0 where prices were underestimated."""
        return self.budget.ticks - self.spent - self.reserved - self.unpriced

    def roll(self, wall: float) -> None:
        """Begin a new period where the time has come; a clock that was set back begins none."""
        if wall >= self.span.end:
            self.span = self.budget.span(wall)
            self.spent = self.unpriced = 0

    def fits(self, cost: int) -> bool:
        """Whether a request may go that is likely to cost so much.

        One that is dearer than all of the budget may go where nothing else has: it would
        otherwise wait for ever.
        """
        untouched = not (self.spent or self.reserved or self.unpriced)
        return self.budget.ticks > 0 if untouched else cost <= self.left

    def affords(self, cost: int) -> bool:
        """Whether a request could go if nothing were under way."""
        gone = self.spent + self.unpriced
        return self.budget.ticks > 0 if not gone else cost <= self.budget.ticks - gone

    def take(self, cost: int) -> None:
        """Reserve what a request is likely to cost."""
        self.reserved += cost

    def settle(self, *, reserved: int, actual: int, granted: float, unpriced: int = 0) -> None:
        """Replace a reservation by the real price.

        Args:
            reserved: Ticks that were reserved.
            actual: Ticks that it cost.
            granted: Unix time at which it was granted; the price belongs to that period.
            unpriced: Ticks that count because nobody will tell the price.
        """
        self.reserved -= reserved
        self.count(actual, unpriced, granted)

    def count(self, spent: int, unpriced: int, at: float) -> None:
        """Count what was spent, or may have been, if it was in this period.

        Args:
            spent: Ticks.
            unpriced: Ticks that may have been spent.
            at: Unix time of it.
        """
        if at >= self.span.start:
            self.spent += spent
            self.unpriced += unpriced
