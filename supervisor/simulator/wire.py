"""The bytes: reading a request, sending a response, waiting, and leaving in the middle.

Raw ASGI, because the simulator is the upstream in benchmarks: Starlette's Request and Response
objects would cost more than everything else that a small request needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from starlette.types import Receive, Scope, Send

from supervisor.simulator.failures import Failure

HANG_UP = "supervisor.hang_up"
"""Key of `scope["extensions"]` under which the server lends `end()`, which ends the connection."""

LARGEST_BODY = 32 * 1024 * 1024
"""Bytes of a request that are read at most."""

Headers = list[tuple[bytes, bytes]]

_LEFT = "the client closed the connection before the answer was complete"


async def read_body(receive: Receive) -> bytes | None:
    """The whole body, None when it is larger than `LARGEST_BODY`.

    Raises:
        ConnectionAbortedError: The connection was closed in the middle of it.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        return body
    parts: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        part: bytes = message.get("body", b"")
        size += len(part)
        # Read on even when it is too large: a client that is still sending cannot hear the no.
        if size <= LARGEST_BODY:
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if size <= LARGEST_BODY else None
        message = await receive()
    raise ConnectionAbortedError(_LEFT)


async def pause(receive: Receive, seconds: float) -> None:
    """Wait, but not for a client that is gone.

    Args:
        receive: The request's; its body has been read.
        seconds: How long.

    Raises:
        ConnectionAbortedError: The connection was closed meanwhile.
    """
    if seconds <= 0:
        return
    with anyio.move_on_after(seconds):
        await until_left(receive)
        raise ConnectionAbortedError(_LEFT)


async def until_left(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def hang_up(scope: Scope, receive: Receive) -> None:
    """End the connection without another byte.

    Raises:
        ConnectionResetError: The server lends no way to do it (as in httpx's ASGITransport): the
            error takes its place, and whoever drives the app has to take it for a cut connection.
    """
    end = scope.get("extensions", {}).get(HANG_UP)
    if end is None:
        raise ConnectionResetError("the simulator cut the connection")
    end["end"]()
    await until_left(receive)


async def send_body(
    send: Send,
    body: bytes,
    *,
    status: int = 200,
    content_type: bytes = b"application/json",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Send a response that is there as a whole.

    Args:
        send: The request's.
        body: The bytes.
        status: HTTP status.
        content_type: Value of that header.
        headers: Further headers, lower-case names.
    """
    fields = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def start_stream(send: Send, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Send the head of a stream of events."""
    fields = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-cache"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": fields})


async def send_event(send: Send, event: bytes) -> None:
    """Send one piece of a stream."""
    await send({"type": "http.response.body", "body": event, "more_body": True})


async def end_stream(send: Send) -> None:
    """End a stream in good order."""
    await send({"type": "http.response.body", "body": b""})


async def send_failure(
    send: Send, failure: Failure, *, sentence_codes: bool, headers: Sequence[tuple[bytes, bytes]]
) -> None:
    """Send an error.

    Args:
        send: The request's.
        failure: The error.
        sentence_codes: Write its code as the older sentence.
        headers: Further headers.
    """
    await send_body(
        send,
        failure.body(sentence_codes=sentence_codes),
        status=failure.status,
        content_type=failure.content_type,
        headers=headers,
    )
