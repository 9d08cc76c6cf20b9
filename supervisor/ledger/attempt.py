"""One attempt, as it is written down before and after sending."""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.messages import Usage

STALE, GONE = "stale", "gone"
UNSENT = frozenset({STALE, GONE})
"""Outcomes of attempts that were written down and never sent: the grant was released too late, or
whoever asked had gone by then. They keep their places in the windows, and count as nothing else."""


FETCHED = "fetched"
"""Outcome of a post whose answer has come: what was kept reserved for it is free. It has ended long
before, perhaps in another process, so that its row is not known any more."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Written before the first byte leaves.

    Attributes:
        id: `request id/number of the attempt`.
        traffic_class: Whom it counts for.
        model: The model asked.
        job: The job it belongs to; empty for gateway calls.
        granted: Unix time of the grant in seconds.
        wait: Seconds this attempt waited in the queue.
        tokens: Tokens reserved.
        cost: Ticks of 1e-10 US dollars reserved in budgets.
        uptime: The moment of the grant on the system's own clock, in seconds.
        boot: The start of the system that it counts from; 0 where that is not known.
        size: Bytes of what is asked, for what later ones may cost.
        grace: Seconds after the grant within which it is released: by then it counts when it is
            read back. How late it really was, once it is settled.
    """

    id: str
    traffic_class: str
    model: str
    job: str
    granted: float
    wait: float
    tokens: int
    cost: int = 0
    uptime: float = 0.0
    boot: int = 0
    size: int = 0
    grace: float = field(default=0.0, compare=False)

    def within(self, grace: float) -> Attempt:
        """The same with another grace; `dataclasses.replace` takes thrice as long."""
        return Attempt(
            self.id,
            self.traffic_class,
            self.model,
            self.job,
            self.granted,
            self.wait,
            self.tokens,
            self.cost,
            self.uptime,
            self.boot,
            self.size,
            grace,
        )


@dataclass(frozen=True, slots=True)
class Settlement:
    """Written when the attempt has ended.

    Attributes:
        status: HTTP status, 0 when no response came.
        outcome: `answered`, or the kind of failure, or `cancelled`; `deferred` where an answer was
            promised, `pending` where it was looked for too early; or why it was not sent.
        usage: Tokens and price; None when the API did not say.
        latency: Seconds from grant to end.
        tokens: Tokens that count against the limits.
        unpriced: Ticks that count against budgets, because nobody will tell the price.
    """

    status: int
    outcome: str
    usage: Usage | None
    latency: float
    tokens: int
    unpriced: int = 0
