"""What one traffic class has done so far."""

from __future__ import annotations

from collections import deque

from supervisor.ledger.prices import Prices, ticks
from supervisor.ledger.sums import Sums
from supervisor.messages import TrafficClass, Usage
from supervisor.quota.estimate import Estimator

_REMEMBERED = 1_000
_COSTS = 20


class Account:
    """What is counted of a class, and learned from it.

    Args:
        owner: The class's number.
        traffic_class: Its settings.
        used: What it has used of all time, by the ledger.

    Attributes:
        requests: Requests accepted since the start of the process.
        answered: Those that were answered.
        failed: Those that ended with an error.
        costs: Ticks of 1e-10 US dollars of its last answers.
        waits: Seconds that its last grants had waited for.
        estimator: Guesses tokens.
    """

    __slots__ = (
        "answered",
        "costs",
        "estimator",
        "failed",
        "owner",
        "requests",
        "traffic_class",
        "used",
        "waits",
    )

    def __init__(self, owner: int, traffic_class: TrafficClass, used: Sums) -> None:
        self.owner = owner
        self.traffic_class = traffic_class
        self.used = used
        self.requests = 0
        self.answered = 0
        self.failed = 0
        self.costs: deque[int] = deque(maxlen=_COSTS)
        self.waits: deque[float] = deque(maxlen=_REMEMBERED)
        self.estimator = Estimator()

    def learn(self, usage: Usage, size: int) -> None:
        """Learn from an answer what the next one may use and cost.

        Args:
            usage: Its tokens and price.
            size: Bytes of the request's body.
        """
        if usage.cost:
            self.costs.append(ticks(usage.cost))
        if size and usage.total:
            answer = usage.completion + usage.reasoning
            self.estimator.learn(size, prompt=usage.prompt, answer=answer)

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
