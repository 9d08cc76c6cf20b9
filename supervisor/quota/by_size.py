"""The most that things of some size came to, so that others of any size are seldom dearer. Pure.

What an amount comes to is a part that goes by the size (a text), and one that does not (the frame
round it). Small things are mostly frame: their mean says little of large ones. So the highest are
kept for each power of two, and a size of which nothing is known goes by its neighbours.
"""

from __future__ import annotations

from collections import deque

_OF_LATE = 50
"""Amounts of a like size that are remembered."""


class BySize:
    """What was seen of late, by size.

    Args:
        least: Amount that anything has for each unit of its size.
    """

    __slots__ = ("_highest", "_least", "_seen")

    def __init__(self, *, least: float) -> None:
        self._least = least
        self._seen: dict[int, deque[tuple[float, float, float]]] = {}
        self._highest: dict[int, tuple[float, float, float]] = {}

    def learn(self, size: int, amount: float, *, beyond: float) -> None:
        """Remember what a thing has come to.

        Args:
            size: Its size, above 0.
            amount: That.
            beyond: Amount for each unit that far larger ones are thought to have, after it.
        """
        like = size.bit_length()
        seen = self._seen.setdefault(like, deque(maxlen=_OF_LATE))
        seen.append((amount / size, amount - size * self._least, beyond))
        rate, frame, beyond = map(max, zip(*seen, strict=True))
        self._highest[like] = rate, frame, beyond

    def high(self, size: int, *, least: float = 0.0) -> float:
        """What a thing of a size comes to, seldom too low.

        Args:
            size: That.
            least: Amount for each unit of its size, where it is known to be more than is usual.
        """
        like, least = size.bit_length(), max(least, self._least)
        below = max((one for one in self._highest if one <= like), default=None)
        above = min((one for one in self._highest if one >= like), default=None)
        high = size * least
        if below is not None:
            rate, frame, beyond = self._highest[below]
            rate = rate if below == like else beyond
            high = max(high, size * rate, size * self._least + frame)
        if above is not None:
            high = max(high, size * self._highest[above][0])
        return high
