"""Reads a gateway call: its body from the wire, and the few fields that decide how it is sent.

Everything else in the body is none of our business and goes on untouched, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson
from starlette.types import Receive

from supervisor.errors import InvalidRequest
from supervisor.limits import parse_duration
from supervisor.messages import complaint_about_model
from supervisor.upstream.document import max_output, read_exact, write_exact
from supervisor.web.refusal import denied

_PASSED_ON_PREFIX = b"x-grok-"


@dataclass(frozen=True, slots=True)
class Question:
    """What a body asks for.

    Attributes:
        body: The body to send; the bytes that came, but for a model put in where none was named.
        model: The model it names.
        stream: Whether it wants server-sent events.
        max_output: Most answer tokens it asks for; None if unsaid.
    """

    body: bytes
    model: str
    stream: bool
    max_output: int | None


async def read_body(receive: Receive, *, declared: bytes | None, most: int) -> bytes | None:
    """The whole body.

    Args:
        receive: The ASGI receive.
        declared: The `Content-Length` header as received.
        most: Most bytes.

    Returns:
        None when the client went away before the end.

    Raises:
        InvalidRequest: With status 413, as soon as it is known to be too large.
    """
    if declared is not None and declared.isdigit() and int(declared) > most:
        raise _too_large(int(declared), most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _too_large(size, most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_question(body: bytes, *, default_model: str) -> Question:
    """Look at a body.

    Args:
        body: As received.
        default_model: Put in where the body names no model.

    Raises:
        InvalidRequest: It is no JSON object, or one of the fields looked at is not what it should
            be.
    """
    document = _parse(body)
    model = document.get("model") or ""
    if not isinstance(model, str):
        raise InvalidRequest(f"expected model to be a string, got: {_shown(model)}")
    if complaint := complaint_about_model(model):
        raise InvalidRequest(complaint)
    stream = document.get("stream") or False
    if not isinstance(stream, bool):
        raise InvalidRequest(f"expected stream to be true or false, got: {_shown(stream)}")
    if not model:
        body, model = _with_model(body, document, default_model), default_model
    return Question(body, model, stream, max_output(document))


def read_deadline(header: bytes | None) -> float | None:
    """Seconds that `X-Supervisor-Deadline` gives; None without one.

    Raises:
        InvalidRequest: It is no duration.
    """
    if header is None:
        return None
    try:
        return parse_duration(header.decode("latin-1"))
    except ValueError as error:
        raise InvalidRequest(f"X-Supervisor-Deadline: {error}") from error


def passed_on(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The request headers that the API is to see, such as `x-grok-conv-id`.

    Raises:
        InvalidRequest: A value is not plain ASCII; it could not be sent.
    """
    for name, value in headers.items():
        if name.startswith(_PASSED_ON_PREFIX) and not (
            value.isascii() and value.decode("ascii").isprintable()
        ):
            shown = name.decode("latin-1")
            raise InvalidRequest(f"expected header {shown} to be printable ASCII, got other text")
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers.items()
        if name.startswith(_PASSED_ON_PREFIX)
    }


def _parse(body: bytes, read: Callable[[bytes], Any] = orjson.loads) -> dict[str, Any]:
    try:
        value: Any = read(body)
    except ValueError as error:
        what = f"not JSON: {error}" if body.strip() else "an empty body"
        raise InvalidRequest(f"expected a JSON object as body, got: {what}") from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"expected a JSON object as body, got: {_shown(value)}")
    return cast("dict[str, Any]", value)


def _with_model(body: bytes, document: dict[str, Any], model: str) -> bytes:
    if "model" in document:  # null or empty: it has to be replaced
        return write_exact({**_parse(body, read_exact), "model": model})
    start = body.index(b"{") + 1
    comma = b"," if document else b""
    return body[:start] + b'"model":' + orjson.dumps(model) + comma + body[start:]


def _too_large(size: int, most: int) -> InvalidRequest:
    return denied(
        f"expected a body of at most {most} bytes, got: {size} or more",
        status=413,
        code="body_too_large",
        hint="shorten it, or raise web.max_body",
    )


def _shown(value: object) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:60]}…"
