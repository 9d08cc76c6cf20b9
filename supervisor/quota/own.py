"""A class's own part of the quota: the ceilings that it alone may not exceed. Pure."""

from __future__ import annotations

from supervisor.limits import Limit
from supervisor.messages import TrafficClass
from supervisor.quota.block import Block, Obstacle
from supervisor.quota.pace import Demand
from supervisor.quota.window import RequestWindow, TokenWindow


class OwnPart:
    """One class's ceilings, and what it wants.

    Args:
        owner: Its number.
        traffic_class: The class.

    Attributes:
        demand: What it wants.
        ceilings: Limits on requests that it alone may not exceed.
        ceilings_tokens: Limits on tokens, likewise.
        traffic_class: The class as it is now.
    """

    __slots__ = ("ceilings", "ceilings_tokens", "demand", "traffic_class")

    def __init__(self, owner: int, traffic_class: TrafficClass) -> None:
        self.demand = Demand(
            owner, priority=traffic_class.priority, guaranteed=traffic_class.share > 0
        )
        self.ceilings: list[RequestWindow] = []
        self.ceilings_tokens: list[TokenWindow] = []
        self.change(traffic_class)

    def change(self, traffic_class: TrafficClass) -> None:
        """Take over another priority, share or ceiling; what was spent under a ceiling stays."""
        self.traffic_class = traffic_class
        self.demand.priority = traffic_class.priority
        self.demand.guaranteed = traffic_class.share > 0
        self.demand.awaited = traffic_class.share > 0 and traffic_class.awaited
        limits = [Limit.parse(text) for text in traffic_class.ceiling]
        requests = [limit for limit in limits if limit.unit == "requests"]
        tokens = [limit for limit in limits if limit.unit == "tokens"]
        # A log can vouch for its own period only.
        old = {ceiling.limit.period: ceiling for ceiling in self.ceilings}
        old_tokens = {ceiling.limit.period: ceiling for ceiling in self.ceilings_tokens}
        self.ceilings = [
            old[limit.period].under(limit) if limit.period in old else RequestWindow(limit, 0.0)
            for limit in requests
        ]
        self.ceilings_tokens = [
            old_tokens[limit.period].under(limit)
            if limit.period in old_tokens
            else TokenWindow(limit, 0.0)
            for limit in tokens
        ]

    def blocked(self, tokens: int, now: float) -> Block | None:
        """Whether a ceiling is in the way of a request of so many tokens."""
        for ceiling in self.ceilings:
            ceiling.expire(now)
            if ceiling.used >= ceiling.amount:
                return _ceiling(ceiling, 1)
        for ceiling_tokens in self.ceilings_tokens:
            ceiling_tokens.expire(now)
            # What needs none goes also where too many are used: it may be what sets them free.
            if tokens and ceiling_tokens.used + tokens > ceiling_tokens.amount:
                return _ceiling(ceiling_tokens, tokens)
        return None


def _ceiling(window: RequestWindow | TokenWindow, units: int) -> Block:
    detail = f"its ceiling of {window.limit} is reached"
    return Block(Obstacle.CEILING, detail, window.returns_at(units))
