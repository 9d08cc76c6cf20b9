"""Which attempts does nobody need any more?

Those of this start of the system that are old by uptime as well. For others wall time is all there
is, and it may be wrong by days for a while: they stay until this process has run for as long as
anything counts that it found. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from supervisor.ledger import age, rows
from supervisor.ledger.attempt import Attempt
from supervisor.reading import Reading


class Sweeping:
    """What may be removed from a ledger.

    Args:
        kept: Seconds for which attempts are kept.
    """

    def __init__(self, kept: float) -> None:
        self._kept = kept
        self._newest: Attempt | None = None
        self._others_count_until = float("-inf")

    def __repr__(self) -> str:
        return f"<Sweeping kept={self._kept}>"

    @property
    def since(self) -> float:
        """Unix time from which on attempts are kept."""
        return 0.0 if self._newest is None else self._newest.granted - self._kept

    def wrote(self, attempts: Sequence[Attempt]) -> None:
        """These are the newest."""
        if attempts:
            self._newest = attempts[-1]

    def read(self, moment: float, by: Reading | None, now: float) -> None:
        """Windows were filled with what there is from a moment on.

        Args:
            moment: Unix time in seconds.
            by: When that was.
            now: The same in monotonic seconds.
        """
        if by is not None:
            self._others_count_until = max(self._others_count_until, now + by.wall - moment)

    def old(self, now: float) -> Mapping[str, float]:
        """What a statement needs to find some that can go; empty where none can.

        Args:
            now: Monotonic seconds.
        """
        newest = self._newest
        if newest is None:
            return {}
        return {
            "granted": newest.granted - self._kept,
            "boot": newest.boot or -1,
            "uptime": age.ticks(newest.uptime - self._kept),
            "others": now >= self._others_count_until,
            "most": rows.CHUNK,
        }
