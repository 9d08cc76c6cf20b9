"""Whether the house stands: `/health`, `/livez`, `/readyz`, `/api/stats`, `/metrics`.

None of them does any I/O, so they answer when everything else is stuck.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from supervisor.web.document import document
from supervisor.web.guard import OPERATOR
from supervisor.web.health import brief, health, scheduled
from supervisor.web.hub import Hub
from supervisor.web.metrics import exposition


class HealthApi:
    """The endpoints that only look.

    Args:
        hub: What is looked at.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def health(self, request: Request) -> Response:
        """All at a glance; 200 also while throttled, for that is no illness."""
        if not request.scope.get(OPERATOR, False):
            return document(brief(self._hub.broker.snapshot(), **self._facts()))
        return document(self.report())

    async def livez(self, request: Request) -> Response:
        """The event loop turns, or nobody would answer."""
        return document({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Whether to send requests here."""
        reason = self._hub.ready()
        if not reason and self._hub.broker.snapshot().state == "draining":
            reason = "the process is stopping"
        if reason:
            return document({"status": "unavailable", "reason": reason}, status=503)
        return document({"status": "ok"})

    async def stats(self, request: Request) -> Response:
        """The snapshots as they are."""
        hub = self._hub
        return document(
            {
                **self._facts(),
                "broker": hub.broker.snapshot(),
                "team": hub.team.snapshot(),
                "jobs": hub.jobs.snapshot(),
                "schedules": hub.schedules.snapshot(),
            }
        )

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format."""
        hub = self._hub
        text = exposition(
            hub.broker.snapshot(),
            hub.team.snapshot(),
            hub.jobs.snapshot(),
            tasks=len(asyncio.all_tasks()),
            wall=hub.clock.wall(),
            **self._facts(),
        )
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def report(self) -> dict[str, Any]:
        """What `/health` and the start page show."""
        hub = self._hub
        report = health(
            hub.broker.snapshot(),
            hub.team.snapshot(),
            hub.jobs.snapshot(),
            key=hub.keys.snapshot(),
            **self._facts(),
        )
        return {**report, "schedules": scheduled(hub.schedules.snapshot())}

    def _facts(self) -> dict[str, Any]:
        uptime = self._hub.clock.monotonic() - self._hub.started
        return {"version": self._hub.version, "uptime": uptime}
