"""What a process answers while another one owns the key: that it is well, and idle."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from supervisor.errors import RequestError
from supervisor.web.closing import Closing
from supervisor.web.document import document, error_response
from supervisor.web.refusal import denied

_AGAIN = 2.0
"""Seconds after which asking again makes sense: a clean handover takes less."""


def create_waiting_room(reason: str) -> Starlette:
    """The HTTP door of a process that waits to become the owner.

    Args:
        reason: What everybody is told.
    """

    async def livez(request: Request) -> Response:
        return document({"status": "ok"})

    async def health(request: Request) -> Response:
        return document({"status": "waiting", "reason": reason})

    async def readyz(request: Request) -> Response:
        return document({"status": "unavailable", "reason": reason}, status=503)

    async def refuse(request: Request) -> Response:
        return error_response(_not_owner(reason))

    anything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app = Starlette(
        routes=[
            Route("/livez", livez),
            Route("/health", health),
            Route("/readyz", readyz),
            Route("/{path:path}", refuse, methods=anything),
        ]
    )
    app.state.closing = Closing()
    return app


def _not_owner(reason: str) -> RequestError:
    error = denied(reason, status=503, code="not_owner", hint="ask again in a few seconds")
    error.retry_after = _AGAIN
    return error
