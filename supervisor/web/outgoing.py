"""The response of one gateway call on its way out.

Knows whether it has begun, since that decides how an error can still be told.
"""

from __future__ import annotations

from typing import Any

from starlette.types import Send

from supervisor.broker.reply import StreamedReply
from supervisor.errors import RequestError
from supervisor.messages import Reply
from supervisor.web.refusal import HeaderList, refusal, stream_event

_STREAMED: HeaderList = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
_END: dict[str, Any] = {"type": "http.response.body", "body": b""}


class Outgoing:
    """What goes back to the client.

    Args:
        send: The ASGI send.

    Attributes:
        started: The status line has gone out.
        streaming: A streamed answer has begun, and more of it is to come.
        role: The traffic class that the call counts for; empty until known.
        call: The id of the call; empty until it has one.
    """

    __slots__ = ("_send", "call", "role", "started", "streaming")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = self.streaming = False
        self.role = ""
        self.call = ""

    async def answer(self, reply: Reply) -> None:
        """Send a whole answer."""
        headers = self._headers(reply)
        headers.append((b"content-length", b"%d" % len(reply.body)))
        await self._begin(reply.status, headers)
        await self._send({"type": "http.response.body", "body": reply.body})

    async def begin(self, reply: StreamedReply) -> None:
        """Send the head of a streamed answer."""
        headers = self._headers(reply)
        headers += _STREAMED
        self.streaming = True
        await self._begin(reply.status, headers)

    async def event(self, raw: bytes) -> None:
        """Send one event of a streamed answer."""
        await self._send({"type": "http.response.body", "body": raw, "more_body": True})

    async def end(self) -> None:
        """End a streamed answer that is complete."""
        self.streaming = False
        await self._send(_END)

    async def refuse(self, error: RequestError) -> None:
        """Send an error response; nothing may have been sent before."""
        refused = refusal(error)
        await self._begin(refused.status, [*refused.headers, *self._own()])
        await self._send({"type": "http.response.body", "body": refused.body})

    async def break_off(self, error: RequestError, *, named: bool) -> None:
        """Tell within the stream why it ends here; the connection has to be dropped then.

        Args:
            error: Why.
            named: Whether the stream's events have names.
        """
        await self.event(stream_event(error, named=named))

    async def _begin(self, status: int, headers: HeaderList) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _headers(self, reply: Reply | StreamedReply) -> HeaderList:
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in reply.headers.items()
        ]
        headers += (
            (b"x-supervisor-wait-ms", b"%d" % (reply.wait * 1000)),
            (b"x-supervisor-attempts", b"%d" % reply.attempts),
        )
        headers += self._own()
        if "x-request-id" not in reply.headers:
            headers.append((b"x-request-id", self.call.encode()))
        return headers

    def _own(self) -> HeaderList:
        if not self.role:
            return []
        own = [(b"x-supervisor-role", self.role.encode("latin-1"))]
        if self.call:
            own.append((b"x-supervisor-request", self.call.encode()))
        return own
