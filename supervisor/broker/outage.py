"""Whether the API answers anybody at all. Pure.

A request that fails is tried again a few times, and then it is its caller's error. When everybody
fails that is a waste: a minute without an API would cost every job that runs, and the quota of all
attempts that were in vain. So when enough fail in a row everybody is held back together, one goes
now and then to look, and nobody's own retries are used up.

One request that the API cannot stomach must not look like an outage: it takes several different
ones, and more failures than there are attempts still without an end. Nor must one broken model:
as long as another one is known to answer, each request fails for itself. Only where there was not
even a connection is a single request enough, for that cannot be its own fault.
"""

from __future__ import annotations

from supervisor.messages import Request
from supervisor.upstream.failures import Failure, FailureKind

SILENCE = 15.0
"""Seconds without an end after which the one that looks counts as let in: longer than a connection
may take, and not as long as an answer may."""
ASIDE = 0.5
"""Seconds for which one that has looked in vain lets others look before it looks again."""

_FAILURES = 5
_REQUESTS = 3
_UNREACHABLE = 2
_HEALTHY = 600.0
"""Seconds for which a model that answered counts as one that does, unless it fails."""

_COUNTED = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
        FailureKind.SERVER,
        FailureKind.MALFORMED,
    }
)
"""No capacity is not among them: it is one model's trouble, and must not hold back the others."""


class Outage:
    """What is known of it from the failures in a row.

    Attributes:
        on: The API answers nobody.
        since: Monotonic seconds of the first failure in the row.
        text: The last failure's words.
    """

    __slots__ = ("_answering", "_failures", "_requests", "_unreachable", "on", "since", "text")

    def __init__(self) -> None:
        self.on = False
        self.since = 0.0
        self.text = ""
        self._failures = 0
        self._unreachable = 0
        self._requests: set[str] = set()
        self._answering: dict[str, float] = {}

    def failed(self, failure: Failure, request: Request, *, now: float, under_way: int) -> bool:
        """An attempt has failed.

        Args:
            failure: How.
            request: What was asked.
            now: Monotonic seconds.
            under_way: Attempts that have not ended.

        Returns:
            Whether everybody is to be held back for it.
        """
        if not self.covers(failure):
            return False
        if not self._failures:
            self.since = now
        self._failures += 1
        self._unreachable += failure.kind is FailureKind.UNREACHABLE
        if len(self._requests) < _REQUESTS:
            self._requests.add(request.id)
        self.text = failure.text
        self._answering.pop(request.model, None)
        self.on = self.on or self._unreachable >= _UNREACHABLE or self._is_general(now, under_way)
        return self.on

    def _is_general(self, now: float, under_way: int) -> bool:
        various = len(self._requests) >= _REQUESTS and self._failures >= _FAILURES
        if not various or self._failures <= under_way:
            return False
        return all(at + _HEALTHY < now for at in self._answering.values())

    def answered(self, model: str, now: float) -> bool:
        """The API has answered somebody.

        Args:
            model: Which of its models.
            now: Monotonic seconds.

        Returns:
            Whether that ends an outage.
        """
        self._answering[model] = now
        ended = self.on
        if self._failures:
            self.on = False
            self._failures = self._unreachable = 0
            self._requests.clear()
        return ended

    def covers(self, failure: Failure) -> bool:
        """Whether such a failure can be an outage's."""
        return failure.kind in _COUNTED and not failure.final

    def outlasts(self, asked_at: float, patience: float, now: float) -> bool:
        """Whether a request has been kept waiting by it for longer than its patience.

        Args:
            asked_at: When it was asked, in monotonic seconds.
            patience: Seconds.
            now: Monotonic seconds.
        """
        return now - max(asked_at, self.since) >= patience

    def reason(self, now: float) -> str:
        """What everybody is told; empty when there is none."""
        if not self.on:
            return ""
        return f"the API has answered nobody for {now - self.since:.0f} s: {self.text}"
