"""What somebody else has spent of one window, as far as the server's answers prove it.

Each proof says "so many at least, in the window that ends now". When exactly they leave is
unknown, but at the latest one period later. So the highest proof of the last period counts.
"""

from __future__ import annotations

from collections import deque

_NEVER = float("inf")


class Others:
    """The highest of the counts seen within the last `span` seconds.

    Args:
        span: Seconds.

    Attributes:
        units: That count now.
        until: Monotonic seconds at which it has to be looked at again.
    """

    __slots__ = ("_seen", "_span", "units", "until")

    def __init__(self, span: float) -> None:
        self._span = span
        self._seen: deque[tuple[float, int]] = deque()
        self.units = 0
        self.until = _NEVER

    def see(self, units: int, now: float) -> int:
        """So many were proved to be spent.

        Args:
            units: At least 1.
            now: Monotonic seconds; never decreases.

        Returns:
            By how much the count grows.
        """
        seen = self._seen
        while seen and seen[-1][1] <= units:
            seen.pop()
        seen.append((now, units))
        return self._counted()

    def expire(self, now: float) -> int:
        """Forget what has left the window.

        Returns:
            By how much the count shrinks, as a negative number.
        """
        seen = self._seen
        while seen and seen[0][0] + self._span <= now:
            seen.popleft()
        return self._counted()

    def _counted(self) -> int:
        before = self.units
        self.units = self._seen[0][1] if self._seen else 0
        self.until = self._seen[0][0] + self._span if self._seen else _NEVER
        return self.units - before
