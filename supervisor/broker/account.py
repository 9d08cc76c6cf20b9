"""What one traffic class has done so far."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from supervisor.ledger.prices import Prices, ticks
from supervisor.messages import TrafficClass, Usage
from supervisor.quota.estimate import Estimator

_REMEMBERED = 1_000
_COSTS = 20


class Account:
    """Counters of a class since the start of the process.

    Args:
        owner: The class's number.
        traffic_class: Its settings.
    """

    __slots__ = (
        "answered",
        "attempts",
        "completion",
        "cost",
        "costs",
        "estimator",
        "failed",
        "owner",
        "prompt",
        "refused",
        "requests",
        "traffic_class",
        "waits",
    )

    def __init__(self, owner: int, traffic_class: TrafficClass) -> None:
        self.owner = owner
        self.traffic_class = traffic_class
        self.requests = 0
        self.attempts = 0
        self.answered = 0
        self.failed = 0
        self.refused = 0
        self.prompt = 0
        self.completion = 0
        self.cost = Decimal(0)
        self.costs: deque[int] = deque(maxlen=_COSTS)
        self.waits: deque[float] = deque(maxlen=_REMEMBERED)
        self.estimator = Estimator()

    def used(self, usage: Usage) -> None:
        """Add an answer's tokens and price."""
        self.prompt += usage.prompt
        self.completion += usage.completion + usage.reasoning
        self.cost += usage.cost or 0
        if usage.cost:
            self.costs.append(ticks(usage.cost))

    def likely_cost(self, model: str, size: int, prices: Prices) -> int:
        """Ticks of 1e-10 US dollars that a request is likely to cost, rarely too low.

        Args:
            model: Which model is asked.
            size: Bytes of the request's body.
            prices: What models cost. One that they do not know costs what the class's dearest
                answer of late did.
        """
        prompt = self.estimator.prompt(size)
        answer = self.estimator.estimate(size) - prompt
        cost = prices.estimate(model, prompt=prompt, answer=answer)
        return max(self.costs, default=0) if cost is None else cost

    def wait_quantiles(self) -> tuple[float, float]:
        """Median and 99th percentile of the remembered waits, in seconds."""
        waits = sorted(self.waits)
        if not waits:
            return 0.0, 0.0
        return waits[len(waits) // 2], waits[min(len(waits) - 1, int(len(waits) * 0.99))]
