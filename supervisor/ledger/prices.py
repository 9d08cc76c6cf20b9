"""What an answer costs where the API does not say it. Pure.

Prices are US dollars for a million tokens; from 200,000 prompt tokens on the whole request costs
double (shared/facts/xai.md). Models and prices change fast: all of it is configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.messages import Usage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs.

    Attributes:
        input: US dollars for a million prompt tokens.
        cached: US dollars for a million prompt tokens that came from the cache.
        output: US dollars for a million answer tokens, reasoning included.
        double_from: Prompt tokens from which on the whole request costs double; None for never.
    """

    input: Decimal
    cached: Decimal
    output: Decimal
    double_from: int | None = 200_000

    def of(self, usage: Usage) -> Decimal:
        """US dollars for so many tokens."""
        fresh = usage.prompt - usage.cached
        answer = usage.completion + usage.reasoning
        cost = (fresh * self.input + usage.cached * self.cached + answer * self.output) / _MILLION
        is_long = self.double_from is not None and usage.prompt >= self.double_from
        return cost * 2 if is_long else cost


def _price(input_: str, cached: str, output: str) -> Price:
    return Price(Decimal(input_), Decimal(cached), Decimal(output))


KNOWN: Mapping[str, Price] = {
    "grok-4.7": _price("2.00", "0.50", "6.00"),
    "grok-4.6": _price("2.00", "0.50", "6.00"),
    "grok-4.5": _price("2.00", "0.30", "6.00"),
    "grok-4.3": _price("1.25", "0.20", "2.50"),
    "grok-4.20": _price("1.25", "0.20", "2.50"),
    "grok-build-0.1": _price("1.00", "0.20", "2.00"),
}
"""xAI's list of October 2026."""


class Prices:
    """The prices of all models.

    Args:
        prices: By the model's name.
    """

    def __init__(self, prices: Mapping[str, Price] | None = None) -> None:
        self._prices = dict(prices or {})

    def priced(self, usage: Usage, model: str) -> Usage:
        """The usage with its price: what the API said, else by the list, else as it is."""
        price = self._prices.get(model)
        if usage.cost is not None or price is None:
            return usage
        return replace(usage, cost=price.of(usage))

    def estimate(self, model: str, *, prompt: int, answer: int) -> int | None:
        """Ticks of 1e-10 US dollars that a request is likely to cost; None for an unknown model.

        Args:
            model: Its name.
            prompt: Prompt tokens, as estimated.
            answer: Answer and reasoning tokens, as estimated.
        """
        price = self._prices.get(model)
        return None if price is None else ticks(price.of(Usage(prompt, answer)))


def ticks(cost: Decimal | None) -> int:
    """A price in ticks of 1e-10 US dollars; 0 where it is unknown."""
    return 0 if cost is None else round(cost * TICKS_PER_DOLLAR)
