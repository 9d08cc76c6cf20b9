"""The one `AsyncLimiter` and its one consumer: lets what must be paced through at an even rate.

aiolimiter wakes the smallest waiter first and lets newcomers barge in, so only one task may ever
wait in it. It holds no request: when it lets one through, the dispatcher takes whichever is best
by then. A slower pace than the fastest is asked for as a larger amount of the same limiter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiolimiter import AsyncLimiter

_BURST = 8


class Pacer:
    """Turns a rate into permissions, one at a time.

    Args:
        fastest: Grants per second that are never exceeded.
        ready: Called when a permission is there.
    """

    def __init__(self, fastest: float, ready: Callable[[], None]) -> None:
        self._fastest = fastest
        self._ready = ready
        self._limiter = AsyncLimiter(_BURST, _BURST / fastest)
        self._wanted = asyncio.Event()
        self._rate = fastest
        self._permission = False

    @property
    def permission(self) -> bool:
        """Whether one paced grant may go now."""
        return self._permission

    def want(self, rate: float) -> None:
        """Ask for a permission; `ready` is called when it is there.

        Args:
            rate: Grants per second, at most the fastest.
        """
        self._rate = rate
        self._wanted.set()

    def spend(self) -> None:
        """Use the permission up."""
        self._permission = False

    async def run(self) -> None:
        """Acquire permissions for ever."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not self._permission:
                left = 1.0
                while left > 0:
                    # Piece by piece: whoever may go faster by now need not wait for the whole.
                    amount = self._fastest / self._rate
                    piece = min(float(_BURST), amount * left)
                    await self._limiter.acquire(piece)
                    left -= piece / amount if piece < amount * left else left
                self._permission = True
            self._ready()
