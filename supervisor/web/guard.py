"""Stands before every route: turns away who must not come in, and tells how each request ended.

Whatever an error says, from wherever it comes, goes out through here, and so without the key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from supervisor.clock import Clock
from supervisor.errors import Draining, RequestError
from supervisor.web.cleaned import Cleaned
from supervisor.web.gateway import StreamLost
from supervisor.web.identity import Doorkeeper
from supervisor.web.origin import foreign
from supervisor.web.refusal import denied, refusal
from supervisor.web.static import STATIC_PATHS

_log = structlog.get_logger("supervisor.web")

OPEN_PATHS = frozenset({"/livez", "/readyz", "/health"}) | STATIC_PATHS
"""What a load balancer asks without a token; `/health` then tells no more than that. And the
dashboard's files: they hold no data, and a browser cannot send a token with a page it opens."""

OPERATOR = "supervisor.operator"
"""Key of the ASGI scope: whether the caller may see and do everything."""

_GATEWAY = "/v1/"


class _Watched:
    """An ASGI send that remembers the status it sent; 0 before."""

    __slots__ = ("_redact", "_send", "status")

    def __init__(self, send: Send, redact: Callable[[str], str]) -> None:
        self._send = send
        self._redact = redact
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 300:
                # Errors and redirects repeat what was asked for; answers are not looked through.
                self._send = Cleaned(self._send, self._redact)
        await self._send(message)


class Guard:
    """ASGI middleware; plain, for the gateway's sake.

    Args:
        app: What it guards.
        doorkeeper: Tells who may operate the house.
        clock: Tells the time.
        unguarded: Whether the server listens on loopback only and asks for no token; then the
            name it is called by is looked at, or a rebound page could do everything.
        redact: Removes the key from a text.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        doorkeeper: Doorkeeper,
        clock: Clock,
        unguarded: bool,
        redact: Callable[[str], str],
    ) -> None:
        self._app = app
        self._doorkeeper = doorkeeper
        self._clock = clock
        self._unguarded = unguarded
        self._redact = redact

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            StreamLost: Passed through, so that the server drops the connection.
        """
        if scope["type"] != "http":
            return
        answer = _Watched(send, self._redact)
        began = self._clock.monotonic()
        try:
            await self._safely(scope, receive, answer)
        finally:
            _log.debug(
                "web.request_answered",
                method=scope["method"],
                path=scope["path"],
                status=answer.status,
                ms=round((self._clock.monotonic() - began) * 1000, 1),
            )

    async def _safely(self, scope: Scope, receive: Receive, answer: _Watched) -> None:
        """Leave nobody without an answer, whatever happens inside."""
        try:
            await self._pass(scope, receive, answer)
        except StreamLost:
            raise
        except asyncio.CancelledError:
            # The server cancels what is still under way when its time to close is over.
            if not answer.status:
                await _refuse(answer, Draining("the supervisor is stopping", retry_after=5.0))
            raise
        except Exception:
            _log.exception("web.request_crashed", path=scope["path"])
            if answer.status:
                raise
            await _refuse(answer, RequestError("an internal error; the log has its traceback"))

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        reason = foreign(headers, scheme=scope["scheme"], unguarded=self._unguarded)
        if reason:
            _log.warning("web.request_refused", path=scope["path"], reason=reason)
            await _refuse(send, denied(reason, status=403, code="foreign_origin"))
            return
        path: str = scope["path"]
        operator = path.startswith(_GATEWAY) or self._doorkeeper.may_operate(
            headers.get(b"authorization")
        )
        if not operator and path not in OPEN_PATHS:
            error = denied(
                "this needs the supervisor's token",
                status=401,
                code="invalid_token",
                hint="send it as `Authorization: Bearer …`; the CLI takes it from SUPERVISOR_TOKEN",
            )
            await _refuse(send, error)
            return
        scope[OPERATOR] = operator
        await self._app(scope, receive, send)


async def _refuse(send: Send, error: RequestError) -> None:
    refused = refusal(error)
    await send(
        {"type": "http.response.start", "status": refused.status, "headers": refused.headers}
    )
    await send({"type": "http.response.body", "body": refused.body})
