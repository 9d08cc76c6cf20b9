"""What stands in the way of a request just now: every view and every error says the same."""

from __future__ import annotations

from supervisor.broker.entry import Entry
from supervisor.broker.toll import Toll
from supervisor.quota.block import Block, Obstacle
from supervisor.quota.quota import Quota
from supervisor.scheduler.scheduler import Scheduler


def block_of(
    quota: Quota, scheduler: Scheduler[Entry], toll: Toll, *, entry: Entry, now: float
) -> Block | None:
    """What would keep a request from going if it were first in line; None when nothing would.

    Args:
        quota: When may it go?
        scheduler: Who goes next?
        toll: Is its price known?
        entry: The request.
        now: Monotonic seconds.
    """
    if quota.allowance(now) < 1:
        return quota.closed(now)
    if scheduler.is_busy(entry.owner):
        running = scheduler.in_flight(entry.owner)
        return Block(Obstacle.CONCURRENCY, f"{running} of its requests are in flight", float("inf"))
    return toll.blocked(entry) or quota.blocked(
        entry.owner,
        entry.tokens,
        now,
        priority=entry.priority,
        first_at=entry.first_at,
        cost=entry.cost,
    )
