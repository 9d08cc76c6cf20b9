"""Whether a failed attempt's request is sent again, and who is given up. Pure.

While the API answers nobody it is not each request's own failures that count, but how long its
caller is willing to wait. While a model has no capacity the same holds for jobs. And an answer
that was promised is looked for as long as nobody has said that it is lost: it is paid for.
"""

from __future__ import annotations

from collections.abc import Callable

from supervisor.broker.entry import Entry
from supervisor.broker.outage import ASIDE, Outage
from supervisor.broker.verdict import Again, judge
from supervisor.quota.pause import Pause
from supervisor.upstream.deferred import LONGEST
from supervisor.upstream.failures import Failure, FailureKind
from supervisor.upstream.retry import retry_delay

MOST_LOOKS = 20
"""Times that a request may look whether the API is back and get an error for an answer: each took
a pause of its own. Where there is no answer at all only patience ends it."""

_SAYS_NOTHING = frozenset(
    {
        FailureKind.QUOTA,
        FailureKind.CAPACITY,
        FailureKind.SERVER,
        FailureKind.UNREACHABLE,
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
    }
)
"""Failures of a look that do not tell what has become of the answer. What makes no sense does: the
answer itself may be broken."""
_DOUBLINGS = 9
"""Times that a delay is doubled before it is as long as delays between looks become."""


class Repetition:
    """Decides on repetitions.

    Args:
        outage: Whether the API answers anybody.
        pause: Until when nobody may look.
        max_retries: Retries after failures that are not a matter of quota.
        patience: Seconds for which a request that belongs to no job outlasts an outage.
        spread: Random numbers in [0, 1), for the length of delays.
    """

    def __init__(
        self,
        outage: Outage,
        pause: Pause,
        *,
        max_retries: int,
        patience: float,
        spread: Callable[[], float],
    ) -> None:
        self._outage = outage
        self._pause = pause
        self._max_retries = max_retries
        self._patience = patience
        self._spread = spread

    def decide(self, entry: Entry, failure: Failure, *, now: float, outdated: bool) -> Again | None:
        """What follows from a failed attempt.

        Args:
            entry: The request.
            failure: How it failed.
            now: Monotonic seconds.
            outdated: Whether it may have gone with a key that another has taken the place of.

        Returns:
            None for a final error.
        """
        if failure.kind is FailureKind.CAPACITY and entry.request.job and not failure.final:
            # A job bears waiting, and for the model's room its request has not to answer.
            delay = retry_delay(
                failure, retries=entry.full, most=entry.full + 1, spread=self._spread()
            )
            entry.full += 1
            return None if delay is None else Again(delay, in_line=True)
        if failure.kind is FailureKind.UNREACHABLE and entry.request.job and not self._outage.on:
            # Nothing arrived and nothing was paid: a job waits. The next one tells of an outage.
            return Again(ASIDE + self._spread())
        keeps_looking = entry.is_promised and failure.kind in _SAYS_NOTHING
        if self._outage.on and self._outage.covers(failure):
            # What the API says no to may be the request after all: that has an end.
            entry.looks += failure.status is not None and not keeps_looking
            if self.is_tired(entry, now) or entry.looks > MOST_LOOKS:
                return None
            # No retry of this request's own, and another one is to look next.
            delay = max(0.0, self._pause.opens_at() - now) + ASIDE
            entry.retries += keeps_looking
            return Again(max(delay, _slowly(entry)) if keeps_looking else delay, behind=True)
        again = judge(
            failure,
            retries=entry.retries,
            refusals=entry.refusals,
            max_retries=self._max_retries,
            spread=self._spread(),
            outdated=outdated,
        )
        entry.retries += failure.kind is not FailureKind.QUOTA
        if again is None and keeps_looking:
            return Again(max(_slowly(entry), failure.retry_after or 0.0))
        return again

    def is_tired(self, entry: Entry, now: float) -> bool:
        """Whether an outage outlasts a request's patience; a job's has no end, for it is kept."""
        patience = float("inf") if entry.request.job else self._patience
        return self._outage.outlasts(entry.asked_at, patience, now)


def _slowly(entry: Entry) -> float:
    """Seconds until a promised answer is looked for again that was often looked for in vain."""
    return min(2.0 ** min(entry.retries + entry.refusals, _DOUBLINGS), LONGEST)
