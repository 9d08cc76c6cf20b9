"""Chance that repeats itself: the same seed and the same arrivals give the same run.

Each request throws its own dice, made from the seed and its place in the order of arrival. So what
befalls one request does not depend on how many throws another one needed. `random.Random` would do
too, but seeding one costs more than answering a small request.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1


class Dice:
    """A splitmix64 stream.

    Args:
        seed: The run's seed.
        index: Which request it is.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int, index: int) -> None:
        self._state = (seed * 0x9E3779B97F4A7C15 ^ _mixed(index + 1)) & _MASK

    def number(self) -> int:
        """A whole number of 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        return _mixed(self._state)

    def roll(self) -> float:
        """A number from 0 up to, but not including, 1."""
        return (self.number() >> 11) * 2.0**-53

    def below(self, bound: int) -> int:
        """A whole number from 0 up to, but not including, `bound`."""
        return self.number() % bound


def _mixed(value: int) -> int:
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
