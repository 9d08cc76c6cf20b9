"""How much of a goal's money a task may take. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from .plan import MOST_TASKS

_SMALLEST = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A goal's money at one moment, in US dollars.

    Attributes:
        limit: Most to spend.
        spent: What has been spent so far, by running tasks too.
        held: What tasks that run were given. What they have spent of it is in `spent` as well, so
            that less may be told as left than there is, never more; when nothing runs it is exact.
    """

    limit: Decimal
    spent: Decimal
    held: Decimal

    def part(self, *, wish: Decimal | None, sharers: int) -> Decimal | None:
        """What a task may take.

        Args:
            wish: Most that it wants; None for whatever there is.
            sharers: How many tasks, itself included, are to share what is left.

        Returns:
            Its part. None when nothing is left, or too little as long as others run, who may give
            something back when they end: less than both its wish and an eighth of the limit.
        """
        part = max(self.limit - self.spent - self.held, Decimal(0)) / sharers
        if wish is not None:
            part = min(part, wish)
        part = part.quantize(_SMALLEST, ROUND_DOWN)
        enough = self.limit / MOST_TASKS
        if wish is not None:
            enough = min(enough, wish)
        enough = enough.quantize(_SMALLEST, ROUND_DOWN)
        if part <= 0 or (self.held and part < enough):
            return None
        return part
