"""What follows from an attempt's end: done, again, or a final error. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.errors import (
    KeyUnusable,
    QuotaRefused,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)
from supervisor.upstream.failures import HALTING, Failure, FailureKind
from supervisor.upstream.retry import retry_delay

MOST_REFUSALS = 20
"""Quota refusals of one request after which it gets an error; each took a pause of its own."""

_FINAL: dict[FailureKind, type[UpstreamError]] = {
    FailureKind.QUOTA: QuotaRefused,
    FailureKind.REJECTED: UpstreamRejected,
    FailureKind.CLOSED_MODEL: KeyUnusable,
    FailureKind.CREDITS: KeyUnusable,
    FailureKind.KEY: KeyUnusable,
}


@dataclass(frozen=True, slots=True)
class Again:
    """Queue it again.

    Attributes:
        delay: Seconds to wait before it may go.
        behind: All others of its class go first.
        in_line: Those who wait for the same model look one at a time.
    """

    delay: float
    behind: bool = False
    in_line: bool = False


def judge(
    failure: Failure,
    *,
    retries: int,
    refusals: int,
    max_retries: int,
    spread: float,
    outdated: bool = False,
) -> Again | None:
    """Decide whether a failed attempt is repeated.

    Args:
        failure: What went wrong.
        retries: Retries made already, refusals for quota not counted.
        refusals: Refusals for quota so far, this one included.
        max_retries: Most retries.
        spread: Random number in [0, 1).
        outdated: Whether it may have gone with a key that another has taken the place of.

    Returns:
        None when the failure is final.
    """
    if outdated and failure.kind in HALTING:
        # What the old key was refused for is asked again with the one there is now.
        return Again(0.0)
    if failure.final:
        return None
    if failure.kind is FailureKind.QUOTA:
        return Again(0.0) if refusals < MOST_REFUSALS else None
    delay = retry_delay(failure, retries=retries, most=max_retries, spread=spread)
    return None if delay is None else Again(delay)


def final_error(failure: Failure, body: bytes, content_type: str) -> UpstreamError:
    """The error that a final failure becomes.

    Args:
        failure: What went wrong.
        body: The API's response body, without the key.
        content_type: Its media type.
    """
    kind = _FINAL.get(failure.kind, UpstreamUnavailable)
    status = f" with {failure.status}" if failure.status else ""
    error = kind(
        f"the API answered{status}: {failure.text}" if failure.status else failure.text,
        hint=failure.hint,
        retry_after=failure.retry_after,
        upstream_status=failure.status,
        body=body,
        content_type=content_type,
    )
    if isinstance(error, KeyUnusable):
        error.whole = failure.kind in HALTING
    if kind is UpstreamRejected and failure.status:
        error.status = failure.status
    return error
