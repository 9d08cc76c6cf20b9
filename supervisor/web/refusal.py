"""Turns an error into the HTTP response that tells it. Pure.

Clients read errors in two forms: OpenAI's nested `{"error": {"message", "type", "code"}}` and
xAI's flat `{"code", "error"}`. Every body written here has `error.code` and a `code` beside
`error`, so that the SDKs fill theirs and a reader of flat bodies still finds its own.

They also repeat what looks repeatable, around all the retries made here. So each error says
whether that makes sense: `x-should-retry: false`, or a true `Retry-After`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, cast

import orjson

from supervisor.errors import (
    InvalidJobInput,
    InvalidRequest,
    JobError,
    PluginInvalid,
    RequestError,
    RoleUnavailable,
    StoreError,
    SupervisorError,
    UnknownJob,
    UnknownRole,
    UnknownSchedule,
    UpstreamError,
)

LONGEST_WAIT = 120.0
"""Seconds; above it the openai SDK gives up at once and its Node sibling hangs, so we say no."""

HeaderList = list[tuple[bytes, bytes]]
"""Headers as ASGI wants them."""

_STATUSES: tuple[tuple[type[SupervisorError], int], ...] = (
    (UnknownRole, 404),
    (UnknownJob, 404),
    (UnknownSchedule, 404),
    (InvalidJobInput, 422),
    (PluginInvalid, 422),
    (RoleUnavailable, 409),
    (JobError, 409),
    (StoreError, 503),
)
"""Statuses of the errors that do not carry one."""

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
"""OpenAI's `type` for a status; other 4xx are `invalid_request_error`, the rest `server_error`."""

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response.

    Attributes:
        status: HTTP status.
        headers: Its headers, `content-length` included.
        body: Its JSON body.
    """

    status: int
    headers: HeaderList
    body: bytes


def denied(message: str, *, status: int, code: str, hint: str = "") -> InvalidRequest:
    """An error of the door itself: who you are, where you come from, what is too large."""
    error = InvalidRequest(message, hint=hint)
    error.status = status
    error.code = code
    return error


def refusal(error: SupervisorError) -> Refusal:
    """The response that tells an error.

    Args:
        error: Any error of the tree; those without a status of their own get one by class.
    """
    status, code = _status(error), _code(error)
    body = _upstream_body(error, status) if isinstance(error, UpstreamError) else None
    if body is None:
        body = orjson.dumps(error_document(str(error), status=status, code=code))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-supervisor-error", code.encode()),
        *_advice(error),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return Refusal(status, headers, body)


def error_document(message: str, *, status: int, code: str) -> dict[str, Any]:
    """An error in both forms at once.

    Args:
        message: What happened and what to do.
        status: The HTTP status it goes with; decides the `type`.
        code: Stable machine-readable name.
    """
    error = {"message": message, "type": _type(status), "code": code, "param": None}
    return {"error": error, "code": code}


def stream_event(error: RequestError, *, named: bool) -> bytes:
    """The last event of a stream that broke off.

    Args:
        error: Why.
        named: Whether the stream's events have names, as those of `/responses` do; chat's do not.
    """
    document = error_document(str(error), status=_status(error), code=error.code)
    if not named:
        return b"data: " + orjson.dumps(document) + b"\n\n"
    named_document = {"type": "error", "message": str(error), "param": None, **document}
    return b"event: error\ndata: " + orjson.dumps(named_document) + b"\n\n"


def _status(error: SupervisorError) -> int:
    if isinstance(error, UpstreamError):
        # Inside a 200 the API can refuse as well: then its status says nothing.
        upstream = error.upstream_status or 0
        return upstream if upstream >= 400 else error.status
    if isinstance(error, RequestError):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def _code(error: SupervisorError) -> str:
    if isinstance(error, RequestError):
        return error.code
    return _CAPITAL.sub("_", type(error).__name__).lower()


def _type(status: int) -> str:
    fallback = "server_error" if status >= 500 else "invalid_request_error"
    return _TYPES.get(status, fallback)


def _advice(error: SupervisorError) -> HeaderList:
    """Whether and when a repetition makes sense, in the words that the SDKs obey.

    An upstream's failure was repeated here already, as often as makes sense: whoever repeats it
    around us multiplies the attempts.
    """
    after = error.retry_after if isinstance(error, RequestError) else None
    if isinstance(error, UpstreamError) or after is None or after > LONGEST_WAIT:
        return [(b"x-should-retry", b"false")]
    return [
        (b"retry-after", b"%d" % max(1, math.ceil(after))),
        (b"retry-after-ms", b"%d" % max(1, math.ceil(after * 1000))),
    ]


def _upstream_body(error: UpstreamError, status: int) -> bytes | None:
    """The API's own body, readable in both forms; None where it has none that can be read."""
    if not error.body or (error.upstream_status or 0) < 400:
        return None
    try:
        value: Any = orjson.loads(error.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    document = cast("dict[str, Any]", value)
    told = document.get("error")
    if isinstance(told, dict):
        return error.body
    message = told if isinstance(told, str) and told else error.message
    code = document.get("code") or error.code
    nested = error_document(_with_hint(message, error.hint), status=status, code=code)
    return orjson.dumps({**document, **nested})


def _with_hint(message: str, hint: str) -> str:
    return f"{message} ({hint})" if hint else message
