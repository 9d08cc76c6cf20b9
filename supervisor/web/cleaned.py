"""A response that may repeat what was asked, on its way out without the key."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Message, Send


class Cleaned:
    """An ASGI send for one error or redirect; each is short and comes in one piece.

    Args:
        send: The send behind it.
        redact: Removes the key from a text.
    """

    __slots__ = ("_body", "_redact", "_send", "_start")

    def __init__(self, send: Send, redact: Callable[[str], str]) -> None:
        self._send = send
        self._redact = redact
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        """Keep what comes until it is whole: its head tells how long the body is."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = self._clean(self._body, "utf-8")
        headers = [(name, self._clean(value, "latin-1")) for name, value in self._start["headers"]]
        if body != self._body:
            length = (b"content-length", b"%d" % len(body))
            headers = [
                length if name == b"content-length" else (name, value) for name, value in headers
            ]
        await self._send({**self._start, "headers": headers})
        await self._send({**message, "body": body})

    def _clean(self, raw: bytes, encoding: str) -> bytes:
        text = self._redact(raw.decode(encoding, "surrogateescape"))
        return text.encode(encoding, "surrogateescape")
