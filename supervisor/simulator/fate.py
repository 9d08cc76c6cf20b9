"""What befalls a request that was admitted: an answer, or one of the ways to go wrong."""

from __future__ import annotations

from typing import Literal, cast

from supervisor.simulator.dice import Dice
from supervisor.simulator.settings import Faults

Fate = Literal[
    "answer",
    "server_error",
    "html_error",
    "capacity",
    "cut",
    "silent",
    "empty",
    "html_answer",
    "malformed",
    "wrong_length",
    "cut_stream",
    "stall_stream",
    "endless_stream",
    "stream_error",
]

_STREAMS_ONLY = ("cut_stream", "stall_stream", "endless_stream", "stream_error")


class Fates:
    """Deals fates with given probabilities.

    Args:
        faults: The probabilities.
    """

    def __init__(self, faults: Faults) -> None:
        self._chances: list[tuple[Fate, float]] = [
            (cast(Fate, name), chance) for name, chance in faults.chances().items() if chance > 0
        ]

    def deal(self, dice: Dice, *, stream: bool) -> Fate:
        """One request's fate; one roll, so that the rest of its chance stays in step.

        Args:
            dice: The request's own chance.
            stream: Whether the answer is streamed; what befalls streams passes others by.
        """
        if not self._chances:
            return "answer"
        roll = dice.roll()
        for fate, chance in self._chances:
            if roll < chance:
                return fate if stream or fate not in _STREAMS_ONLY else "answer"
            roll -= chance
        return "answer"
