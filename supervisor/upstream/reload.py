"""What becomes of a new key: judged by how the free endpoint answers to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from supervisor.upstream.document import read_json
from supervisor.upstream.failures import RETRYABLE, Failure, FailureKind
from supervisor.upstream.outcome import Outcome

_HELPLESS = frozenset({*RETRYABLE, FailureKind.QUOTA})
"""Failures that say nothing about the key."""

_FLAGS: Mapping[str, str] = {
    "api_key_blocked": "the key is blocked",
    "api_key_disabled": "the key is disabled",
    "team_blocked": "its team is blocked",
}
"""What `/api-key` says of a key that it knows and that is of no use."""


class Result(StrEnum):
    """What a reload came to."""

    ROTATED = "rotated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"

    @property
    def well(self) -> bool:
        """Whether nobody has to do anything."""
        return self in {Result.ROTATED, Result.UNCHANGED}


@dataclass(frozen=True, slots=True)
class Reload:
    """One look for a new key.

    Attributes:
        result: What it came to.
        cause: Why it was looked for.
        detail: What happened, in words.
        hint: What to do; empty when nothing has to be done.
        at: When, in seconds after the Unix epoch.
    """

    result: Result
    cause: str
    detail: str
    hint: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """What everybody may know of the key; no part of it is in here.

    Attributes:
        source: Where it comes from.
        fingerprint: Tells keys apart; the beginning of a hash.
        since: When it came into use, in seconds after the Unix epoch.
        rotations: How often another one has come into use.
        last: The last look for a new one; None before the first.
    """

    source: str
    fingerprint: str
    since: float
    rotations: int
    last: Reload | None


def verdict(outcome: Outcome) -> tuple[Result, Failure | None]:
    """Whether a new key may take the old one's place.

    Args:
        outcome: What the free endpoint answered to it.
    """
    failure = outcome.failure or _blocked(outcome)
    if failure is None:
        return Result.ROTATED, None
    helpless = failure.kind in _HELPLESS
    return (Result.UNREACHABLE if helpless else Result.REFUSED), failure


def _blocked(outcome: Outcome) -> Failure | None:
    try:
        document: Any = read_json(outcome.body)
    except ValueError:
        # A sign-in page of some network in between answers 200 too.
        return Failure(FailureKind.MALFORMED, "the answer is not JSON", status=outcome.status)
    table = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    for flag, text in _FLAGS.items():
        if table.get(flag) is True:
            return Failure(FailureKind.KEY, text, status=outcome.status)
    return None
