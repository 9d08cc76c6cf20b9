"""All routes of the HTTP door in one list."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from supervisor.errors import SupervisorError
from supervisor.messages import Endpoint
from supervisor.web.calls import Calls
from supervisor.web.closing import Closing
from supervisor.web.document import error_response
from supervisor.web.gateway import Gateway
from supervisor.web.guard import Guard
from supervisor.web.health_api import HealthApi
from supervisor.web.hub import Hub
from supervisor.web.identity import Doorkeeper
from supervisor.web.jobs_api import JobsApi
from supervisor.web.keys_api import KeysApi
from supervisor.web.live import Live
from supervisor.web.memory_api import MemoryApi
from supervisor.web.models import Models
from supervisor.web.origin import is_loopback
from supervisor.web.page import Page
from supervisor.web.queue_api import QueueApi
from supervisor.web.refusal import denied
from supervisor.web.roles_api import RolesApi
from supervisor.web.schedules_api import SchedulesApi
from supervisor.web.static import Static

_ENDPOINTS: tuple[Endpoint, ...] = ("/chat/completions", "/responses")


def create_app(hub: Hub) -> Starlette:
    """The HTTP door of a house.

    Args:
        hub: The house.

    Returns:
        The ASGI application; `app.state.closing` ends its long polls, and `app.state.live.run`
        has to run beside it to feed the dashboard.

    Raises:
        ConfigError: A client's token is missing.
    """
    web = hub.settings.web
    doorkeeper = Doorkeeper(
        token=web.token.get_secret_value() if web.token else "",
        clients={
            name: token.get_secret_value() for name, token in hub.settings.client_tokens().items()
        },
        classes=hub.classes,
    )
    closing = Closing()
    live = Live(hub, HealthApi(hub), closing)
    guard = Middleware(
        Guard,
        doorkeeper=doorkeeper,
        clock=hub.clock,
        unguarded=web.token is None and is_loopback(web.host),
        redact=hub.broker.redact,
    )
    app = Starlette(
        routes=_routes(hub, doorkeeper, closing, live=live),
        middleware=[guard],
        exception_handlers={SupervisorError: _on_error, HTTPException: _on_http_error},
    )
    app.state.closing = closing
    app.state.live = live
    return app


def _routes(hub: Hub, doorkeeper: Doorkeeper, closing: Closing, *, live: Live) -> list[BaseRoute]:
    calls = Calls()
    models = Models(hub.models, doorkeeper=doorkeeper, clock=hub.clock)
    health, jobs = HealthApi(hub), JobsApi(hub, closing)
    roles, queue, static = RolesApi(hub), QueueApi(hub, calls), Static()
    memory, keys, schedules = MemoryApi(hub), KeysApi(hub), SchedulesApi(hub)
    gateways = (
        Gateway(
            endpoint,
            hub.broker,
            doorkeeper=doorkeeper,
            calls=calls,
            model=hub.settings.model,
            max_body=hub.settings.web.max_body,
        )
        for endpoint in _ENDPOINTS
    )
    return [
        # The hot path first: routes are tried in order.
        *(Route(one.path, one, methods=["POST"]) for one in gateways),
        Route("/v1/models", models.list),
        Route("/v1/models/{id:path}", models.one),
        Route("/health", health.health),
        Route("/livez", health.livez),
        Route("/readyz", health.readyz),
        Route("/metrics", health.metrics),
        Route("/api/stats", health.stats),
        Route("/api/jobs", jobs.submit, methods=["POST"]),
        Route("/api/jobs", jobs.list),
        Route("/api/jobs/retry", jobs.retry_failed, methods=["POST"]),
        Route("/api/jobs/{id}", jobs.get),
        Route("/api/jobs/{id}/cancel", jobs.cancel, methods=["POST"]),
        Route("/api/jobs/{id}/retry", jobs.retry, methods=["POST"]),
        Route("/api/schedules", schedules.list),
        Route("/api/schedules/{name}/run", schedules.run, methods=["POST"]),
        Route("/api/memory", memory.sources),
        Route("/api/memory", memory.add, methods=["POST"]),
        Route("/api/memory/forget", memory.forget, methods=["POST"]),
        Route("/api/search", memory.search),
        Route("/api/roles", roles.list),
        *(
            Route(f"/api/roles/{{name}}/{action}", roles.acting(action), methods=["POST"])
            for action in ("start", "stop", "restart", "reload")
        ),
        Route("/api/pause", queue.pause, methods=["POST"]),
        Route("/api/resume", queue.resume, methods=["POST"]),
        Route("/api/keys", keys.show),
        Route("/api/keys/reload", keys.reload, methods=["POST"]),
        Route("/api/queue", queue.queue),
        Route("/api/why/{id}", queue.why),
        Route("/api/usage", queue.usage),
        Route("/api/chat", hub.presence.seen, methods=["POST"]),
        Route("/api/events", live, methods=["GET"]),
        Route("/", Page(static).show),
        Route("/dashboard/{name}", static.file),
    ]


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SupervisorError)
    return error_response(error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """The router's own errors, in the form that all others have."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        what, code, hint = f"nothing is at {request.url.path}", "not_found", "see docs/gateway.md"
    else:
        allowed = (error.headers or {}).get("Allow", "")
        what, code = f"{request.url.path} does not take {request.method}", "method_not_allowed"
        hint = f"it takes: {allowed}"
    response = error_response(denied(what, status=error.status_code, code=code, hint=hint))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response
