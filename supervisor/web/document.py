"""A JSON response from any of our frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from supervisor.errors import SupervisorError
from supervisor.upstream.document import write_exact
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
    return Response(write_exact(value, _plain), status, headers, "application/json")


def error_response(error: SupervisorError) -> Response:
    """The response that tells an error."""
    refused = refusal(error)
    response = Response(refused.body, refused.status)
    response.raw_headers = refused.headers
    return response


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"expected a JSON value, got: {type(value).__name__}")
