"""The endpoints that cost nothing: models, prices, the key, tokens, and fetching what was deferred.

They count against no limit, and the judge does not see them.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from supervisor.simulator import failures
from supervisor.simulator.access import bearer, key_failure
from supervisor.simulator.arguments import mistyped
from supervisor.simulator.chat import FINGERPRINT, Chat
from supervisor.simulator.document import Json, is_object
from supervisor.simulator.failures import TEAM, Failure
from supervisor.simulator.settings import Model
from supervisor.simulator.simulation import Simulation
from supervisor.simulator.usage import ticks_per_token, tokens_of

_CREATED = 1_790_000_000
_MADE_AT = "2026-01-01T00:00:00Z"

Outcome = Json | Failure | None
Handler = Callable[[Request], Awaitable[Outcome]]


def respond(outcome: Outcome, *, sentence_codes: bool = False) -> Response:
    """A response with the id that every response has.

    Args:
        outcome: A document, a failure, or None for 202 without a body.
        sentence_codes: Write error codes as the older sentences.
    """
    headers: Mapping[str, str] = {"x-request-id": uuid.uuid4().hex[:16]}
    if outcome is None:
        return Response(status_code=202, headers=headers)
    if isinstance(outcome, Failure):
        return Response(
            outcome.body(sentence_codes=sentence_codes),
            outcome.status,
            {**headers, "content-type": outcome.content_type.decode()},
        )
    return Response(orjson.dumps(outcome), 200, {**headers, "content-type": "application/json"})


class Catalogue:
    """The free endpoints of one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def routes(self) -> list[Route]:
        """Their routes, below `/v1`."""
        free = self._with_key
        return [
            Route("/v1/models", free(self._list_models)),
            Route("/v1/models/{name}", free(self._one_model)),
            Route("/v1/language-models", free(self._list_prices)),
            Route("/v1/language-models/{name}", free(self._one_price)),
            Route("/v1/api-key", free(self._api_key)),
            Route("/v1/tokenize-text", free(self._tokenize), methods=["POST"]),
            Route("/v1/chat/deferred-completion/{name}", free(self._fetch_deferred)),
        ]

    def _with_key(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            settings = self._simulation.settings
            given = request.headers.get("authorization")
            denied = key_failure(settings, bearer(given.encode("latin-1") if given else None))
            outcome = denied if denied is not None else await handler(request)
            return respond(outcome, sentence_codes=settings.sentence_codes)

        return endpoint

    async def _list_models(self, _: Request) -> Outcome:
        models = [_short(model) for model in self._simulation.settings.models]
        return {"object": "list", "data": models}

    async def _one_model(self, request: Request) -> Outcome:
        name = str(request.path_params["name"])
        model = self._simulation.model(name)
        return failures.unknown_model(name) if model is None else _short(model)

    async def _list_prices(self, _: Request) -> Outcome:
        return {"models": [_priced(model) for model in self._simulation.settings.models]}

    async def _one_price(self, request: Request) -> Outcome:
        name = str(request.path_params["name"])
        model = self._simulation.model(name)
        return failures.unknown_model(name) if model is None else _priced(model)

    async def _api_key(self, _: Request) -> Outcome:
        account = self._simulation.settings.account
        return {
            "redacted_api_key": "xai-...test",
            "user_id": "00000000-0000-4000-8000-000000000002",
            "name": "simulator",
            "create_time": _MADE_AT,
            "modify_time": _MADE_AT,
            "modified_by": "00000000-0000-4000-8000-000000000002",
            "team_id": TEAM,
            "acls": [] if account == "no_permission" else ["api-key:model:*", "api-key:endpoint:*"],
            "api_key_id": "00000000-0000-4000-8000-000000000003",
            "team_blocked": account == "team_blocked",
            "api_key_blocked": account == "key_blocked",
            "api_key_disabled": False,
        }

    async def _tokenize(self, request: Request) -> Outcome:
        body = await read_json(request)
        if isinstance(body, Failure):
            return body
        for name in ("text", "model"):
            if name not in body:
                return failures.wrong_type(f"missing field `{name}`")
            if not isinstance(body[name], str):
                return mistyped(name, body[name], "a string")
        if self._simulation.model(body["model"]) is None:
            return failures.unknown_model(body["model"])
        return {"token_ids": [_token(text) for text in tokens_of(body["text"])]}

    async def _fetch_deferred(self, request: Request) -> Outcome:
        simulation = self._simulation
        now = simulation.clock.monotonic()
        simulation.settle_deferred(now)
        name = str(request.path_params["name"])
        found = simulation.deferred.fetch(name, now=now)
        if found == "pending":
            return None
        if found is None:
            return Failure(404, f"Deferred completion not found: {name}", "not-found")
        return Chat().whole(found)


async def read_json(request: Request) -> Json | Failure:
    """A request's body as a JSON object, or what is wrong with it."""
    try:
        value: Any = orjson.loads(await request.body())
    except orjson.JSONDecodeError as exc:
        return failures.bad_json(str(exc))
    if not is_object(value):
        return failures.wrong_type("invalid type, expected a map")
    return value


def _short(model: Model) -> Json:
    return {
        "id": model.id,
        "object": "model",
        "created": _CREATED,
        "owned_by": "xai",
        "context_length": model.context,
    }


def _priced(model: Model) -> Json:
    # Prices are in US cents per 100 million tokens, which are the ticks of one token.
    return {
        "id": model.id,
        "fingerprint": FINGERPRINT,
        "created": _CREATED,
        "object": "model",
        "owned_by": "xai",
        "version": "1.0",
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
        "prompt_text_token_price": ticks_per_token(model.prompt),
        "cached_prompt_text_token_price": ticks_per_token(model.cached),
        "prompt_image_token_price": ticks_per_token(model.prompt),
        "completion_text_token_price": ticks_per_token(model.completion),
        "search_price": 0,
        "max_prompt_length": model.context,
        "aliases": list(model.aliases),
    }


def _token(text: str) -> Json:
    raw = text.encode(errors="replace")
    return {
        "token_id": int.from_bytes(raw[:3], "big"),
        "string_token": text,
        "token_bytes": list(raw),
    }
