"""When is a transaction written on the event loop's own thread?

A short one takes some thirty microseconds there, and a hundred more by way of another thread and
back: a request alone waits for that before it may be sent. It is a write into the page cache, not
to the disk. What may take long goes to the thread: many rows, a file that somebody else writes
to, a checkpoint (which waits for the disk), and for a while everything, once one was slow.
"""

from __future__ import annotations

FEW = 32
"""Rows; with more of them the way to the thread no longer matters."""
SLOW = 0.005
"""Seconds that one may take; more means a disk that makes writers wait."""
REST = 2.0
"""Seconds for which nothing is written on the loop's thread after a slow one."""
IN_A_ROW = 256
"""Transactions on the loop's thread before one goes to the other, which checkpoints by the way."""


class Shortcut:
    """Decides by what the last transactions were like; asks no clock."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._rests_until = float("-inf")

    def __repr__(self) -> str:
        return f"<Shortcut in_a_row={self._in_a_row}>"

    def allows(self, size: int, now: float) -> bool:
        """Whether a transaction of so many rows may be written on the loop's thread.

        Args:
            size: Rows to be written.
            now: Monotonic seconds.
        """
        return size <= FEW and self._in_a_row < IN_A_ROW and now >= self._rests_until

    def took(self, seconds: float, now: float) -> None:
        """One was written on the loop's thread."""
        self._in_a_row += 1
        if seconds > SLOW:
            self._rests_until = now + REST

    def avoided(self) -> None:
        """One goes by way of the other thread."""
        self._in_a_row = 0
