"""A JSON response from any of our frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from starlette.responses import Response

from supervisor.errors import SupervisorError
from supervisor.web.refusal import refusal


def document(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response.

    Args:
        value: JSON values, dataclasses and decimals, nested; infinities become null.
        status: HTTP status.
        headers: More headers.
    """
    body = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, headers, "application/json")


def error_response(error: SupervisorError) -> Response:
    """The response that tells an error."""
    refused = refusal(error)
    response = Response(refused.body, refused.status)
    response.raw_headers = refused.headers
    return response


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"expected a JSON value, got: {type(value).__name__}")
