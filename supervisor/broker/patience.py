"""Asking with patience: while the key is refused or the ledger away, waiting and not failing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio

from supervisor.broker.halt import Halt
from supervisor.clock import Clock
from supervisor.errors import KeyUnusable, LedgerUnavailable, RequestError

T = TypeVar("T")

_LOOK = 0.5
"""Seconds between two looks whether the key may be tried again."""
_LONGEST = 32.0
"""Most seconds before something is tried again that could not be written down."""


class Patience:
    """Waits for the key, and for the ledger.

    Args:
        halt: Whether the key is refused.
        clock: Tells the time.
    """

    def __init__(self, halt: Halt, clock: Clock) -> None:
        self._halt = halt
        self._clock = clock

    async def ask(
        self, call: Callable[[], Awaitable[T]], *, on_wait: Callable[[RequestError], None]
    ) -> T:
        """Make a call, again and again while nothing but a refused key or the ledger stops it.

        Args:
            call: Asks the broker.
            on_wait: Told once when it is to be made again.

        Raises:
            KeyUnusable: It is not the key as a whole, but a model that is closed to it.
        """
        told: RequestError | None = None
        delay = _LOOK
        while True:
            try:
                return await call()
            except LedgerUnavailable as error:
                trouble: RequestError = error
                # Ever more slowly: a grant that was not sent has used its place all the same.
                delay = min(2.0 * delay, _LONGEST)
                wait: Callable[[], Awaitable[None]] = partial(anyio.sleep, delay)
            except KeyUnusable as error:
                if not error.whole:
                    raise
                trouble, wait = error, self._until_usable
            if type(trouble) is not type(told):
                told = trouble
                on_wait(trouble)
            await wait()

    async def _until_usable(self) -> None:
        while True:
            # First of all: whoever was refused a moment ago must not ask again at once.
            await anyio.sleep(_LOOK)
            if not self._halt.closed(self._clock.monotonic()):
                return
