"""What one traffic class has done so far."""

from __future__ import annotations

from collections import deque

from supervisor.ledger.prices import Prices, ticks
from supervisor.ledger.sums import Sums
from supervisor.messages import Request, TrafficClass, Usage
from supervisor.quota.estimate import Estimator

_REMEMBERED = 1_000
_COSTS = 20
_MODELS = 100
_FIRST_ANSWER = 1_000
ENOUGH = 8
"""Answers of a model from which on its price counts as learned."""


class Learned:
    """What a class's answers of one model have cost of late.

    Attributes:
        answers: Answers seen.
    """

    __slots__ = ("_costs", "_extras", "_tokens", "answers")

    def __init__(self) -> None:
        self.answers = 0
        self._tokens: deque[int] = deque(maxlen=_COSTS)
        self._costs: deque[int] = deque(maxlen=_COSTS)
        self._extras: deque[int] = deque(maxlen=_COSTS)

    def learn(self, usage: Usage, model: str, prices: Prices) -> None:
        """Remember an answer."""
        self._tokens.append(usage.completion + usage.reasoning)
        if usage.cost is not None:
            cost = ticks(usage.cost)
            self._costs.append(cost)
            self._extras.append(max(0, cost - prices.at_most(model, usage)))

    def likely(self, model: str, *, prompt: int, most: int, prices: Prices) -> int:
        """Ticks that the next one may cost: as long and as dear as any of late.

        Args:
            model: Its name.
            prompt: Prompt tokens.
            most: Answer tokens that were asked for; 0 if unsaid.
            prices: What models cost.
        """
        if self._costs and not prices.knows(model):
            return max(self._costs)
        answer = max(self._tokens, default=max(_FIRST_ANSWER, most))
        return prices.at_most(model, Usage(prompt, answer)) + max(self._extras, default=0)


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
        waits: Seconds that its last grants had waited for.
        estimator: Guesses tokens.
    """

    __slots__ = (
        "_learned",
        "answered",
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
        self._learned: dict[str, Learned] = {}
        self.waits: deque[float] = deque(maxlen=_REMEMBERED)
        self.estimator = Estimator()

    def learn(self, usage: Usage, size: int) -> None:
        """Learn from an answer what the next one may use.

        Args:
            usage: Its tokens.
            size: Bytes of the request's body.
        """
        if size and usage.total:
            answer = usage.completion + usage.reasoning
            self.estimator.learn(size, prompt=usage.prompt, answer=answer)

    def learn_cost(self, usage: Usage | None, model: str, prices: Prices) -> None:
        """Learn from an answer what the next one may cost.

        Args:
            usage: Its tokens and price; None where it told none.
            model: Which model gave it.
            prices: What models cost.
        """
        learned = self._learned.get(model)
        if learned is None:
            if len(self._learned) >= _MODELS:
                self._learned.pop(next(iter(self._learned)))
            learned = self._learned[model] = Learned()
        learned.answers += 1
        if usage is not None:
            learned.learn(usage, model, prices)

    def answers(self, model: str) -> int:
        """Answers of a model that there are to learn from."""
        learned = self._learned.get(model)
        return 0 if learned is None else learned.answers

    def likely_cost(self, request: Request, prices: Prices) -> int:
        """Ticks of 1e-10 US dollars that a request is likely to cost, rarely too low.

        Args:
            request: What is asked.
            prices: What models cost. One that they do not know costs what the dearest do, until
                the API tells.
        """
        prompt = self.estimator.prompt(len(request.body))
        learned = self._learned.get(request.model) or Learned()
        return learned.likely(
            request.model, prompt=prompt, most=request.max_output or 0, prices=prices
        )

    def wait_quantiles(self) -> tuple[float, float]:
        """Median and 99th percentile of the remembered waits, in seconds."""
        waits = sorted(self.waits)
        if not waits:
            return 0.0, 0.0
        return waits[len(waits) // 2], waits[min(len(waits) - 1, int(len(waits) * 0.99))]
