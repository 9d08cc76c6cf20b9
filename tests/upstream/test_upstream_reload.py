"""What the free endpoint's answer says about a new key."""

from __future__ import annotations

import orjson
import pytest

from supervisor.upstream.failures import Failure, FailureKind
from supervisor.upstream.outcome import Outcome
from supervisor.upstream.reload import Result, verdict


def answered(body: bytes) -> Outcome:
    """An answer that is no error."""
    return Outcome(200, {}, body, None, None)


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (FailureKind.KEY, Result.REFUSED),
        (FailureKind.CREDITS, Result.REFUSED),
        (FailureKind.CLOSED_MODEL, Result.REFUSED),
        (FailureKind.REJECTED, Result.REFUSED),
        (FailureKind.QUOTA, Result.UNREACHABLE),
        (FailureKind.CAPACITY, Result.UNREACHABLE),
        (FailureKind.SERVER, Result.UNREACHABLE),
        (FailureKind.CONNECTION, Result.UNREACHABLE),
        (FailureKind.TIMEOUT, Result.UNREACHABLE),
        (FailureKind.MALFORMED, Result.UNREACHABLE),
    ],
)
def test_every_failure_has_a_verdict(kind: FailureKind, result: Result) -> None:
    """Only what the API says about the key refuses it; any other failure proves nothing."""
    failure = Failure(kind, "no")
    assert verdict(Outcome(400, {}, b"", failure, None)) == (result, failure)
    assert not result.well


def test_an_answer_is_consent() -> None:
    """A list of models, or a key without a flag, is a key that works."""
    fine = {"api_key_blocked": False, "api_key_disabled": False, "team_blocked": False}
    for body in (b'{"data": []}', b"[]", orjson.dumps(fine)):
        assert verdict(answered(body)) == (Result.ROTATED, None)


@pytest.mark.parametrize("flag", ["api_key_blocked", "api_key_disabled", "team_blocked"])
def test_a_blocked_key_is_refused(flag: str) -> None:
    """A key that the API knows and has blocked is of no use, although the answer is 200."""
    result, failure = verdict(answered(orjson.dumps({flag: True})))
    assert result is Result.REFUSED
    assert failure is not None
    assert "blocked" in failure.text or "disabled" in failure.text


def test_a_page_in_place_of_the_answer() -> None:
    """What is not JSON comes from somebody else, and says nothing about the key."""
    result, _ = verdict(answered(b"<html>Please sign in</html>"))
    assert result is Result.UNREACHABLE
