"""The simulated API as a Starlette application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from supervisor.clock import Clock, SystemClock
from supervisor.simulator import failures
from supervisor.simulator.catalogue import Catalogue, respond
from supervisor.simulator.chat import Chat
from supervisor.simulator.control import Control
from supervisor.simulator.endpoint import MeteredEndpoint
from supervisor.simulator.responses import Responses
from supervisor.simulator.script import read_script
from supervisor.simulator.settings import Settings
from supervisor.simulator.simulation import Simulation


def create_app(settings: Settings, clock: Clock | None = None) -> Starlette:
    """The application of one simulation.

    Reads the file with scripted answers where the settings name one, which blocks.

    Args:
        settings: How it behaves.
        clock: Where arrival times come from; the machine's clocks by default.

    Raises:
        ConfigError: The file with scripted answers is wrong.
    """
    rules = read_script(settings.answers) if settings.answers is not None else ()
    return app_of(Simulation(settings, clock or SystemClock(), rules))


def app_of(simulation: Simulation) -> Starlette:
    """The application of a simulation that somebody else keeps hold of."""

    def no_route(request: Request, exc: Exception) -> Response:
        wrong_method = getattr(exc, "status_code", 404) == 405
        failure = (
            failures.wrong_method(request.method)
            if wrong_method
            else failures.not_found(request.url.path)
        )
        return respond(failure, sentence_codes=simulation.settings.sentence_codes)

    chat = MeteredEndpoint(simulation, Chat())
    responses = MeteredEndpoint(simulation, Responses())
    handlers: Mapping[Any, Any] = {404: no_route, 405: no_route}
    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/responses", responses, methods=["POST"]),
            *Catalogue(simulation).routes(),
            *Control(simulation).routes(),
        ],
        exception_handlers=handlers,
    )
