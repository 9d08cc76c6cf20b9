"""What a run has asked and not been answered yet: it is paid for, so it is waited for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio


class UnderWay:
    """Counts the asks of one run that are under way."""

    def __init__(self) -> None:
        self._count = 0
        self._none = anyio.Event()

    @contextmanager
    def one(self) -> Generator[None, None, None]:
        """One more, for as long as the block lasts."""
        self._count += 1
        try:
            yield
        finally:
            self._less()

    async def ended(self) -> None:
        """Wait until there is none."""
        while self._count:
            await self._none.wait()

    async def others_ended(self) -> None:
        """Wait, inside of `one`, until there is none but such that wait here, too."""
        self._less()
        try:
            await self.ended()
        finally:
            self._count += 1

    def _less(self) -> None:
        self._count -= 1
        if not self._count:
            self._none.set()
            self._none = anyio.Event()

    def __repr__(self) -> str:
        return f"<UnderWay {self._count}>"
