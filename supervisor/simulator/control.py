"""`/_simulator/`: what the judge says, starting over, and other settings while it runs.

Not part of the API and without a key: the simulator listens on loopback and guards nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from structlog import get_logger

from supervisor.errors import ConfigError
from supervisor.simulator.catalogue import read_json
from supervisor.simulator.failures import Failure
from supervisor.simulator.script import read_script
from supervisor.simulator.simulation import Simulation

_log = get_logger("supervisor.simulator")


class Control:
    """The control endpoints of one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def routes(self) -> list[Route]:
        """Their routes."""
        return [
            Route("/_simulator/report", self._report),
            Route("/_simulator/reset", self._reset, methods=["POST"]),
            Route("/_simulator/settings", self._show, methods=["GET"]),
            Route("/_simulator/settings", self._change, methods=["POST"]),
        ]

    async def _report(self, _: Request) -> Response:
        return JSONResponse(self._simulation.report())

    async def _reset(self, _: Request) -> Response:
        self._simulation.reset()
        _log.info("simulator.reset")
        return JSONResponse(self._simulation.report())

    async def _show(self, _: Request) -> Response:
        return JSONResponse(self._simulation.settings.model_dump(mode="json", by_alias=True))

    async def _change(self, request: Request) -> Response:
        patch = await read_json(request)
        if isinstance(patch, Failure):
            return JSONResponse({"error": patch.text}, 400)
        try:
            await self._apply(patch)
        except ConfigError as exc:
            return JSONResponse({"error": str(exc)}, 400)
        _log.info("simulator.settings_changed", settings=sorted(patch))
        return await self._show(request)

    async def _apply(self, patch: dict[str, Any]) -> None:
        settings = self._simulation.settings.changed(patch)
        rules = None
        if "answers" in patch:
            path: Path | None = settings.answers
            rules = await to_thread.run_sync(read_script, path) if path is not None else ()
        self._simulation.change(settings, rules)
