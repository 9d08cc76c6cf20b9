"""The table of facts/xai.md, "Errors": each row is named for what it is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.upstream.failures import (
    HALTING,
    LONGEST_RETRY_AFTER,
    RETRYABLE,
    FailureKind,
    classify,
    classify_stream_error,
    retry_after,
)
from tests.upstream.api import flat

K = FailureKind
DENIED = "The caller does not have permission to execute the specified operation"
INVALID = "Client specified an invalid argument"
ARGUMENT = "invalid-argument"
OLD = "Some resource has been exhausted"
CODE = "resource-exhausted"
TEAM = "Too many requests for team 00000000 and model grok-4.7. "
TEAM_ID = "team 00000000-0000-4000-8000-000000000001"
HTML = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head></html>"


@dataclass(frozen=True, slots=True)
class Row:
    """One realistic error response and what it means."""

    case: str
    status: int
    body: bytes
    kind: FailureKind


ROWS = [
    Row("rps", 429, flat(CODE, f"{TEAM}Requests per Second (actual/limit): 2/2"), K.QUOTA),
    Row("rpm", 429, flat(OLD, f"{TEAM}Requests per Minute (actual/limit): 9/9"), K.QUOTA),
    Row("rph", 429, flat(CODE, "Requests per Hour (actual/limit): 9/9"), K.QUOTA),
    Row("tpm", 429, flat(OLD, "Tokens per Minute (actual/limit): 65605/16000"), K.QUOTA),
    Row("429 of a proxy", 429, b"<html>You are being rate limited</html>", K.QUOTA),
    Row("429 without a body", 429, b"", K.QUOTA),
    Row("0/0", 429, flat(OLD, f"{TEAM}Requests per Minute (actual/limit): 0/0"), K.CLOSED_MODEL),
    Row("0/0 tokens", 429, flat(CODE, "Tokens per Minute (actual/limit): 0/0"), K.CLOSED_MODEL),
    Row("not 0/0", 429, flat(OLD, "Requests per Second (actual/limit): 10/10"), K.QUOTA),
    Row("capacity", 429, flat(OLD, "The model is temporarily at capacity"), K.CAPACITY),
    Row("capacity, 503", 503, flat("unavailable", "The model is overloaded"), K.CAPACITY),
    Row("credits", 429, flat(OLD, "Your team has used all available credits"), K.CREDITS),
    Row("spent", 429, flat(CODE, "… reached its monthly spending limit"), K.CREDITS),
    Row("credits, 403", 403, flat(DENIED, "Your team has run out of credits"), K.CREDITS),
    Row("blocked", 403, flat("personal-team-blocked:spending-limit", "No."), K.CREDITS),
    Row("payment required", 402, b"", K.CREDITS),
    Row("bad key", 400, flat(INVALID, "Incorrect API key provided: xa***ey."), K.KEY),
    Row("bad key, new", 400, flat(ARGUMENT, "Incorrect API key provided: xa***ey."), K.KEY),
    Row("no key", 401, flat("unauthenticated", "No API key was provided"), K.KEY),
    Row("no key, no body", 401, b"", K.KEY),
    Row("blocked key", 403, flat(DENIED, "The API key is blocked"), K.KEY),
    Row("blocked team", 403, flat(DENIED, f"The {TEAM_ID} is blocked."), K.KEY),
    Row("blocked prompt", 403, flat(DENIED, "This request is blocked."), K.REJECTED),
    Row("no permission", 403, flat(DENIED, "Team is not allowed to use this"), K.REJECTED),
    Row("wrong model", 404, flat("not-found", "Model not found: grok-9"), K.REJECTED),
    Row("wrong model, 400", 400, flat(ARGUMENT, "Model not found: grok-9"), K.REJECTED),
    Row("argument", 400, flat(ARGUMENT, "Argument not supported: logprobs"), K.REJECTED),
    Row("types", 422, b"Failed to deserialize: messages[0]: missing `role`", K.REJECTED),
    Row("gone", 410, flat("gone", "Live search is deprecated"), K.REJECTED),
    Row("too long", 413, b"", K.REJECTED),
    Row("a page instead of an API", 404, b"<html>404</html>", K.REJECTED),
    Row("request time-out", 408, b"", K.TIMEOUT),
    Row("500", 500, flat("internal", "Internal error"), K.SERVER),
    Row("502", 502, HTML, K.SERVER),
    Row("503", 503, flat("The service is currently unavailable", "Try later"), K.SERVER),
    Row("504", 504, HTML, K.SERVER),
    Row("cloudflare 520", 520, HTML, K.SERVER),
    Row("cloudflare 524", 524, HTML, K.SERVER),
    Row("cloudflare 530", 530, HTML, K.SERVER),
]

SAYS_WHAT_TO_DO = {K.CLOSED_MODEL, K.CREDITS, K.KEY}
WORDS = [
    "explain the spending limit",
    "my card has used all available credits",
    "why is this method overloaded?",
    "the gym is at capacity",
    "print('Incorrect API key provided')",
    "Requests per Minute (actual/limit): 0/0",
    "rate limit",
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
def test_a_row_of_the_table(row: Row) -> None:
    """Every error response of the facts has its kind, and with it whether to retry or to halt."""
    failure = classify(row.status, row.body.decode(), {})
    assert failure.kind is row.kind
    assert failure.status == row.status
    assert bool(failure.hint) is (row.kind in SAYS_WHAT_TO_DO)
    assert failure.text


@pytest.mark.parametrize("kind", FailureKind)
def test_what_follows_from_a_kind(kind: FailureKind) -> None:
    """Waiting helps with some kinds, nobody's waiting helps with others, and never with both."""
    helps = {K.CAPACITY, K.SERVER, K.UNREACHABLE, K.CONNECTION, K.TIMEOUT, K.MALFORMED}
    assert (kind in RETRYABLE) is (kind in helps)
    assert (kind in HALTING) is (kind in {K.CREDITS, K.KEY})


@pytest.mark.parametrize("status", [404, 413, 422])
@pytest.mark.parametrize("words", WORDS)
def test_quoted_words_prove_nothing(status: int, words: str) -> None:
    """A response that quotes its user is rejected, whatever the user wrote."""
    assert classify(status, f"cannot deserialize {words!r} as a list", {}).kind is K.REJECTED


@pytest.mark.parametrize("words", [words for words in WORDS if words != "rate limit"])
def test_words_quoted_in_a_400_prove_nothing(words: str) -> None:
    """A 400 for an argument is rejected, whatever the user wrote in it."""
    body = flat("invalid-argument", f"Argument not supported: stop={words}").decode()
    assert classify(400, body, {}).kind is K.REJECTED


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (flat("personal-team-blocked:spending-limit", "No."), K.CREDITS),
        (flat("x", "personal-team-blocked:spending-limit"), K.CREDITS),
        (b'{"error":{"message":"Incorrect API key provided: ***.","code":"x"}}', K.KEY),
        (b"Incorrect API key provided: ***.", K.KEY),
        (b'["Incorrect API key provided"]', K.REJECTED),
        (b'{"error":["Incorrect API key provided"]}', K.REJECTED),
    ],
)
def test_the_first_words_of_a_400_decide(body: bytes, kind: FailureKind) -> None:
    """A 400 is known by what it begins with, in its code or its error, flat or nested or plain."""
    assert classify(400, body.decode(), {}).kind is kind


def test_a_rate_limit_named_in_a_400_is_not_one() -> None:
    """Only a 429 pauses everybody."""
    body = flat("invalid-argument", "Argument not supported: rate limit").decode()
    assert classify(400, body, {}).kind is K.REJECTED


@pytest.mark.parametrize(
    ("code", "error", "kind"),
    [
        ("The service is currently unavailable", "Timed out waiting for first token", K.SERVER),
        ("internal", "Internal error", K.SERVER),
        ("resource-exhausted", "Requests per Second (actual/limit): 2/2", K.QUOTA),
        ("resource-exhausted", "The model is temporarily at capacity", K.CAPACITY),
        ("x", "Your team has used all available credits", K.CREDITS),
        ("x", "something nobody has seen", K.MALFORMED),
    ],
)
def test_an_error_inside_a_stream(code: str, error: str, kind: FailureKind) -> None:
    """An error event in a 200 is named by its text, and counts as an answer with status 200."""
    failure = classify_stream_error(flat(code, error).decode())
    assert (failure.kind, failure.status) == (kind, 200)
    assert error in failure.text


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": " 3 "}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "86400"}, LONGEST_RETRY_AFTER),
        ({"retry-after": "9" * 400}, LONGEST_RETRY_AFTER),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "9999999"}, LONGEST_RETRY_AFTER),
        ({"retry-after-ms": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after-ms": "soon"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds and milliseconds are read, garbage is not, and nobody waits longer than the cap."""
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2026 09:28:30 +0200", 30.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 2026 08:28:00 GMT", LONGEST_RETRY_AFTER),
        ("Wed, 99 Oct 2026 08:28:00 GMT", None),
        ("Wed, 21 Oct 99999999999 08:28:00 GMT", None),
        ("Wed, 21 Oct 2026 08:28:00 +99999999999999", None),
    ],
)
def test_retry_after_as_a_date(date: str, seconds: float | None) -> None:
    """An HTTP date is a wait from the response's own date on, and one beyond time is garbage."""
    headers = {"date": "Wed, 21 Oct 2026 07:28:00 GMT", "retry-after": date}
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("text", ["nan", "NaN"])
def test_retry_after_is_a_number(text: str) -> None:
    """What is not a number is garbage."""
    assert retry_after({"retry-after-ms": text}) is None


def test_a_readable_retry_after_is_used() -> None:
    """Of two headers the readable one counts."""
    assert retry_after({"retry-after-ms": "soon", "retry-after": "2"}) == 2.0


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(("said", "final"), [("false", True), ("False", True), ("true", False)])
def test_x_should_retry(status: int, said: str, *, final: bool) -> None:
    """`x-should-retry: false` means do not, and changes nothing else about what went wrong."""
    failure = classify(status, "no", {"x-should-retry": said})
    assert failure.final is final
    assert failure.kind is classify(status, "no", {}).kind


def test_a_body_nested_without_end_is_rejected() -> None:
    """A body that no parser takes is still named by its status."""
    assert classify(400, "[" * 100_000, {}).kind is K.REJECTED


def test_an_html_page_is_only_named() -> None:
    """Nobody has to read a page of HTML in an error."""
    assert classify(502, HTML.decode(), {}).text == "an HTML error page"


def test_a_text_is_one_line_of_bounded_length() -> None:
    """A long body becomes one line of at most 500 characters."""
    text = classify(422, "expected\n   a list\n" * 200, {}).text
    assert text.startswith("expected a list expected a list")
    assert "\n" not in text
    assert len(text) <= 500


@settings(max_examples=60)
@given(
    status=st.integers(300, 599),
    text=st.text() | st.sampled_from(WORDS),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "date"]),
        st.text() | st.from_regex(r"[0-9.]{1,9}", fullmatch=True),
    ),
)
def test_anything_has_a_kind(status: int, text: str, headers: dict[str, str]) -> None:
    """No response of any server makes the classification fail."""
    failure = classify(status, text, headers)
    assert failure.status == status
    assert failure.text
    assert len(failure.text) <= 500


@given(st.text())
def test_any_stream_error_has_a_kind(text: str) -> None:
    """No event of any server makes the classification fail."""
    assert classify_stream_error(text).kind in FailureKind


@pytest.mark.parametrize("status", [99, 600, 999])
def test_a_status_that_http_does_not_have_is_malformed(status: int) -> None:
    """No such status is passed on: the attempt is repeated like any malformed answer."""
    failure = classify(status, "{}", {})
    assert (failure.kind, failure.status) == (K.MALFORMED, None)
    assert f"got: {status}" in failure.text
