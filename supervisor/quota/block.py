"""Why something may not go now: one value that every view renders the same way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Obstacle(StrEnum):
    """What stands in the way of a request."""

    WINDOW = "window"
    RESERVE = "reserve"
    CEILING = "ceiling"
    CONCURRENCY = "concurrency"
    BURST = "burst"
    PACE = "pace"
    PAUSE = "pause"
    RETRY = "retry"
    DEFERRED = "deferred"
    TURN = "turn"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Block:
    """An obstacle and when it may be gone.

    Attributes:
        obstacle: What kind it is.
        detail: One phrase for people, for example the limit that is full.
        until: Monotonic seconds at which to look again; infinity when an event must come first.
        saves: Room must be saved meanwhile: the request is larger than what is free.
    """

    obstacle: Obstacle
    detail: str
    until: float
    saves: bool = False

    @property
    def short_of_room(self) -> bool:
        """Whether a window of the key is in the way, as opposed to the class's own bounds."""
        return self.obstacle in {Obstacle.WINDOW, Obstacle.RESERVE}
