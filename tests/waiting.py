"""Waiting in tests: for what is logged, and for what tells nobody. It never lasts for ever."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar, cast

import anyio
from anyio import lowlevel
from structlog.testing import capture_logs
from structlog.typing import EventDict, WrappedLogger

PATIENCE = 10.0
"""Seconds of the loop's time: what has not come by then does not come."""
_TURNS = 100
_LOOK = 0.002
_NOTICE = 0.3
_LONG = 30.0
"""Seconds: other processes start, and a loaded machine lets them wait."""
_MOMENT = 0.02
T = TypeVar("T")


async def until(is_so: Callable[[], object], *, patience: float = PATIENCE) -> None:
    """Wait for what tells nobody.

    Most of it happens in this loop, which is let turn. What has not come after many turns is
    another thread's, another process's or a server's to do: it is looked at now and then.

    Args:
        is_so: Whether it has come; may be async.
        patience: Seconds to wait at most.

    Raises:
        AssertionError: It did not come.
    """
    looks = 0
    with anyio.move_on_after(patience) as scope:
        while not await _found(is_so):
            looks += 1
            await (lowlevel.checkpoint() if looks < _TURNS else anyio.sleep(_LOOK))
    assert not scope.cancelled_caught, f"not so in {patience:g} s: {_source(is_so)}"


def seen(found: Callable[[], T], awaited: str, *, pause: Callable[[], object] | None = None) -> T:
    """Look at another process or a server until there is something to see.

    Args:
        found: The look; it is work for the other, too, who is let work in between.
        awaited: What is looked for, in words.
        pause: Waits a moment.

    Returns:
        The first thing seen that is true.

    Raises:
        AssertionError: It never came.
    """
    end = time.perf_counter() + _LONG
    while not (one := found()):
        assert time.perf_counter() < end, f"not seen in {_LONG:g} s: {awaited}"
        (pause or _pause)()
    return one


def _pause() -> None:
    threading.Event().wait(_MOMENT)


async def until_noticed(do: Callable[[], object], is_so: Callable[[], object]) -> None:
    """Do something again and again until it has had its effect.

    Whoever watches files does not tell when it has begun: the first times may be before that.

    Args:
        do: What is to be noticed.
        is_so: Whether it was.

    Raises:
        AssertionError: It never was.
    """
    with anyio.move_on_after(PATIENCE) as scope:
        while not await _found(is_so):
            do()
            with anyio.move_on_after(_NOTICE):
                await until(is_so)
    assert not scope.cancelled_caught, f"not noticed in {PATIENCE:g} s: {_source(is_so)}"


async def _found(is_so: Callable[[], object]) -> object:
    found = is_so()
    return await cast("Awaitable[object]", found) if isinstance(found, Awaitable) else found


def _source(is_so: Callable[[], object]) -> str:
    """The lines that the condition stands in: what was awaited."""
    try:
        return inspect.getsource(is_so).strip()
    except (OSError, TypeError):
        return repr(is_so)


class Heard:
    """What is logged, by whatever thread.

    Attributes:
        events: All of it.
    """

    def __init__(self) -> None:
        self.events: list[EventDict] = []
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        self.events.append(event)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._news.set)
        return event

    @property
    def names(self) -> list[str]:
        """The names of all events so far."""
        return [event["event"] for event in self.events]

    async def until(self, name: str, times: int = 1) -> EventDict:
        """Wait for an event.

        Args:
            name: Its name.
            times: How many of this name there are to be, those of before included.

        Returns:
            The last of these.

        Raises:
            AssertionError: It did not come.
        """
        self._loop = asyncio.get_running_loop()
        with anyio.move_on_after(PATIENCE):
            while True:
                self._news.clear()
                found = [event for event in self.events if event["event"] == name]
                if len(found) >= times:
                    return found[times - 1]
                await self._news.wait()
        raise AssertionError(f"expected {times} times {name} in {PATIENCE:g} s, got: {self.names}")


@contextmanager
def heard() -> Generator[Heard]:
    """What is logged during the block, which can be waited for."""
    heard = Heard()
    with capture_logs([heard]):
        yield heard
