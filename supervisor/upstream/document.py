"""JSON on the wire: fast where possible, tolerant where servers are careless. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import orjson

from supervisor.errors import InvalidRequest
from supervisor.messages import Request

_ASKS = b'"stream_options":{"include_usage":true}}'
_LONG, _ZEROS = b"0" * 19, bytes.maketrans(b"123456789", b"000000000")
"""Digits from which on orjson may take an integer for a float, and what finds them quickly."""
_OUTPUT_BOUNDS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""Fields that say how many tokens an answer may have at most."""
_SPACE = re.compile(r"[ \t\r\n]*")


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
        pass
    try:
        return json.loads(data.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def is_json(data: bytes) -> bool:
    """Whether a text is JSON that can be read."""
    try:
        read_json(data)
    except ValueError:
        return False
    return True


def read_exact(data: bytes) -> Any:
    """The value of a JSON text with all digits of its integers, however long they are.

    Raises:
        ValueError: It is no JSON, as orjson sees it.
    """
    value = orjson.loads(data)
    if _LONG not in data.translate(_ZEROS):
        return value
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def max_output(document: Mapping[str, Any]) -> int | None:
    """Most answer tokens that a question asks for, reasoning aside; None if unsaid."""
    for name in _OUTPUT_BOUNDS:
        value = document.get(name)
        # Some servers take -1 for "no bound": counted as tokens it would make answers cheap.
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def write_exact(value: object, default: Callable[[object], Any] | None = None) -> bytes:
    """A value as JSON, with all digits of its integers.

    Args:
        value: JSON values, and what orjson or `default` turns into such.
        default: Turns anything else into a JSON value.

    Raises:
        TypeError: It holds what neither takes.
        ValueError: It holds a number that JSON has not beside what orjson refuses.
    """
    try:
        return orjson.dumps(value, default, orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        # It refuses integers of more than 64 bits, and halves of surrogate pairs.
        return json.dumps(value, default=default, allow_nan=False).encode()


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
    if "stream_options" in fields:
        return replace(request, body=_extended(request.body)), False
    inner = request.body.rstrip()[:-1].rstrip()
    return replace(request, body=inner + (b"," if fields else b"") + _ASKS), False


def check_body(request: Request) -> None:
    """Refuse a streamed request that could not be sent, before anything is spent on it.

    Raises:
        InvalidRequest: The body is no JSON object.
    """
    with_usage(request)


def _extended(body: bytes) -> bytes:
    """The body with its `stream_options` extended; the rest of its bytes stay as they are.

    Written anew, long numbers would lose digits.

    Raises:
        InvalidRequest: It is nested too deeply.
    """
    text, copied = body.decode(), 0
    pieces: list[str] = []
    try:
        for name, value, start, end in _fields(text):
            if name == "stream_options":
                given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
                extended = json.dumps({**given, "include_usage": True})
                pieces += text[copied:start], extended
                copied = end
    except RecursionError:
        raise InvalidRequest("expected a JSON object, got: one nested too deeply") from None
    return "".join([*pieces, text[copied:]]).encode()


def _fields(text: str) -> Iterator[tuple[str, Any, int, int]]:
    """Name and value of each field of a JSON object that has some, and where its value stands."""
    decoder = json.JSONDecoder()
    at = text.index("{")
    while text[at] != "}":
        name, at = decoder.raw_decode(text, _past_space(text, at + 1))
        start = _past_space(text, _past_space(text, at) + 1)
        value, end = decoder.raw_decode(text, start)
        yield name, value, start, end
        at = _past_space(text, end)


def _past_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space is not None else at
