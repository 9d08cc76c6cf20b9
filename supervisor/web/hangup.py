"""Ends work for a client that has gone away.

A client that times out and asks again must not hold two places in the queue, and an answer that
nobody reads must not go on costing tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
from starlette.types import Receive

T = TypeVar("T")


async def until_hangup(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """Do the work unless the client goes away first; then it is cancelled at once.

    Args:
        receive: The ASGI receive of a request whose body has been read to its end.
        work: What is done for the client.

    Returns:
        What the work came to; None when the client has gone.
    """
    with anyio.CancelScope() as scope:
        # A plain task and not a task group: it holds nothing, ends on the next turn of the loop,
        # and a group for every request would cost as much as the rest of the gateway.
        watch = asyncio.create_task(_watch(receive, scope))
        try:
            return await work
        finally:
            watch.cancel()
    return None


async def _watch(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
