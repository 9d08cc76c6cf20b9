"""What one traffic class has done so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from supervisor.ledger.ledger import OF_LATE, Answered
from supervisor.ledger.prices import Prices, ticks
from supervisor.ledger.sums import Sums
from supervisor.messages import Request, TrafficClass, Usage
from supervisor.quota.by_size import BySize
from supervisor.quota.estimate import Estimator

_REMEMBERED = 1_000
_MODELS = 100
_FIRST_ANSWER = 1_000
_ASCII, _OTHER = 1 / 4, 1 / 3
"""Tokens for each byte of a body that it has at least."""
_DENSE = 1 / 2
"""Tokens for each byte that a large body is thought to have at most, while none was seen."""
_DEARER = 2
"""Prompt tokens that an answer's token costs as much as at least, of all models in the list."""
ENOUGH = 8
"""Answers of a model from which on its price counts as learned."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Tokens of an answer; `bound` where it was cut off, since no more were asked for."""

    completion: int
    reasoning: int
    bound: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """What of a request tells its price: bytes, tokens for each at least, and answer tokens."""

    model: str
    size: int
    least: float
    most: int

    @classmethod
    def of(cls, request: Request) -> _Asked:
        least = _ASCII if request.body.isascii() else _OTHER
        return cls(request.model, len(request.body), least, request.max_output or 0)

    @classmethod
    def before(cls, one: Answered) -> _Asked:
        # How much was asked for is not on record: the answer may have been cut off where it ended.
        return cls(one.model, one.size, _ASCII, 0 if one.usage is None else one.usage.completion)


class Learned:
    """What a class's answers of one model have cost of late.

    Attributes:
        answers: Answers seen.
    """

    __slots__ = ("_costs", "_extras", "_prompts", "_rates", "_seen", "answers")

    def __init__(self) -> None:
        self.answers = 0
        self._seen: deque[_Seen] = deque(maxlen=OF_LATE)
        self._costs: deque[int] = deque(maxlen=OF_LATE)
        self._extras: deque[int] = deque(maxlen=OF_LATE)
        self._prompts = BySize(least=_ASCII)
        self._rates = BySize(least=0.0)

    def learn(self, usage: Usage | None, asked: _Asked, prices: Prices) -> None:
        """Remember an answer.

        Args:
            usage: Its tokens and price; None where it told none.
            asked: What was asked.
            prices: What models cost.
        """
        self.answers += 1
        if usage is None:
            return
        most, size, answer = asked.most, asked.size, usage.completion + usage.reasoning
        cut = 0 < most <= usage.completion
        self._seen.append(_Seen(usage.completion, usage.reasoning, most if cut else 0))
        if size and usage.prompt:
            dense = min(usage.prompt / size, _DENSE)
            self._prompts.learn(size, usage.prompt, beyond=dense)
        if usage.cost is None:
            return
        cost = ticks(usage.cost)
        self._costs.append(cost)
        self._extras.append(max(0, cost - prices.at_most(asked.model, usage)))
        once = cost / prices.times(asked.model, usage.prompt)
        # By what it would be thought to have, so that one like it comes to the same.
        tokens = self._prompt(asked) + _DEARER * answer
        beyond = once / max(1, usage.prompt + _DEARER * answer)
        self._rates.learn(max(1, tokens), once, beyond=beyond)

    def likely(self, asked: _Asked, prices: Prices) -> int:
        """Ticks that the next one may cost: as long and as dear as any of late.

        Args:
            asked: What is asked.
            prices: What models cost.
        """
        model, prompt = asked.model, self._prompt(asked)
        answer = self._answer(asked.most)
        if self._costs and not prices.knows(model):
            likely = prices.times(model, prompt) * self._rates.high(prompt + _DEARER * answer)
            return max(ceil(likely), *self._costs)
        return prices.at_most(model, Usage(prompt, answer)) + max(self._extras, default=0)

    def _prompt(self, asked: _Asked) -> int:
        """Tokens of a prompt, seldom too few."""
        return ceil(self._prompts.high(asked.size, least=asked.least))

    def _answer(self, most: int) -> int:
        """Tokens of the longest answer of late, and more the more they differ.

        Args:
            most: Answer tokens that were asked for, reasoning aside; 0 if unsaid.
        """
        if not self._seen:
            return max(_FIRST_ANSWER, most)
        longest = max(self._seen, key=lambda one: one.completion)
        completion = _longest([one.completion for one in self._seen])
        if longest.bound and not most:
            # It would have gone on, nobody knows how far.
            completion = max(completion, _FIRST_ANSWER)
        elif most and ((longest.bound and most > longest.bound) or most < completion):
            completion = most
        return completion + _longest([one.reasoning for one in self._seen])


def _longest(seen: Sequence[int]) -> int:
    """The most of some, with a margin of half of what lies between it and their mean."""
    most = max(seen)
    return most + (most - sum(seen) // len(seen)) // 2


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

    def learn_cost(self, usage: Usage | None, request: Request, prices: Prices) -> None:
        """Learn from an answer what the next one may cost.

        Args:
            usage: Its tokens and price; None where it told none.
            request: What was asked.
            prices: What models cost.
        """
        self._of(request.model).learn(usage, _Asked.of(request), prices)

    def recall(self, answers: Iterable[Answered], prices: Prices) -> None:
        """Learn likewise from answers that are on record, of models that have not answered since.

        Args:
            answers: The oldest first.
            prices: What models cost.
        """
        known = set(self._learned)
        for one in answers:
            # One that used nothing tells nothing.
            if one.model not in known and (one.usage is None or one.usage.total):
                self._of(one.model).learn(one.usage, _Asked.before(one), prices)

    def _of(self, model: str) -> Learned:
        learned = self._learned.get(model)
        if learned is None:
            if len(self._learned) >= _MODELS:
                self._learned.pop(next(iter(self._learned)))
            learned = self._learned[model] = Learned()
        return learned

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
        learned = self._learned.get(request.model) or Learned()
        return learned.likely(_Asked.of(request), prices)

    def wait_quantiles(self) -> tuple[float, float]:
        """Median and 99th percentile of the remembered waits, in seconds."""
        waits = sorted(self.waits)
        if not waits:
            return 0.0, 0.0
        return waits[len(waits) // 2], waits[min(len(waits) - 1, int(len(waits) * 0.99))]
