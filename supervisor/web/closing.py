"""Ends what would otherwise hold the server open: long polls, and whatever else waits for news."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio


class Closing:
    """Whether the server is closing, and what has to end then."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"<Closing closed={self._closed} waiting={len(self._scopes)}>"

    @contextmanager
    def at_most(self, seconds: float) -> Generator[None]:
        """A block that ends early when the time is over or the server closes.

        Args:
            seconds: Most time it may take.
        """
        with anyio.move_on_after(seconds) as scope:
            if self._closed:
                scope.cancel()
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def close(self) -> None:
        """End all such blocks, those to come as well."""
        self._closed = True
        for scope in self._scopes:
            scope.cancel()
