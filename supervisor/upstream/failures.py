"""What went wrong with an attempt: one table, text before status.

The statuses of the API mean little by themselves: a bad key is 400, running out of credits 403 or
429, and 429 is four different things. So the rows are tried in order, the text first
(shared/facts/xai.md; the texts are matched in lower case).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, cast

from supervisor.upstream.document import read_json

LONGEST_RETRY_AFTER = 120.0
"""Seconds; a longer Retry-After is not believed."""


class FailureKind(StrEnum):
    """What an attempt failed of."""

    QUOTA = "quota"
    CAPACITY = "capacity"
    SERVER = "server"
    UNREACHABLE = "unreachable"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    CLOSED_MODEL = "closed_model"
    CREDITS = "credits"
    KEY = "key"
    REJECTED = "rejected"


RETRYABLE = frozenset(
    {
        FailureKind.CAPACITY,
        FailureKind.SERVER,
        FailureKind.UNREACHABLE,
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
        FailureKind.MALFORMED,
    }
)
"""The next attempt may succeed; QUOTA is not among them, it has a pause of its own."""

HALTING = frozenset({FailureKind.CREDITS, FailureKind.KEY})
"""Nobody's requests can succeed until a person acts."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that gave no answer.

    Attributes:
        kind: What it failed of.
        text: The API's words, without the key; or ours where it said none.
        hint: What to do, where something can be done.
        status: HTTP status, None when no response came.
        retry_after: Seconds the API asked to wait, None when it did not.
        final: The API says that it must not be repeated, whatever its kind.
    """

    kind: FailureKind
    text: str
    hint: str = ""
    status: int | None = None
    retry_after: float | None = None
    final: bool = False


_CREDITS_HINT = "add credits or raise the spending limit at console.x.ai, then try again"
_KEY_HINT = "check XAI_API_KEY or GROK_API_KEY, at console.x.ai it can be created anew"
_MODEL_HINT = "this model is not open to the key's team: choose another, or have it enabled"
_URL_HINT = "it redirects, which is not followed: is upstream.base_url right?"

_BY_TEXT: tuple[tuple[FailureKind, tuple[str, ...], str], ...] = (
    (FailureKind.CLOSED_MODEL, ("(actual/limit): 0/0", "/limit): 0/0"), _MODEL_HINT),
    (
        FailureKind.CREDITS,
        (
            "used all available credits",
            "spending limit",
            "spending-limit",
            "run out of credits",
            "out of credits",
        ),
        _CREDITS_HINT,
    ),
    (
        FailureKind.KEY,
        (
            "incorrect api key",
            "invalid api key",
            "key is blocked",
            "key is disabled",
            "team is blocked",
        ),
        _KEY_HINT,
    ),
    (FailureKind.CAPACITY, ("temporarily at capacity", "at capacity", "overloaded"), ""),
    (
        FailureKind.QUOTA,
        (
            "resource-exhausted",
            "resource has been exhausted",
            "requests per second (actual",
            "requests per minute (actual",
            "requests per hour (actual",
            "tokens per minute (actual",
            "rate limit",
            "too many requests",
        ),
        "",
    ),
)
"""Rows tried on the text of an error response, in this order."""

_TEAM_ID = re.compile(r"\bteam [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
"""The API calls a team by its id, in the middle of phrases that are looked for."""

_TEXT_STATUSES = frozenset({401, 402, 403, 429, 503})
"""Statuses whose text decides; other errors quote users' words, which prove nothing."""

_BY_STATUS: tuple[tuple[range, FailureKind, str], ...] = (
    # The API itself never redirects; whatever stands in its place would get the key.
    (range(300, 400), FailureKind.MALFORMED, _URL_HINT),
    (range(401, 402), FailureKind.KEY, _KEY_HINT),
    (range(402, 403), FailureKind.CREDITS, _CREDITS_HINT),
    # Without a word of its own a 403 may concern this request alone: it must not stop everybody.
    (range(403, 404), FailureKind.REJECTED, ""),
    (range(408, 409), FailureKind.TIMEOUT, ""),
    (range(409, 410), FailureKind.SERVER, ""),
    (range(425, 426), FailureKind.SERVER, ""),
    (range(429, 430), FailureKind.QUOTA, ""),
    (range(500, 600), FailureKind.SERVER, ""),
)
"""Rows tried on the status when no text said more."""

_IN_STREAM = ("service is currently unavailable", "timed out", "unavailable", "internal")


def classify(status: int, text: str, headers: Mapping[str, str]) -> Failure:
    """Name what an error response means.

    Args:
        status: HTTP status; one that HTTP does not have is no answer at all.
        text: The body as text, already without the key.
        headers: Response headers, lower-case names.
    """
    if not 100 <= status < 600:
        # Nobody can pass it on, and what it means nobody knows.
        return Failure(FailureKind.MALFORMED, f"expected an HTTP status, got: {status}")
    kind, hint = _kind(status, text)
    final = headers.get("x-should-retry", "").strip().lower() == "false"
    wait = retry_after(headers)
    return Failure(kind, brief(text) or f"HTTP {status}", hint, status, wait, final=final)


def _kind(status: int, text: str) -> tuple[FailureKind, str]:
    if status == 400:
        return _bad_request(text)
    lower = _TEAM_ID.sub("team", text.lower())
    for kind, phrases, hint in _BY_TEXT if status in _TEXT_STATUSES else ():
        fits = kind is not FailureKind.QUOTA or status == 429
        if fits and any(phrase in lower for phrase in phrases):
            return kind, hint
    for statuses, kind, hint in _BY_STATUS:
        if status in statuses:
            return kind, hint
    return FailureKind.REJECTED, ""


def _bad_request(text: str) -> tuple[FailureKind, str]:
    """A 400 quotes what the user wrote, which proves nothing: only its own first words count."""
    own = _own_words(text)
    if own.startswith("incorrect api key provided"):
        return FailureKind.KEY, _KEY_HINT
    if own.startswith("personal-team-blocked"):
        return FailureKind.CREDITS, _CREDITS_HINT
    return FailureKind.REJECTED, ""


def _own_words(text: str) -> str:
    """What an error body says itself, in lower case: its `error`, or its `code` where that tells.

    Bodies are flat (`{"code", "error"}`) or nested (`{"error": {"message", "code"}}`).
    """
    try:
        document: Any = read_json(text.encode("utf-8", "replace"))
    except ValueError:
        return text.strip().lower()
    if not isinstance(document, dict):
        return ""
    body = cast("dict[str, Any]", document)
    error = body.get("error")
    if isinstance(error, dict):
        body = cast("dict[str, Any]", error)
        error = body.get("message")
    code = str(body.get("code") or "").lower()
    return code if code.startswith("personal-team-blocked") else str(error or "").lower()


def classify_stream_error(text: str) -> Failure:
    """Name what an error means that stands where an answer should, inside a 200.

    Args:
        text: The event's data, or the whole body, without the key.
    """
    lower = _TEAM_ID.sub("team", text.lower())
    for kind, phrases, hint in _BY_TEXT:
        if any(phrase in lower for phrase in phrases):
            return Failure(kind, brief(text), hint, 200)
    kind = (
        FailureKind.SERVER if any(word in lower for word in _IN_STREAM) else FailureKind.MALFORMED
    )
    return Failure(kind, brief(text), "", 200)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `retry-after-ms` or `Retry-After` (seconds or an HTTP date) ask to wait.

    Returns:
        At most `LONGEST_RETRY_AFTER`; None when absent or unreadable.
    """
    for seconds in (_seconds(headers.get("retry-after-ms"), 0.001), _after(headers)):
        if seconds is not None:
            return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
    return None


def _seconds(text: str | None, unit: float) -> float | None:
    digits = (text or "").strip().removeprefix("-" if unit < 1 else "").replace(".", "", 1)
    if text is None or not (digits.isascii() and digits.isdigit()):
        return None
    return float(text) * unit


def _after(headers: Mapping[str, str]) -> float | None:
    plain = headers.get("retry-after", "")
    seconds = _seconds(plain, 1.0)
    if seconds is not None:
        return seconds
    try:
        # A date is measured against the server's own clock, which need not agree with ours.
        moment = parsedate_to_datetime(plain)
        return (moment - parsedate_to_datetime(headers["date"])).total_seconds()
    except (ValueError, TypeError, KeyError, OverflowError):
        # The last is a year or a zone of more digits than there is time.
        return None


def brief(text: str) -> str:
    """One line of at most 500 characters; an HTML page is only named."""
    stripped = text.strip()
    if stripped[:1] == "<":
        return "an HTML error page"
    return " ".join(stripped.split())[:500]
