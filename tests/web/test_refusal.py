"""Errors as responses: status, form, and whether to try again."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from supervisor import errors
from supervisor.errors import (
    Draining,
    InvalidRequest,
    KeyUnusable,
    QueueFull,
    QuotaRefused,
    SupervisorError,
    UpstreamUnavailable,
)
from supervisor.web.refusal import Refusal, refusal, stream_event


def _headers(refused: Refusal) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in refused.headers}


def _all_errors() -> list[SupervisorError]:
    def walk(kind: type[SupervisorError]) -> list[type[SupervisorError]]:
        return [kind, *(one for below in kind.__subclasses__() for one in walk(below))]

    made: list[SupervisorError] = []
    for kind in walk(SupervisorError):
        arguments: dict[str, Any] = {"file": "f"} if kind is errors.PluginInvalid else {}
        made.append(kind("what happened", **arguments))
    return made


@pytest.mark.parametrize("error", _all_errors(), ids=lambda error: type(error).__name__)
def test_every_error_has_a_status_and_both_forms(error: SupervisorError) -> None:
    """Every error of the tree is told with an error status, nested and flat."""
    refused = refusal(error)
    document = orjson.loads(refused.body)
    assert 400 <= refused.status < 600
    assert document["error"]["message"].endswith("what happened")
    assert document["error"]["code"] == document["code"]
    assert document["code"].islower()
    assert document["error"]["param"] is None
    assert _headers(refused)["content-length"] == str(len(refused.body))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (QueueFull("full", retry_after=2.2), {"retry-after": "3", "retry-after-ms": "2200"}),
        (QueueFull("full", retry_after=0.01), {"retry-after": "1", "retry-after-ms": "10"}),
        (QueueFull("full", retry_after=120.0), {"retry-after": "120", "retry-after-ms": "120000"}),
        (QueueFull("full", retry_after=120.1), {"x-should-retry": "false"}),
        (QueueFull("full"), {"x-should-retry": "false"}),
        (Draining("stopping", retry_after=5.0), {"retry-after": "5", "retry-after-ms": "5000"}),
        (InvalidRequest("bad"), {"x-should-retry": "false"}),
        # Retried here already, as often as makes sense.
        (UpstreamUnavailable("down", retry_after=3.0), {"x-should-retry": "false"}),
        (QuotaRefused("no", retry_after=3.0, upstream_status=429), {"x-should-retry": "false"}),
        (KeyUnusable("bad key", upstream_status=400), {"x-should-retry": "false"}),
    ],
)
def test_advice_keeps_retries_from_multiplying(
    error: SupervisorError, expected: dict[str, str]
) -> None:
    """A repetition is invited only where it can succeed and was not made here already."""
    names = {"retry-after", "retry-after-ms", "x-should-retry"}
    found = {name: value for name, value in _headers(refusal(error)).items() if name in names}
    assert found == expected


@pytest.mark.parametrize(
    ("upstream_status", "expected"), [(400, 400), (403, 403), (520, 520), (200, 502), (None, 502)]
)
def test_upstream_status_is_passed_on(upstream_status: int | None, expected: int) -> None:
    """The API's status is passed on; a refusal inside a 200, or no response, is 502."""
    error = UpstreamUnavailable("x", upstream_status=upstream_status)
    assert refusal(error).status == expected


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"code":"c","error":"words"}', "words (do this)", "c"),
        (b'{"error":"words"}', "words (do this)", "upstream_rejected"),
        (b'{"detail":"words"}', "the API answered (do this)", "upstream_rejected"),
        (b"[]", "the API answered (do this)", "upstream_rejected"),
        (b"<html>", "the API answered (do this)", "upstream_rejected"),
        (b"", "the API answered (do this)", "upstream_rejected"),
    ],
)
def test_upstream_bodies_of_all_kinds(body: bytes, message: str, code: str) -> None:
    """Whatever the API's body is, message and code can be read where the SDKs look for them."""
    error = errors.UpstreamRejected(
        "the API answered", hint="do this", upstream_status=400, body=body
    )
    document = orjson.loads(refusal(error).body)
    assert document["error"]["message"] == message
    assert document["error"]["code"] == document["code"] == code


def test_other_fields_of_a_flat_body_stay() -> None:
    """A flat body keeps the fields we know nothing of."""
    body = b'{"code":"c","error":"words","trace":7}'
    error = errors.UpstreamRejected("x", upstream_status=400, body=body)
    assert orjson.loads(refusal(error).body)["trace"] == 7


def test_401_names_the_scheme() -> None:
    """A missing token is answered with the scheme that is expected."""
    error = InvalidRequest("who?")
    error.status = 401
    assert _headers(refusal(error))["www-authenticate"] == "Bearer"


def test_broken_streams_end_with_an_event() -> None:
    """The last event of a broken stream is an error in the dialect of its endpoint."""
    error = UpstreamUnavailable("cut", upstream_status=200)
    chat = stream_event(error, named=False)
    assert chat.startswith(b'data: {"error":{"message":"cut"')
    assert chat.endswith(b"\n\n")
    named = stream_event(error, named=True)
    assert named.startswith(b"event: error\ndata: ")
    document = orjson.loads(named.split(b"data: ")[1])
    assert document["type"] == "error"
    assert document["code"] == document["error"]["code"] == "upstream_unavailable"
