"""Why a test that hangs does not hang all others: it can be let go of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import CoroutineType
from typing import Any


class Abandonable:
    """An async test that can be let go of when it ran out of time.

    The time-out interrupts the event loop and leaves the test waiting in it: the fixtures' ends,
    which anyio runs in the test's own task, would wait behind it for ever.
    """

    def __init__(self, test: Callable[..., Coroutine[Any, Any, None]]) -> None:
        self._test = test
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._task: asyncio.Task[Any] | None = None
        self._abandoned = False

    async def run(self, **arguments: Any) -> None:
        """Run the test."""
        self._task = asyncio.current_task()
        self._coroutine = self._test(**arguments)
        try:
            await self._coroutine
        except asyncio.CancelledError:
            if not self._abandoned or self._task is None:
                raise
            self._task.uncancel()
        finally:
            self._coroutine = None

    def waits_at(self) -> str:
        """Where the test waits, from the outside in; empty when it has ended."""
        places: list[str] = []
        inner: Any = self._coroutine
        while isinstance(inner, CoroutineType) and inner.cr_frame is not None:
            places.append(f"{Path(inner.cr_code.co_filename).name}:{inner.cr_frame.f_lineno}")
            inner = inner.cr_await
        return " > ".join(places)

    def abandon(self) -> None:
        """Cancel the test until it gives in, as soon as the loop runs again."""
        if self._coroutine is not None and self._task is not None:
            self._abandoned = True
            self._task.cancel()
            self._task.get_loop().call_later(1.0, self.abandon)
