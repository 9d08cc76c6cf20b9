"""How full the windows and the queue were over the last minutes, for the page's chart."""

from __future__ import annotations

from collections import deque
from typing import Any

from supervisor.broker.snapshot import BrokerSnapshot

KEPT = 900.0
"""Seconds that are remembered."""

STEP = 5.0
"""Seconds between two points."""


class History:
    """The last points."""

    def __init__(self) -> None:
        self._limits: list[str] = []
        self._points: deque[tuple[float, ...]] = deque(maxlen=int(KEPT / STEP) + 1)

    def __repr__(self) -> str:
        return f"<History {len(self._points)} points of {self._limits}>"

    def add(self, broker: BrokerSnapshot, *, now: float) -> None:
        """Remember one moment, unless the last one was less than `STEP` ago.

        Args:
            broker: The broker as it is now.
            now: Unix time, in seconds.
        """
        windows = broker.quota.windows
        limits = [window.limit for window in windows]
        if limits != self._limits:
            self._limits = limits
            self._points.clear()
        # Half a tick of slack: ticks come a little early or late.
        if self._points and 0 <= now - self._points[-1][0] < STEP - 0.5:
            return
        queued = sum(one.queued for one in broker.classes)
        fills = (round(window.used / window.amount, 4) for window in windows)
        self._points.append((round(now, 1), queued, *fills))

    def table(self) -> dict[str, Any]:
        """All points as a JSON value: `[time, queued, fill of each limit …]`, oldest first."""
        return {"limits": self._limits, "points": list(self._points), "kept_s": KEPT}
