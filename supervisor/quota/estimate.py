"""How many tokens will a request use? Learned per class, from what its answers really used.

The prompt's tokens follow its bytes, the answer's tokens follow nothing that is known before;
`max_tokens` does not bound reasoning. So both are learned as mean + 2 mean deviations, the
estimator that TCP uses for its time-out (Jacobson 1988): rarely too low, and never far too high.

What the API puts around a prompt is most of a short one. A long one has it once: so what is above
half a token a byte is learned apart, and makes no long prompt longer than that.
"""

from __future__ import annotations

_GAIN = 1 / 8
_DEVIATIONS = 2.0
_FIRST_ANSWER = 1_000.0
_USUAL = 1 / 4
"""Tokens for each byte of text, where nothing was seen."""
_DENSE = 1 / 2
"""Tokens for each byte of the densest text."""


class _Running:
    """A running mean and mean deviation."""

    __slots__ = ("_deviation", "_mean", "_seen")

    def __init__(self, first: float) -> None:
        self._mean = first
        self._deviation = 0.0
        self._seen = False

    def learn(self, value: float) -> None:
        if not self._seen:
            self._mean, self._deviation, self._seen = value, value / 2, True
            return
        error = value - self._mean
        self._mean += _GAIN * error
        self._deviation += _GAIN * (abs(error) - self._deviation)

    @property
    def mean(self) -> float:
        """The running mean."""
        return self._mean

    def high(self) -> float:
        """A value that is seldom exceeded."""
        return self._mean + _DEVIATIONS * self._deviation


class Estimator:
    """The tokens of one class's requests."""

    __slots__ = ("_answer", "_frame", "_per_byte")

    def __init__(self) -> None:
        self._frame = _Running(0.0)
        self._per_byte = _Running(_USUAL)
        self._answer = _Running(_FIRST_ANSWER)

    def estimate(self, size: int) -> int:
        """Tokens to reserve.

        Args:
            size: Bytes of the request's body.
        """
        prompt = min(size * self._per_byte.high(), size * _DENSE + self._frame.high())
        return max(1, int(prompt + self._answer.high()))

    def least(self, size: int) -> int:
        """Tokens that the prompt alone has, unless it is thinner than any so far.

        Args:
            size: Bytes of the request's body.
        """
        return int(size * min(self._per_byte.mean, _USUAL))

    def learn(self, size: int, *, prompt: int, answer: int) -> None:
        """Learn from an answer.

        Args:
            size: Bytes of the request's body.
            prompt: Prompt tokens it used.
            answer: Answer and reasoning tokens it used.
        """
        if size > 0:
            self._per_byte.learn(prompt / size)
            self._frame.learn(max(0.0, prompt - size * _DENSE))
        self._answer.learn(float(answer))
