"""Whether somebody sits at a terminal: then, and only then, others are paced for his sake.

The room for a question or two is always kept. But pacing for people who may come at any time would
hold back whoever works alone, for nobody's sake, all night.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import anyio
from starlette.requests import Request
from starlette.responses import Response

from supervisor.clock import Clock
from supervisor.web.document import document

KEPT = 120.0
"""Seconds for which somebody counts as there who has said so; a terminal says so twice as often."""
_LOOK = 5.0


class Presence:
    """Remembers when somebody was there.

    Args:
        changed: Told whether somebody is there now, whenever that changes.
        clock: Tells the time.
    """

    def __init__(self, changed: Callable[[bool], None], *, clock: Clock) -> None:
        self._changed = changed
        self._clock = clock
        self._until = clock.monotonic()
        self._present = False

    def __repr__(self) -> str:
        return f"<Presence: {'somebody' if self._present else 'nobody'} is there>"

    async def run(self) -> NoReturn:
        """Notice when nobody is there any more, until cancelled."""
        while True:
            await anyio.sleep(_LOOK)
            if self._present and self._clock.monotonic() >= self._until:
                self._set(present=False)

    async def seen(self, request: Request) -> Response:
        """Somebody sits at a terminal, and will for the next two minutes."""
        self._until = self._clock.monotonic() + KEPT
        if not self._present:
            self._set(present=True)
        return document({"present_s": KEPT})

    def _set(self, *, present: bool) -> None:
        self._present = present
        self._changed(present)
