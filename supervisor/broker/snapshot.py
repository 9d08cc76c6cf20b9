"""What the broker shows: one set of frozen values that every view renders."""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.quota.block import Obstacle
from supervisor.quota.budgets import BudgetSnapshot
from supervisor.quota.snapshot import QuotaSnapshot


@dataclass(frozen=True, slots=True)
class Why:
    """Why a request waits.

    Attributes:
        request: The request's id.
        traffic_class: Whom it counts for.
        place: 1 for the first in line.
        urgent_ahead: Requests before it that are more urgent.
        obstacle: What stands in the way: `window`, `reserve`, `ceiling`, `concurrency`, `burst`,
            `pace`, `pause`, `retry`, `deferred`, `budget` or `turn`.
        detail: The obstacle in words.
        waited: Seconds so far.
        expected: Seconds until it is expected to go; None when that hangs on an event.
    """

    request: str
    traffic_class: str
    place: int
    urgent_ahead: int
    obstacle: str
    detail: str
    waited: float
    expected: float | None

    def __str__(self) -> str:
        if self.obstacle == Obstacle.DEFERRED:
            return f"{self.detail}; looked for again in {self.expected or 0.0:.1f} s"
        urgent = f", {self.urgent_ahead} more urgent" if self.urgent_ahead else ""
        place = "first in line" if self.place == 1 else f"{self.place - 1} ahead{urgent}"
        expected = "" if self.expected is None else f"; expected to go in {self.expected:.1f} s"
        return f"{place}; {self.detail}{expected}"


@dataclass(frozen=True, slots=True)
class RequestsSnapshot:
    """Requests of one role or client since the process started; the ledger knows attempts only.

    Attributes:
        requests: Those that were accepted.
        answered: Those that were answered.
        failed: Those that ended with an error.
    """

    requests: int
    answered: int
    failed: int


@dataclass(frozen=True, slots=True)
class ClassSnapshot:
    """One role or client.

    What it has used is of all time, and the same as the ledger's.

    Attributes:
        name: Its name.
        priority: 0 (most urgent) to 99.
        share: Guaranteed part of the quota.
        ceiling: Limits of its own.
        queued: Requests waiting.
        in_flight: Attempts under way.
        since_start: Its requests since the process started.
        attempts: Attempts sent.
        answered: Those that were answered.
        refused: Those refused by the API for quota.
        prompt_tokens: Prompt tokens used, cached ones included.
        completion_tokens: Answer tokens used, reasoning included.
        cost_usd: Price of the answers whose price is known.
        wait_p50: Median wait of the last 1,000 grants, seconds.
        wait_p99: 99th percentile of them.
        why: Why its first request waits; empty when none does.
    """

    name: str
    priority: int
    share: float
    ceiling: tuple[str, ...]
    queued: int
    in_flight: int
    since_start: RequestsSnapshot
    attempts: int
    answered: int
    refused: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    wait_p50: float
    wait_p99: float
    why: str


@dataclass(frozen=True, slots=True)
class BrokerSnapshot:
    """All of it.

    Attributes:
        state: `open`, `paused` (by hand), `halted` (key unusable or not ours, or the API down) or
            `draining`.
        reason: Why, when not open.
        classes: Roles and clients, most urgent first.
        quota: Windows, pause and what was learned.
        budgets: What may be spent, and what has been.
        unusable: Why the API does not take the key; empty while it does, as far as is known.
    """

    state: str
    reason: str
    classes: tuple[ClassSnapshot, ...]
    quota: QuotaSnapshot
    budgets: tuple[BudgetSnapshot, ...] = ()
    unusable: str = ""
