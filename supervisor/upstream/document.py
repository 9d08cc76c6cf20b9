"""Reads JSON from the wire: fast where possible, tolerant where servers are careless. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import orjson

from supervisor.errors import InvalidRequest
from supervisor.messages import Request

_ASKS = b'"stream_options":{"include_usage":true}}'


def read_json(data: bytes) -> Any:
    """The value of a JSON text.

    Half a surrogate pair, which servers write when they cut an emoji in two, is valid JSON that
    orjson refuses; an answer that was paid for must not be lost for it.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def with_usage(request: Request) -> tuple[Request, bool]:
    """A streamed request that asks for usage; without it nothing could be counted.

    Returns:
        The request, and whether whoever asked wants the usage chunk passed on.

    Raises:
        InvalidRequest: The body is no JSON object.
    """
    if request.endpoint != "/chat/completions":
        return request, True
    try:
        document = read_json(request.body)
    except ValueError as error:
        raise InvalidRequest(f"expected a JSON object as the body, got: {error}") from None
    if not isinstance(document, dict):
        raise InvalidRequest(f"expected a JSON object as the body, got: {type(document).__name__}")
    fields = cast("dict[str, Any]", document)
    options = fields.get("stream_options")
    if isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage"):
        return request, True
    return replace(request, body=_asking(request.body, fields, options)), False


def check_body(request: Request) -> None:
    """Refuse a streamed request that could not be sent, before anything is spent on it.

    Raises:
        InvalidRequest: The body is no JSON object.
    """
    with_usage(request)


def _asking(body: bytes, fields: dict[str, Any], options: Any) -> bytes:
    """The body with one field more; the rest of its bytes stay as they are where possible."""
    if "stream_options" not in fields:
        inner = body.rstrip()[:-1].rstrip()
        return inner + (b"," if fields else b"") + _ASKS
    given = cast("dict[str, Any]", options) if isinstance(options, dict) else {}
    extended = {**given, "include_usage": True}
    return json.dumps({**fields, "stream_options": extended}).encode()
