"""Asking with patience: while the key is refused, waiting instead of failing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from supervisor.broker.halt import Halt
from supervisor.clock import Clock
from supervisor.errors import KeyUnusable

T = TypeVar("T")

_LOOK = 0.5
"""Seconds between two looks whether the key may be tried again."""


class Patience:
    """Waits for the key.

    Args:
        halt: Whether the key is refused.
        clock: Tells the time.
    """

    def __init__(self, halt: Halt, clock: Clock) -> None:
        self._halt = halt
        self._clock = clock

    async def ask(
        self, call: Callable[[], Awaitable[T]], *, on_wait: Callable[[KeyUnusable], None]
    ) -> T:
        """Make a call, again and again while it fails of nothing but a refused key.

        Args:
            call: Asks the broker.
            on_wait: Told once when it is to be made again.

        Raises:
            KeyUnusable: It is not the key as a whole, but a model that is closed to it.
        """
        told = False
        while True:
            try:
                return await call()
            except KeyUnusable as error:
                if not error.whole:
                    raise
                if not told:
                    on_wait(error)
                told = True
            await self._until_usable()

    async def _until_usable(self) -> None:
        while True:
            # First of all: whoever was refused a moment ago must not ask again at once.
            await anyio.sleep(_LOOK)
            if not self._halt.closed(self._clock.monotonic()):
                return
