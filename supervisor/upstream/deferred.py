"""Deferred completions on the wire: how they are asked for, named, fetched and looked for. Pure.

`deferred: true` makes the API answer a chat completion at once with `{"request_id"}`; the answer
is fetched by that id, exactly once, within a day (shared/facts/xai.md, "Endpoints").
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from urllib.parse import quote

from supervisor.messages import Request
from supervisor.upstream.document import read_json

KEPT = 86_400.0
"""Seconds for which the API keeps an answer that nobody has fetched."""
SOONEST = 2.0
"""Seconds to the first look."""
LONGEST = 300.0
"""Most seconds between two looks."""

_FIELD = b'"deferred":true}'
_LONGEST_ID = 256


def deferring(request: Request) -> Request:
    """The same request, to be answered later.

    Args:
        request: Its body is a JSON object with fields, none of them `deferred`.
    """
    inner = request.body.rstrip()[:-1].rstrip()
    return replace(request, body=inner + b"," + _FIELD)


def promised_id(body: bytes) -> str:
    """What the answer is to be fetched by; empty where the body is an answer itself.

    Args:
        body: A JSON object, as it came with a status of 2xx.
    """
    document = cast("dict[str, Any]", read_json(body))
    name = document.get("request_id")
    if "choices" in document or not isinstance(name, str) or len(name) > _LONGEST_ID:
        return ""
    # A name of nothing but dots would be another path.
    return name if any(letter.isalnum() for letter in name) else ""


def path_of(name: str) -> str:
    """Where an answer is fetched, below the API's base URL."""
    return f"/chat/deferred-completion/{quote(name, safe='')}"


def next_look(age: float) -> float:
    """Seconds until an answer is looked for again.

    As long again as it has taken so far: an answer is found at most as late again as it took, and
    a slow one costs few looks, each of which counts against the limits.

    Args:
        age: Seconds since it was promised.
    """
    return min(max(age, SOONEST), LONGEST)
