"""What attempts come to together: one way of counting, for every ledger and every view. Pure.

The ledgers keep such sums by hour, the views show those of all time. Both count an attempt and its
end as it is said here, so they agree to the last tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.ledger.attempt import UNSENT, Settlement
from supervisor.ledger.ledger import UsageRow

Amounts = tuple[int, int, int, int, int, int, int, int]
"""Attempts, answered, refused, prompt, completion, reasoning, cached, ticks."""

RECORDED: Amounts = (1, 0, 0, 0, 0, 0, 0, 0)
"""What an attempt adds when it is written down."""


def ended(settlement: Settlement) -> Amounts:
    """What an attempt adds when it has ended; one that was not sent is taken back."""
    outcome, usage = settlement.outcome, settlement.usage
    sent = -1 if outcome in UNSENT else 0
    answered, refused = int(outcome == "answered"), int(outcome == "quota")
    if usage is None:
        return sent, answered, refused, 0, 0, 0, 0, 0
    return (
        sent,
        answered,
        refused,
        usage.prompt,
        usage.completion,
        usage.reasoning,
        usage.cached,
        0 if usage.cost is None else round(usage.cost * TICKS_PER_DOLLAR),
    )


@dataclass(slots=True)
class Sums:
    """What one class has used.

    Attributes:
        attempts: HTTP requests sent.
        answered: Those that were answered.
        refused: Those refused with 429 for quota.
        prompt: Prompt tokens, cached ones included.
        completion: Answer tokens without reasoning.
        reasoning: Reasoning tokens.
        cached: Cached prompt tokens.
        ticks: Price of the answers whose price is known, in 1e-10 US dollars.
    """

    attempts: int = 0
    answered: int = 0
    refused: int = 0
    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    cached: int = 0
    ticks: int = 0

    def add(self, amounts: Amounts) -> None:
        """Count an attempt that was written down, or its end."""
        attempts, answered, refused, prompt, completion, reasoning, cached, ticks = amounts
        self.attempts += attempts
        self.answered += answered
        self.refused += refused
        self.prompt += prompt
        self.completion += completion
        self.reasoning += reasoning
        self.cached += cached
        self.ticks += ticks

    def clear(self) -> None:
        """Count from nothing."""
        self.attempts = self.answered = self.refused = 0
        self.prompt = self.completion = self.reasoning = self.cached = self.ticks = 0

    def add_row(self, row: UsageRow) -> None:
        """Count a row of the ledger."""
        ticks = round(row.cost * TICKS_PER_DOLLAR)
        counts = row.prompt, row.completion, row.reasoning, row.cached
        self.add((row.attempts, row.answered, row.refused, *counts, ticks))

    def row(self, day: str, traffic_class: str, model: str) -> UsageRow:
        """The sums as a row of the ledger."""
        return UsageRow(
            day,
            traffic_class,
            model,
            self.attempts,
            self.answered,
            self.refused,
            self.prompt,
            self.completion,
            self.reasoning,
            self.cached,
            Decimal(self.ticks) / TICKS_PER_DOLLAR,
        )

    @property
    def amounts(self) -> Amounts:
        """The sums in their order."""
        return (
            self.attempts,
            self.answered,
            self.refused,
            self.prompt,
            self.completion,
            self.reasoning,
            self.cached,
            self.ticks,
        )
