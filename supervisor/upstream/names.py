"""Looks names up where nobody has to wait for a name server that is silent.

uvloop asks in threads of its own, for which the process waits at its end: a name server that is
away keeps each busy for half a minute, and so would a stop during that outage take as long.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, cast

from aiohttp.resolver import ThreadedResolver

from supervisor.upstream.thread import ask_in_thread


def resolver() -> ThreadedResolver:
    """The resolver of aiohttp, asking in such threads instead of the event loop's."""
    return ThreadedResolver(cast("asyncio.AbstractEventLoop", _Names()))


class _Names:
    """What the resolver uses of an event loop."""

    async def getaddrinfo(self, *of: Any, **how: Any) -> Any:
        try:
            return await ask_in_thread(partial(socket.getaddrinfo, *of, **how))
        except UnicodeError as error:
            # Of a name that cannot be one; callers know the system's errors only.
            raise socket.gaierror(socket.EAI_NONAME, str(error)) from error

    async def getnameinfo(self, *of: Any) -> Any:
        return await ask_in_thread(partial(socket.getnameinfo, *of))
