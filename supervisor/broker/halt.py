"""What follows when the key is unusable: all are told, and now and then one tries. Pure."""

from __future__ import annotations

from collections.abc import Callable

from supervisor.errors import KeyUnusable

PERIOD = 30.0
"""Seconds for which nothing is sent; then one request tries."""


class Halt:
    """Whether sending is halted, and why."""

    __slots__ = ("_began", "_error", "_renewed", "_trying", "_until")

    def __init__(self) -> None:
        self._error: Callable[[], KeyUnusable] | None = None
        self._began = self._until = self._renewed = float("-inf")
        self._trying = ""

    def begin(self, now: float, error: Callable[[], KeyUnusable]) -> None:
        """The key was refused.

        Args:
            now: Monotonic seconds.
            error: Makes the error that each request gets; one instance for each, since every
                raise adds to an exception's traceback.
        """
        self._error = error
        self._began = now
        self._until = now + PERIOD
        self._trying = ""

    def error(self, now: float, request_id: str) -> KeyUnusable | None:
        """The error for a request that wants to be sent; None when it may.

        After the period one request is let through, and the rest wait for what becomes of it.

        Args:
            now: Monotonic seconds.
            request_id: The request.
        """
        if self._error is None or self._trying == request_id:
            return None
        if now >= self._until and not self._trying:
            self._trying = request_id
            return None
        return self._error()

    def closed(self, now: float) -> bool:
        """Whether a request would be refused without being sent.

        Args:
            now: Monotonic seconds.
        """
        return self._error is not None and (bool(self._trying) or now < self._until)

    def passed(self, granted_at: float) -> None:
        """The API took the key.

        Args:
            granted_at: When that attempt was granted; one from before the halt proves nothing.
        """
        if granted_at >= self._began:
            self._error = None
            self._trying = ""

    def clear(self) -> None:
        """An operator says that it is mended."""
        self._error = None
        self._trying = ""

    def renew(self, now: float) -> bool:
        """Another key is sent with from now on.

        Args:
            now: Monotonic seconds.

        Returns:
            Whether sending was halted; it is not any more.
        """
        self._renewed = now
        was_halted = self._error is not None
        self.clear()
        return was_halted

    def outdated(self, granted_at: float) -> bool:
        """Whether an attempt may have gone with an earlier key: a refusal says nothing then.

        Args:
            granted_at: When it was granted.
        """
        return granted_at <= self._renewed

    def ended(self, request_id: str) -> None:
        """A request has ended; if it was the one that tried, another may."""
        if self._trying == request_id:
            self._trying = ""

    def reason(self, now: float) -> str:
        """Why sending is halted; empty when it is not."""
        return "" if self._error is None or now >= self._until else str(self._error())
