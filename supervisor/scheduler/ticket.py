"""A request's place in the queue."""

from __future__ import annotations

from enum import Enum
from typing import Any

_NEVER = float("inf")


class TicketState(Enum):
    """Where a ticket is in its life."""

    NEW = "new"
    WAITING = "waiting"
    DELAYED = "delayed"
    GRANTED = "granted"
    LEFT = "left"


class Ticket:
    """What the scheduler knows of a request. Kept small: a million of them may wait.

    Args:
        request_id: The request's id.
        owner: Number of its traffic class.
        priority: 0 (most urgent) to 99; may be more urgent than the class's own.
        tokens: Tokens one attempt of it is expected to use.

    Attributes:
        cost: Ticks of 1e-10 US dollars that one attempt is likely to cost; 0 without budgets.
        age: Place in the order of arrival; a retry keeps it.
        since: Monotonic seconds at which it began to wait (again).
        deadline: Monotonic seconds after which it is given up; infinity for never.
        attempts: Grants it has had.
        not_before: Monotonic seconds before which a retry must not go.
        first_at: Since when it stands first in line and lacks room; infinity if it does not.
        timer: Its entry among the deadlines; None without one.
        state: Where it is in its life.
    """

    __slots__ = (
        "age",
        "attempts",
        "cost",
        "deadline",
        "first_at",
        "not_before",
        "owner",
        "priority",
        "request_id",
        "since",
        "state",
        "timer",
        "tokens",
    )

    def __init__(self, request_id: str, *, owner: int, priority: int, tokens: int = 0) -> None:
        self.request_id = request_id
        self.owner = owner
        self.priority = priority
        self.tokens = tokens
        self.cost = 0
        self.age = -1
        self.since = 0.0
        self.deadline = _NEVER
        self.attempts = 0
        self.not_before = 0.0
        self.first_at = _NEVER
        self.timer: list[Any] | None = None
        self.state = TicketState.NEW

    @property
    def waited_for_room(self) -> bool:
        """It stood first in line and a window was full."""
        return self.first_at < _NEVER
