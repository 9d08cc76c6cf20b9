"""Everything the API says no with: status, code and text as they were captured from it.

Bodies are flat, `{"code", "error"}`; only wrong types and broken JSON come as plain text and only
the network in front of the API speaks HTML. Pure: what to say is decided here, sending is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import orjson

from supervisor.simulator.dice import Dice
from supervisor.simulator.limits import Refusal

TEAM = "00000000-0000-4000-8000-000000000001"
_CONSOLE = "You can view your team rate limits at https://console.x.ai."

# The API's older codes are sentences; both forms are still met.
_SENTENCES = {
    "resource-exhausted": "Some resource has been exhausted",
    "invalid-argument": "Client specified an invalid argument",
    "not-found": "Some requested entity was not found",
    "permission-denied": "The caller does not have permission to execute the specified operation",
    "unauthenticated": "The caller does not have valid authentication credentials",
    "unavailable": "The service is currently unavailable",
    "internal": "Internal error",
}

_SERVER_ERRORS = (
    (500, "internal", "Internal server error. Please retry your request."),
    (502, "unavailable", "Bad gateway"),
    (503, "unavailable", "Service temporarily unavailable. The model did not respond in time."),
    (504, "unavailable", "The request timed out."),
)
_HTML_STATUSES = (502, 520, 521, 522, 523, 524)
_HTML = (
    "<!DOCTYPE html>\n<html><head><title>api.x.ai | {status}</title></head>\n"
    '<body><div id="cf-error-details"><h1>Error code {status}</h1>\n'
    "<p>The web server reported an error.</p></div></body></html>\n"
)

STREAM_ERROR = {
    "code": "The service is currently unavailable",
    "error": "Timed out waiting for first token",
}
"""The event that can come inside a stream whose status was 200."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is no answer.

    Attributes:
        status: HTTP status.
        text: The error's text.
        code: Its code in kebab-case; empty where the body is not JSON.
        media: The form of the body.
        quota: Whether the limits refused it, so that waiting helps.
    """

    status: int
    text: str
    code: str = ""
    media: Literal["json", "text", "html"] = "json"
    quota: bool = False

    @property
    def content_type(self) -> bytes:
        """The value of the content-type header."""
        if self.media == "json":
            return b"application/json"
        return b"text/html; charset=UTF-8" if self.media == "html" else b"text/plain; charset=utf-8"

    def body(self, *, sentence_codes: bool = False) -> bytes:
        """The body's bytes.

        Args:
            sentence_codes: Write the code as the older sentence.
        """
        if self.media != "json":
            return self.text.encode()
        code = _SENTENCES.get(self.code, self.code) if sentence_codes else self.code
        return orjson.dumps({"code": code, "error": self.text})


def over_limit(refusal: Refusal, model: str) -> Failure:
    """The limits refused the request."""
    counts = f"{refusal.actual}/{refusal.limit.amount}"
    text = _limited(model, unit=refusal.limit.unit, period=refusal.period, counts=counts)
    return Failure(429, text, "resource-exhausted", quota=True)


def closed_model(model: str) -> Failure:
    """The model is not open to this team: a limit of 0/0."""
    text = _limited(model, unit="requests", period="Minute", counts="0/0")
    return Failure(429, text, "resource-exhausted")


def _limited(model: str, *, unit: str, period: str, counts: str) -> str:
    return (
        f"Too many {unit} for team {TEAM} and model {model}. Your team's rate limit is — "
        f"{unit.capitalize()} per {period} (actual/limit): {counts}. {_CONSOLE}"
    )


def no_capacity(model: str) -> Failure:
    """They have too little; it says nothing about our quota."""
    text = f"The model {model} is temporarily at capacity. Please try again later."
    return Failure(429, text, "resource-exhausted")


def no_key() -> Failure:
    """No credentials came with the request."""
    return Failure(
        401,
        "No API key provided. Specify your API key in an Authorization header using Bearer auth.",
        "unauthenticated",
    )


def wrong_key(key: str, *, whole: bool) -> Failure:
    """The key is not a key of this API. That is a 400.

    Args:
        key: What was sent.
        whole: Whether to repeat it whole instead of masked.
    """
    return Failure(
        400,
        f"Incorrect API key provided: {key if whole else key[:3] + '***'}. "
        "You can obtain an API key from https://console.x.ai.",
        "invalid-argument",
    )


ACCOUNT_FAILURES = {
    "no_credits": Failure(
        429,
        f"Your team {TEAM} has either used all available credits or reached its monthly spending "
        "limit. To continue making API requests, please purchase more credits or raise your "
        "spending limit.",
        "resource-exhausted",
    ),
    "spending_limit": Failure(
        403,
        "You have run out of credits. Add credits to continue using the API.",
        "personal-team-blocked:spending-limit",
    ),
    "key_blocked": Failure(403, "The API key is blocked.", "permission-denied"),
    "team_blocked": Failure(403, f"The team {TEAM} is blocked.", "permission-denied"),
    "no_permission": Failure(
        403, "The API key does not have permission to use this endpoint.", "permission-denied"
    ),
}
"""What an account that cannot be used answers, by `Settings.account`."""


def unknown_model(model: str) -> Failure:
    """No such model."""
    return Failure(404, f"Model not found: {model}", "not-found")


def invalid(text: str) -> Failure:
    """The request is well-formed and still cannot be served."""
    return Failure(400, text, "invalid-argument")


def unsupported(argument: str) -> Failure:
    """An argument that this model does not take."""
    return invalid(f"Argument not supported: {argument}")


def wrong_type(problem: str) -> Failure:
    """A field has the wrong type or is missing; plain text, as the API's framework writes it."""
    text = f"Failed to deserialize the JSON body into the target type: {problem}"
    return Failure(422, text, media="text")


def bad_json(problem: str) -> Failure:
    """The body is not JSON."""
    text = f"Failed to parse the request body as JSON: {problem}"
    return Failure(400, text, media="text")


def not_json() -> Failure:
    """The body does not say that it is JSON."""
    return Failure(415, "Expected request with `Content-Type: application/json`", media="text")


def server_error(dice: Dice) -> Failure:
    """One of the API's own 5xx."""
    status, code, text = _SERVER_ERRORS[dice.below(len(_SERVER_ERRORS))]
    return Failure(status, text, code)


def html_error(dice: Dice) -> Failure:
    """One of Cloudflare's pages."""
    status = _HTML_STATUSES[dice.below(len(_HTML_STATUSES))]
    return Failure(status, _HTML.format(status=status), media="html")


def not_found(path: str) -> Failure:
    """No such endpoint."""
    return Failure(404, f"The requested resource was not found: {path}", "not-found")


def wrong_method(method: str) -> Failure:
    """The endpoint exists, but not for this method."""
    return Failure(405, f"Method {method} is not allowed here", "invalid-argument")


def live_search_gone() -> Failure:
    """Live Search was taken away."""
    return Failure(410, "Live search is deprecated. Please use the Agent Tools API.", "gone")


def too_large(limit: int) -> Failure:
    """The body is larger than is read; `limit` in bytes."""
    return Failure(413, f"The request body exceeds {limit} bytes", "invalid-argument")
