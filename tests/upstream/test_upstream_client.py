"""One attempt, one HTTP request: what is sent, what comes back, and nothing ever raised."""

from __future__ import annotations

from typing import Any

import aiohttp
import httpx
import orjson
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from supervisor.messages import Endpoint, Request, Usage
from supervisor.upstream.failures import RETRYABLE, FailureKind
from tests.upstream.api import (
    BAD_KEY,
    BASE_URL,
    CAPACITY,
    FAKE_KEY,
    JSON,
    Answer,
    ScriptedApi,
    completion,
    flat,
    upstream_of,
)

BODY = b'{"model":"grok-4.7",  "messages":[], "unknown": {"field": 1.50}}'
ENDPOINTS: tuple[Endpoint, ...] = ("/chat/completions", "/responses")


def asked(body: bytes = BODY, **fields: Any) -> Request:
    """A request for one attempt."""
    return Request(id="a", traffic_class="code", body=body, **fields)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_what_is_sent(endpoint: Endpoint) -> None:
    """The body goes out byte for byte, to the endpoint, with the key and the extra headers."""
    api = ScriptedApi()
    await upstream_of(api).send(asked(endpoint=endpoint, headers={"x-grok-conv-id": "c1"}))
    (arrival,) = api.arrivals
    assert str(arrival.request.url) == BASE_URL + endpoint
    assert arrival.request.method == "POST"
    assert arrival.request.content == BODY
    headers = arrival.request.headers
    assert headers["authorization"] == f"Bearer {FAKE_KEY}"
    assert headers["content-type"] == "application/json"
    assert headers["accept"] == "application/json"
    assert headers["x-grok-conv-id"] == "c1"


async def test_a_server_without_a_key() -> None:
    """Without a key there is no authorization header."""
    api = ScriptedApi()
    await upstream_of(api, key="").send(asked())
    assert "authorization" not in api.arrivals[0].request.headers


async def test_the_callers_authorization_is_replaced() -> None:
    """What a caller authorizes itself with at our door is not shown to the API."""
    api = ScriptedApi()
    await upstream_of(api).send(asked(headers={"authorization": "Bearer of-a-client"}))
    headers = api.arrivals[0].request.headers
    assert headers.get_list("authorization") == [f"Bearer {FAKE_KEY}"]


async def test_header_names_have_no_case() -> None:
    """A header in another spelling is the same header."""
    api = ScriptedApi()
    await upstream_of(api).send(asked(headers={"Authorization": "Bearer of-a-client"}))
    headers = api.arrivals[0].request.headers
    assert headers.get_list("authorization") == [f"Bearer {FAKE_KEY}"]


@pytest.mark.parametrize("value", ["caf\xe9", "caf\u2026", "\ud83d"])
async def test_a_header_of_any_text(value: str) -> None:
    """A caller's header in another script is sent, not raised over with the key at hand."""
    api = ScriptedApi()
    outcome = await upstream_of(api).send(asked(headers={"x-grok-conv-id": value}))
    assert outcome.failure is None
    assert len(api.arrivals) == 1


async def test_an_answer() -> None:
    """The body comes back byte for byte, with its usage and the headers worth passing on."""
    body = completion(7, 3)[:-1] + b', "unknown": 1.50}'
    headers = {
        **JSON,
        "X-Request-Id": "r1",
        "X-RateLimit-Remaining-Requests": "99",
        "Set-Cookie": "a=b",
        "Server": "x",
    }
    outcome = await upstream_of(ScriptedApi(Answer(body=body, headers=headers))).send(asked())
    assert (outcome.status, outcome.body, outcome.failure) == (200, body, None)
    assert outcome.usage == Usage(7, 3)
    assert dict(outcome.headers) == {
        **JSON,
        "x-request-id": "r1",
        "x-ratelimit-remaining-requests": "99",
    }


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"<html>", b'{"a":', b"\xff"])
async def test_an_answer_that_is_none(body: bytes) -> None:
    """A 200 without a JSON object is no answer, and worth another attempt."""
    outcome = await upstream_of(ScriptedApi(Answer(body=body))).send(asked())
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.MALFORMED
    assert outcome.failure.kind in RETRYABLE
    assert str(len(body)) in outcome.failure.text


@pytest.mark.parametrize("error", [{"message": "No route for it."}, "No route for it."])
async def test_an_error_in_an_answers_place(error: object) -> None:
    """A 200 that holds an error is none; its words are told, without the key."""
    body = orjson.dumps({"error": error, "user": FAKE_KEY})
    outcome = await upstream_of(ScriptedApi(Answer(body=body))).send(asked())
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.MALFORMED
    assert "No route for it." in outcome.failure.text
    assert FAKE_KEY not in repr(outcome)


async def test_a_response_that_failed_is_an_answer() -> None:
    """What has an answer's form passes as it is, with what went wrong in it."""
    body = b'{"object": "response", "error": {"code": "server_error"}, "output": []}'
    outcome = await upstream_of(ScriptedApi(Answer(body=body))).send(asked())
    assert (outcome.body, outcome.failure) == (body, None)


async def test_half_a_character() -> None:
    """An answer that ends in half a character is an answer, and passes byte for byte."""
    body = completion().replace(b'"ok"', rb'"ok \ud83d"')
    outcome = await upstream_of(ScriptedApi(Answer(body=body))).send(asked())
    assert (outcome.body, outcome.failure) == (body, None)


@pytest.mark.parametrize("deep", [b"[", b'{"a":'])
async def test_an_answer_nested_without_end(deep: bytes) -> None:
    """A document that no parser takes is no answer, and no crash."""
    outcome = await upstream_of(ScriptedApi(Answer(body=deep * 100_000))).send(asked())
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.MALFORMED


async def test_a_refusal() -> None:
    """An error response is classified, its body and its wait are kept."""
    answer = Answer(429, CAPACITY.body, {**JSON, "Retry-After": "7"})
    outcome = await upstream_of(ScriptedApi(answer)).send(asked())
    assert outcome.status == 429
    assert outcome.body == CAPACITY.body
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CAPACITY
    assert outcome.failure.retry_after == 7.0


async def test_a_redirect_is_not_followed() -> None:
    """The key goes nowhere but to the configured host."""
    api = ScriptedApi(Answer(302, b"", {"location": "https://elsewhere.test/"}))
    outcome = await upstream_of(api).send(asked())
    assert len(api.arrivals) == 1
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.MALFORMED
    assert "upstream.base_url" in outcome.failure.hint


async def test_an_echoed_key_is_redacted() -> None:
    """The API repeats a wrong key in its error; nothing of that is passed on."""
    outcome = await upstream_of(ScriptedApi(BAD_KEY)).send(asked())
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.KEY
    assert FAKE_KEY.encode() not in outcome.body
    assert FAKE_KEY not in repr(outcome)
    assert orjson.loads(outcome.body)["error"] == "Incorrect API key provided: ***."


async def test_a_key_in_a_header_is_redacted() -> None:
    """Headers that are passed on hold no key either."""
    answer = Answer(400, flat("x", "y"), {**JSON, "x-request-id": f"for-{FAKE_KEY}"})
    outcome = await upstream_of(ScriptedApi(answer)).send(asked())
    assert FAKE_KEY not in repr(outcome)


async def test_a_header_that_cannot_be_sent_on() -> None:
    """Control characters in the API's headers do not cost the caller its answer."""
    answer = Answer(headers={**JSON, "x-request-id": "a\x01b"})
    outcome = await upstream_of(ScriptedApi(answer)).send(asked())
    assert dict(outcome.headers) == JSON


ERRORS = [
    (httpx.ConnectError("refused"), FailureKind.UNREACHABLE),
    (httpx.ConnectTimeout(""), FailureKind.CONNECTION),
    (httpx.ReadError("reset"), FailureKind.CONNECTION),
    (httpx.RemoteProtocolError("cut"), FailureKind.CONNECTION),
    (httpx.ReadTimeout("slow"), FailureKind.TIMEOUT),
    (httpx.WriteTimeout("slow"), FailureKind.TIMEOUT),
    (TimeoutError(), FailureKind.TIMEOUT),
    (ConnectionResetError("reset"), FailureKind.CONNECTION),
    (OSError(24, "too many open files"), FailureKind.CONNECTION),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("late", [False, True], ids=["head", "body"])
async def test_the_network_never_raises(error: Exception, kind: FailureKind, *, late: bool) -> None:
    """Whatever the network does, before the head or in the body, becomes a failure with a text."""
    api = ScriptedApi(Answer(body=[b'{"half":'] if late else b"", cut=error))
    outcome = await upstream_of(api).send(asked())
    assert outcome.failure is not None
    assert (outcome.status, outcome.body, outcome.failure.kind) == (0, b"", kind)
    assert outcome.failure.status is None
    assert outcome.failure.text
    assert not api.open


async def test_a_refusal_that_breaks_off_is_one() -> None:
    """Its status says that nothing was done, and Retry-After when to come again."""
    cut = httpx.ReadError("reset")
    api = ScriptedApi(Answer(429, [b'{"error": "Requests per'], {"retry-after": "7"}, cut=cut))
    outcome = await upstream_of(api).send(asked())
    assert outcome.failure is not None
    assert (outcome.status, outcome.body, outcome.failure.kind) == (429, b"", FailureKind.QUOTA)
    assert outcome.failure.retry_after == 7.0
    assert not api.open


async def test_a_key_in_a_network_error_is_redacted() -> None:
    """Texts of the transport are redacted too."""
    api = ScriptedApi(Answer(cut=httpx.ReadError(f"header authorization: Bearer {FAKE_KEY}")))
    outcome = await upstream_of(api).send(asked())
    assert FAKE_KEY not in repr(outcome)


def no_http(message: str) -> aiohttp.ClientResponseError:
    """What aiohttp raises for a response that is no HTTP; it holds the request's headers."""
    headers = CIMultiDictProxy(CIMultiDict({"authorization": f"Bearer {FAKE_KEY}"}))
    info = aiohttp.RequestInfo(URL(BASE_URL), "POST", headers, URL(BASE_URL))
    return aiohttp.ClientResponseError(info, (), status=400, message=message)


async def test_a_network_error_is_one_line_of_bounded_length() -> None:
    """A peer that talks nonsense does not fill the log, nor pass for one that answered 400."""
    api = ScriptedApi(Answer(cut=no_http("Bad status line:\n\n  b'SSH" + "x" * 5_000)))
    outcome = await upstream_of(api).send(asked())
    assert outcome.failure is not None
    assert outcome.failure.text.startswith("the connection failed: Bad status line: b'SSH")
    assert len(outcome.failure.text) < 600


async def test_a_network_error_is_no_context() -> None:
    """What a reader raises does not drag along an error that holds the request's headers."""
    api = ScriptedApi(Answer(cut=no_http("Bad status line")))
    with pytest.raises(KeyError) as caught:
        async with upstream_of(api).stream(asked(stream=True)):
            raise KeyError("mine")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("path", ["/models", "/api-key"])
async def test_a_document(path: str) -> None:
    """Documents that cost no tokens are fetched with the key."""
    api = ScriptedApi(Answer(body=b'{"data":[]}'))
    outcome = await upstream_of(api).get(path)
    assert (outcome.status, outcome.body, outcome.failure) == (200, b'{"data":[]}', None)
    request = api.arrivals[0].request
    assert (request.method, str(request.url)) == ("GET", BASE_URL + path)
    assert request.headers["authorization"] == f"Bearer {FAKE_KEY}"


async def test_a_document_that_is_refused() -> None:
    """A document is refused and cut like any answer."""
    upstream = upstream_of(ScriptedApi(BAD_KEY, Answer(cut=httpx.ReadError("cut"))))
    refused, cut = await upstream.get("/models"), await upstream.get("/models")
    assert refused.failure is not None
    assert refused.failure.kind is FailureKind.KEY
    assert cut.failure is not None
    assert cut.failure.kind is FailureKind.CONNECTION


@pytest.mark.parametrize("body", [b"", b"<html>Please sign in</html>", b'{"data": [{"id'])
async def test_a_document_that_is_none(body: bytes) -> None:
    """A 200 that cannot be read is a failure; a bare list, as some servers give, can be."""
    upstream = upstream_of(ScriptedApi(Answer(body=body), Answer(body=b"[]")))
    none, bare = await upstream.get("/models"), await upstream.get("/models")
    assert none.failure is not None
    assert (none.failure.kind, none.body) == (FailureKind.MALFORMED, b"")
    assert (bare.failure, bare.body) == (None, b"[]")


async def test_closing() -> None:
    """Closing the upstream closes the connection pool."""
    api = ScriptedApi()
    await upstream_of(api).aclose()
    assert api.closed
