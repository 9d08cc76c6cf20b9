"""The API's list of models, remembered for a minute: editors ask for it at every key press."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import anyio
import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from supervisor.broker.verdict import final_error
from supervisor.clock import Clock
from supervisor.errors import RequestError
from supervisor.upstream.outcome import Outcome
from supervisor.web.document import document, error_response
from supervisor.web.identity import Doorkeeper
from supervisor.web.refusal import denied

_log = structlog.get_logger("supervisor.web")

FRESH = 60.0
"""Seconds for which a fetched list is given out."""


class Models:
    """`/v1/models` and `/v1/models/{id}`.

    Args:
        fetch: Gets the list from the API.
        doorkeeper: Tells who may ask.
        clock: Tells the time.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Outcome]], *, doorkeeper: Doorkeeper, clock: Clock
    ) -> None:
        self._fetch = fetch
        self._doorkeeper = doorkeeper
        self._clock = clock
        self._body = b""
        self._fetched = float("-inf")
        self._fetching = anyio.Lock()

    async def list(self, request: Request) -> Response:
        """Answer `GET /v1/models` with the API's own document."""
        try:
            return Response(await self._known(request), media_type="application/json")
        except RequestError as error:
            return error_response(error)

    async def one(self, request: Request) -> Response:
        """Answer `GET /v1/models/{id}` out of the list."""
        wanted: str = request.path_params["id"]
        try:
            models = _models(await self._known(request))
            if wanted in models:
                return document(models[wanted])
            raise denied(
                f'the API offers no model "{wanted}"',
                status=404,
                code="unknown_model",
                hint=f"it offers: {', '.join(sorted(models)) or 'none'}",
            )
        except RequestError as error:
            return error_response(error)

    async def _known(self, request: Request) -> bytes:
        """The list, fetched anew when it is old.

        Raises:
            RequestError: The caller may not ask, or there is no list to be had.
        """
        authorization = request.headers.get("authorization", "").encode("latin-1")
        self._doorkeeper.identify(authorization, None)
        async with self._fetching:
            if self._clock.monotonic() - self._fetched >= FRESH:
                await self._renew()
        return self._body

    async def _renew(self) -> None:
        outcome = await self._fetch()
        if outcome.failure is None:
            self._body, self._fetched = outcome.body, self._clock.monotonic()
            return
        error = final_error(outcome.failure, outcome.body, "application/json")
        if not self._body:
            raise error
        # An old list serves better than none; it is asked for again with the next call.
        _log.warning("web.models_stale", error=str(error))


def _models(body: bytes) -> dict[str, object]:
    value: Any = orjson.loads(body)
    listed = cast("dict[str, object]", value).get("data") if isinstance(value, dict) else None
    found: dict[str, object] = {}
    if isinstance(listed, list):
        for entry in cast("list[object]", listed):
            if isinstance(entry, dict):
                model = cast("dict[str, object]", entry)
                found[str(model.get("id"))] = model
    return found
