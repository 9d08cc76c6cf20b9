"""Looks names up in threads that end with the process.

uvloop asks in threads of its own, for which the process waits at its end: a name server that is
away keeps each busy for half a minute, and so would a stop during that outage take as long.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar, cast

from aiohttp.resolver import ThreadedResolver

T = TypeVar("T")


def resolver() -> ThreadedResolver:
    """The resolver of aiohttp, asking in these threads instead of the event loop's."""
    return ThreadedResolver(cast("asyncio.AbstractEventLoop", _Names()))


class _Names:
    """What the resolver uses of an event loop."""

    async def getaddrinfo(self, *of: Any, **how: Any) -> Any:
        return await _in_thread(partial(socket.getaddrinfo, *of, **how))

    async def getnameinfo(self, *of: Any) -> Any:
        return await _in_thread(partial(socket.getnameinfo, *of))


async def _in_thread(ask: Callable[[], T]) -> T:
    answer: Future[T] = Future()
    # From now on nobody can cancel it: whoever gives up leaves it to the thread.
    answer.set_running_or_notify_cancel()

    def work() -> None:
        try:
            answer.set_result(ask())
        except UnicodeError as error:
            # Of a name that cannot be one; callers know the system's errors only.
            answer.set_exception(socket.gaierror(socket.EAI_NONAME, str(error)))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="name look-up", daemon=True).start()
    return await asyncio.wrap_future(answer)
