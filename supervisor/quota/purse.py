"""The money of one budget in its current period. Pure.

Money is reserved before a request is sent and settled with its real price afterwards, so that
requests under way together cannot spend the same money.
"""

from __future__ import annotations

from supervisor.budget import Budget

NEAR = 0.2
"""Part of a budget from which on low classes are slowed."""


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

    __slots__ = ("_low", "_lows", "budget", "reserved", "span", "spent", "unpriced")

    def __init__(self, budget: Budget, wall: float) -> None:
        self.budget = budget
        self.span = budget.span(wall)
        self.spent = 0
        self.reserved = 0
        self.unpriced = 0
        self._low = -float("inf"), 0
        self._lows: dict[int, float] = {}

    def __repr__(self) -> str:
        return f"<Purse {self.budget}: spent={self.spent} reserved={self.reserved}>"

    @property
    def left(self) -> int:
        """Ticks that nobody has spent or reserved; below 0 where prices were underestimated."""
        return self.budget.ticks - self.spent - self.reserved - self.unpriced

    def roll(self, wall: float) -> bool:
        """Go to the period that it is now, which is an earlier one after a clock was set back.

        Returns:
            Whether it is another one; then what was spent in it has to be filled in.
        """
        if self.span.start <= wall < self.span.end:
            return False
        self.span = self.budget.span(wall)
        return True

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

    def took_low(self, owner: int, cost: int, now: float) -> None:
        """What was taken is for a low request: the next ones have to leave time for it.

        Args:
            owner: Its class's number.
            cost: Ticks.
            now: Monotonic seconds.
        """
        self._low = now, cost
        self._lows[owner] = now

    def slow_until(self, owner: int, cost: int, wall: float) -> float:
        """Monotonic seconds until which a low request has to wait; minus infinity if it has not.

        Near the end each low request takes as long as its part of the rest is of the time that is
        left: the last one's must have passed since then, whoever it was for, and its own since
        the last of its class. So cheap ones of others do not keep a dear one waiting for ever.

        Args:
            owner: Its class's number.
            cost: Ticks that it is likely to cost.
            wall: Unix time in seconds.
        """
        if self.left >= NEAR * self.budget.ticks or self.left <= 0:
            return -float("inf")
        rest, (last, paid) = self.span.end - wall, self._low
        own = self._lows.get(owner, -float("inf"))
        return max(last + paid * rest / self.left, own + cost * rest / self.left)

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
        """Count what was spent, or may have been, if it was in this period, or is dated later.

        Args:
            spent: Ticks.
            unpriced: Ticks that may have been spent.
            at: Unix time of it.
        """
        if at >= self.span.start:
            self.spent += spent
            self.unpriced += unpriced
