"""Reads what is asked of the jobs API. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from supervisor.errors import InvalidRequest
from supervisor.jobs.job import JobStatus
from supervisor.limits import parse_duration
from supervisor.messages import JsonValue, Priority
from supervisor.upstream.document import read_exact

_FIELDS = ("role", "input", "key", "priority")
LONGEST_POLL = 600.0
"""Seconds; whoever wants to wait longer asks again."""

MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that somebody hands in.

    Attributes:
        role: Who is to do it.
        input: What it is given.
        key: The same key twice is the same job; empty for none.
        priority: 0 (most urgent) to 99; None for the role's own.
    """

    role: str
    input: JsonValue
    key: str
    priority: int | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which jobs to list; None for any."""

    role: str | None
    status: JobStatus | None
    limit: int


def read_new_job(body: bytes) -> NewJob:
    """A job out of the body of `POST /api/jobs`.

    Raises:
        InvalidRequest: It is none.
    """
    document = read_object(body)
    unknown = sorted(document.keys() - set(_FIELDS))
    if unknown:
        raise InvalidRequest(
            f"unknown field {_shown(unknown[0])}", hint=f"a job has: {', '.join(_FIELDS)}"
        )
    role, key = document.get("role"), document.get("key")
    if not isinstance(role, str) or not role:
        raise InvalidRequest(f"expected role to name a role, got: {_shown(role)}")
    if "input" not in document:
        raise InvalidRequest("expected an input, got: none", hint='null is one: {"input": null}')
    if key is not None and not isinstance(key, str):
        raise InvalidRequest(f"expected key to be a string, got: {_shown(key)}")
    return NewJob(role, document["input"], key or "", _priority(document.get("priority")))


def read_retry(body: bytes) -> tuple[str | None, bool]:
    """Which failed jobs `POST /api/jobs/retry` is about: of which role, and whether the poisoned.

    Raises:
        InvalidRequest: It says something else.
    """
    document = read_object(body)
    unknown = sorted(document.keys() - {"role", "poisoned"})
    role, poisoned = document.get("role"), document.get("poisoned", False)
    if unknown or not isinstance(role, str | None) or not isinstance(poisoned, bool):
        raise InvalidRequest(
            f'expected {{"role": NAME, "poisoned": true or false}}, got: {_shown(document)}'
        )
    return role, poisoned


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty body is an empty one.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        value: Any = read_exact(body) if body.strip() else {}
    except ValueError as error:
        raise InvalidRequest(f"expected a JSON object, got: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"expected a JSON object, got: {_shown(value)}")
    return cast("dict[str, Any]", value)


def read_selection(query: Mapping[str, str]) -> Selection:
    """Which jobs `GET /api/jobs` is to list.

    Raises:
        InvalidRequest: A parameter has no sense.
    """
    status, limit = query.get("status"), query.get("limit", "100")
    known = [str(one) for one in JobStatus]
    if status is not None and status not in known:
        raise InvalidRequest(
            f"expected status to be one of {', '.join(known)}, got: {_shown(status)}"
        )
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST_LISTED:
        raise InvalidRequest(f"expected limit from 1 to {MOST_LISTED}, got: {_shown(limit)}")
    return Selection(query.get("role"), JobStatus(status) if status else None, int(limit))


def read_wait(query: Mapping[str, str]) -> float | None:
    """Seconds that `?wait=30s` asks to wait for the end, at most `LONGEST_POLL`; None without it.

    Raises:
        InvalidRequest: It is no duration.
    """
    text = query.get("wait")
    if text is None:
        return None
    try:
        return min(parse_duration(text), LONGEST_POLL)
    except ValueError as error:
        raise InvalidRequest(f"wait: {error}") from error


def _priority(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.upper() in Priority.__members__:
        return Priority[value.upper()]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 99:
        return value
    names = ", ".join(name.lower() for name in Priority.__members__)
    raise InvalidRequest(f"expected priority from 0 to 99 or one of {names}, got: {_shown(value)}")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= 60 else f"{text[:60]}…"
