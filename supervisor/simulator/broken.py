"""Answers that are none, with status 200: what a broken server or the network before it sends.

Sending is all there is to it; which request it befalls is decided in `fate.py`.
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from supervisor.simulator import wire
from supervisor.simulator.fate import Fate

BROKEN: frozenset[Fate] = frozenset(
    {"cut", "silent", "empty", "html_answer", "malformed", "wrong_length"}
)
"""Fates that take the place of a whole answer, streamed or not."""

_PAGE = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Log in</body></html>\n"
_MISSING = 100
"""Bytes that are promised and never come."""


class BrokenAnswer:
    """One answer and how it breaks.

    Args:
        body: All of the answer's bytes.
        stream: Whether they are server-sent events.
        headers: Further headers of the response.
        stall: Seconds that a silent server keeps the connection open.
    """

    def __init__(self, body: bytes, *, stream: bool, headers: wire.Headers, stall: float) -> None:
        self._body = body
        self._stream = stream
        self._headers = headers
        self._stall = stall

    async def send(self, fate: Fate, scope: Scope, *, receive: Receive, send: Send) -> None:
        """Send what is left of it; returns when the connection is free or gone."""
        if fate == "silent":
            await wire.pause(receive, self._stall)
        if fate in ("cut", "silent"):
            await wire.hang_up(scope, receive)
        elif fate == "wrong_length":
            await self._send_short(send)
            await wire.hang_up(scope, receive)
        else:
            body, kind = self._content(fate)
            await wire.send_body(send, body, content_type=kind, headers=self._headers)

    def _content(self, fate: Fate) -> tuple[bytes, bytes]:
        if fate == "html_answer":
            return _PAGE, b"text/html; charset=UTF-8"
        if fate == "empty":
            return b"", self._kind
        # An event that is whole and holds half a document; nothing but the JSON is wrong.
        end = b"\n\n" if self._stream else b""
        first = self._body.partition(b"\n\n")[0] if self._stream else self._body
        return first[: len(first) // 2] + end, self._kind

    async def _send_short(self, send: Send) -> None:
        half = self._body[: len(self._body) // 2]
        length = b"%d" % (len(half) + _MISSING)
        headers = [(b"content-type", self._kind), (b"content-length", length), *self._headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})

    @property
    def _kind(self) -> bytes:
        return b"text/event-stream" if self._stream else b"application/json"
