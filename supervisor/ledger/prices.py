"""What an answer costs where the API does not say it. Pure.

Prices are US dollars for a million tokens; from 200,000 prompt tokens on the whole request costs
double (shared/facts/xai.md). Models and prices change fast: all of it is configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        cached = min(usage.cached, usage.prompt)
        fresh = usage.prompt - cached
        answer = usage.completion + usage.reasoning
        cost = (fresh * self.input + cached * self.cached + answer * self.output) / _MILLION
        return cost * 2 if self.doubles(usage.prompt) else cost

    def doubles(self, prompt: int) -> bool:
        """Whether a request with so many prompt tokens costs double."""
        return self.double_from is not None and prompt >= self.double_from


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
        self._dearest = _dearest([*KNOWN.values(), *self._prices.values()])

    def knows(self, model: str) -> bool:
        """Whether a model has a price."""
        return model in self._prices

    def at_most(self, model: str, usage: Usage) -> int:
        """Ticks of 1e-10 US dollars by the list; for an unknown model, by its dearest prices."""
        return ticks(self._prices.get(model, self._dearest).of(usage))

    def times(self, model: str, prompt: int) -> int:
        """How often the price of each token counts, for so many prompt tokens: once or twice."""
        price = self._prices.get(model, self._dearest)
        return 2 if price.doubles(prompt) else 1

    def priced(self, usage: Usage, model: str) -> Usage:
        """The usage with its price: what the API said, else by the list, else as it is."""
        price = self._prices.get(model)
        if usage.cost is not None or price is None:
            return usage
        return replace(usage, cost=price.of(usage))


def _dearest(prices: Sequence[Price]) -> Price:
    """What is no cheaper than any of them."""
    doubles = [one.double_from for one in prices if one.double_from is not None]
    return Price(
        max(one.input for one in prices),
        max(one.cached for one in prices),
        max(one.output for one in prices),
        min(doubles, default=None),
    )


def ticks(cost: Decimal | None) -> int:
    """A price in ticks of 1e-10 US dollars; 0 where it is unknown."""
    return 0 if cost is None else round(cost * TICKS_PER_DOLLAR)
