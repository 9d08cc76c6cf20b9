"""The gateway, from the HTTP request to the HTTP response."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import orjson
import pytest

from tests.waiting import until
from tests.web.house import (
    ANSWER,
    CHAT,
    EVENTS,
    KEY,
    QUESTION,
    beside,
    open_house,
    settings_of,
    waiting,
)

pytestmark = pytest.mark.anyio


async def test_body_goes_through_untouched() -> None:
    """Every byte of a call that names its model reaches the API, unknown fields included."""
    body = b'{ "model":"grok-4.7",\t"future": [1, 2.50, "\\u00e9"], "messages": [] }'
    async with open_house() as house:
        response = await house.client.post(CHAT, content=body)
    assert response.status_code == 200
    assert house.api.seen[0].content == body


async def test_answer_comes_back_untouched() -> None:
    """The API's document comes back as it was, unknown fields included."""
    async with open_house() as house:
        response = await house.client.post(CHAT, json=QUESTION)
    assert response.json() == ANSWER
    assert response.headers["content-type"] == "application/json"


async def test_reply_tells_how_it_fared() -> None:
    """A reply names its class, wait, attempts and id, and keeps the API's own request id."""
    async with open_house() as house:
        headers = (await house.client.post(CHAT, json=QUESTION)).headers
    assert headers["x-supervisor-role"] == "gateway"
    assert int(headers["x-supervisor-wait-ms"]) >= 0
    assert headers["x-supervisor-attempts"] == "1"
    assert headers["x-supervisor-request"].startswith("gw-")
    assert headers["x-request-id"] == "up-1"


async def test_missing_model_is_put_in() -> None:
    """A call that names no model gets the configured one; the rest of it stays as it was."""
    async with open_house(settings=settings_of({"model": "grok-4.6"})) as house:
        await house.client.post(CHAT, content=b'{"messages":[],  "x":1}')
    assert house.api.seen[0].content == b'{"model":"grok-4.6","messages":[],  "x":1}'


async def test_stream_is_passed_on_event_by_event() -> None:
    """A streamed answer arrives as the same events, to its real end."""
    async with open_house() as house:
        response = await house.client.post(CHAT, json={**QUESTION, "stream": True})
    assert response.status_code == 200
    assert response.content == b"".join(EVENTS)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-supervisor-attempts"] == "1"


async def test_responses_endpoint_goes_to_its_own_path() -> None:
    """`/v1/responses` is relayed to the API's `/responses`."""
    async with open_house() as house:
        response = await house.client.post("/v1/responses", json={"model": "m", "input": "Hi"})
    assert response.status_code == 200
    assert house.api.seen[0].url.path == "/v1/responses"


async def test_conversation_id_is_passed_on_and_the_clients_token_is_not() -> None:
    """The API sees the caching header and our key, never the client's own credentials."""
    async with open_house() as house:
        await house.client.post(
            CHAT,
            json=QUESTION,
            headers={"x-grok-conv-id": "conv-1", "authorization": "Bearer whatever"},
        )
    seen = house.api.seen[0].headers
    assert seen["x-grok-conv-id"] == "conv-1"
    assert seen["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "an empty body"),
        (b"{", "not JSON"),
        (b"[1]", "[1]"),
        (b'{"model": 5}', "expected model to be a string, got: 5"),
        (b'{"model": "m", "stream": "yes"}', 'expected stream to be true or false, got: "yes"'),
    ],
)
async def test_malformed_bodies_are_refused(body: bytes, text: str) -> None:
    """A body that is no request is refused with what was expected, and nothing is sent."""
    async with open_house() as house:
        response = await house.client.post(CHAT, content=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert text in error["message"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_request")
    assert response.headers["x-should-retry"] == "false"
    assert not house.api.seen


async def test_declared_size_over_the_bound_is_refused_unread() -> None:
    """A body announced as too large is refused with 413 before it is read."""
    async with open_house(settings=settings_of({"web": {"max_body": "1KiB"}})) as house:
        response = await house.client.post(CHAT, content=b"x" * 1025)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"


async def test_undeclared_size_over_the_bound_is_refused() -> None:
    """A body that grows beyond the bound without announcing it is refused just as well."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 500

    async with open_house(settings=settings_of({"web": {"max_body": "1KiB"}})) as house:
        response = await house.client.post(CHAT, content=chunks())
    assert response.status_code == 413
    assert "1024" in response.json()["error"]["message"]


async def test_unknown_role_is_named_with_the_known_ones() -> None:
    """A role nobody knows is refused with a guess and the list of those there are."""
    async with open_house() as house:
        response = await house.client.post(
            CHAT, json=QUESTION, headers={"x-supervisor-role": "qualty"}
        )
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert 'did you mean "quality"?' in message
    assert "code, editor, gateway, quality" in message


async def test_wrong_deadline_is_refused() -> None:
    """A deadline that is no duration is refused with an example."""
    async with open_house() as house:
        response = await house.client.post(
            CHAT, json=QUESTION, headers={"x-supervisor-deadline": "soon"}
        )
    assert response.status_code == 400
    assert 'got: "soon"' in response.json()["error"]["message"]


async def test_deadline_that_cannot_be_met_is_refused_at_once() -> None:
    """What cannot go before its deadline is refused at once, with when it could have gone."""
    async with open_house(limits=["1 requests / minute"]) as house:
        await house.client.post(CHAT, json=QUESTION)
        response = await house.client.post(
            CHAT, json=QUESTION, headers={"x-supervisor-deadline": "1s"}
        )
    assert response.status_code == 504
    assert response.json()["error"]["code"] == "deadline_exceeded"
    assert 1 <= int(response.headers["retry-after"]) <= 60


async def test_full_queue_is_refused_with_a_true_retry_after() -> None:
    """A full queue answers 429 at once with a Retry-After that clients believe."""
    async with open_house(limits=["1 requests / minute"], queue=1) as house:
        await house.client.post(CHAT, json=QUESTION)
        async with beside(partial(house.client.post, CHAT, json=QUESTION)):
            await until(lambda: waiting(house))
            response = await house.client.post(CHAT, json=QUESTION)
    assert response.status_code == 429
    assert response.json()["error"]["code"] == "queue_full"
    assert 1 <= int(response.headers["retry-after"]) <= 120
    assert "x-should-retry" not in response.headers


@pytest.mark.parametrize(
    ("status", "body", "message", "code"),
    [
        (
            404,
            {"code": "not-found", "error": "Model not found: grok-99"},
            "Model not found: grok-99",
            "not-found",
        ),
        (
            400,
            {"code": "Client specified an invalid argument", "error": "Argument not supported: n"},
            "Argument not supported: n",
            "Client specified an invalid argument",
        ),
    ],
)
async def test_flat_errors_are_readable_in_both_forms(
    status: int, body: dict[str, str], message: str, code: str
) -> None:
    """An upstream's flat error keeps its status and is readable nested and flat, not retried."""
    async with open_house() as house:
        house.api.refuse(status, body)
        response = await house.client.post(CHAT, json=QUESTION)
    document = response.json()
    assert response.status_code == status
    assert document["error"]["message"] == message
    assert document["error"]["code"] == document["code"] == code
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["x-supervisor-error"] == "upstream_rejected"


async def test_nested_errors_are_passed_on_as_they_are() -> None:
    """An upstream that speaks the nested form already is not rewritten."""
    body = {"error": {"message": "no", "type": "x", "code": "y"}, "more": 1}
    async with open_house() as house:
        house.api.refuse(400, body)
        response = await house.client.post(CHAT, json=QUESTION)
    assert response.json() == body


@pytest.mark.parametrize(
    ("status", "text", "part"),
    [
        (422, "Failed to deserialize the JSON body: expected a string", "deserialize"),
        (502, "<html><h1>Bad gateway</h1></html>", "an HTML error page"),
    ],
)
async def test_bodies_that_are_no_json_are_told_in_words(status: int, text: str, part: str) -> None:
    """An error that is no JSON becomes one in our form, with the status it had."""
    async with open_house() as house:
        house.api.refuse(status, None, text=text)
        response = await house.client.post(CHAT, json=QUESTION)
    assert response.status_code == status
    assert part in response.json()["error"]["message"]
    assert response.headers["x-should-retry"] == "false"


async def test_refused_stream_is_a_plain_error() -> None:
    """A stream that never began is refused with a status, not with an event."""
    async with open_house() as house:
        house.api.refuse(400, {"code": "bad", "error": "Argument not supported: x"})
        response = await house.client.post(CHAT, json={**QUESTION, "stream": True})
    assert response.status_code == 400
    assert response.json()["code"] == "bad"


async def test_unusable_key_says_what_to_do_and_shows_nothing_of_it() -> None:
    """A bad key is told with what to do, without retries and without any part of the key."""
    async with open_house() as house:
        house.api.refuse(
            400, {"code": "invalid-argument", "error": f"Incorrect API key provided: {KEY}"}
        )
        first = await house.client.post(CHAT, json=QUESTION)
        second = await house.client.post(CHAT, json=QUESTION)
    assert len(house.api.seen) == 1
    for response in (first, second):
        assert response.headers["x-should-retry"] == "false"
        assert response.headers["x-supervisor-error"] == "key_unusable"
        assert "XAI_API_KEY" in response.json()["error"]["message"]
        assert KEY not in response.text
        assert "not-a-real" not in response.text


async def test_draining_house_refuses_for_a_moment() -> None:
    """A stopping process answers 503 with a short Retry-After: another one will be there."""
    async with open_house() as house:
        await house.broker.drain(0.0)
        response = await house.client.post(CHAT, json=QUESTION)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "draining"
    assert response.headers["retry-after"] == "5"


async def test_why_is_told_by_the_clients_own_name_of_a_call() -> None:
    """A client that named its call can ask why it waits, and for how long, while it waits."""
    async with open_house(limits=["1 requests / minute"]) as house:
        await house.client.post(CHAT, json=QUESTION)
        named = {"x-client-request-id": "mine"}
        async with beside(partial(house.client.post, CHAT, json=QUESTION, headers=named)):
            await until(lambda: waiting(house))
            why = await house.client.get("/api/why/mine")
        gone = await house.client.get("/api/why/mine")
    assert why.json()["traffic_class"] == "gateway"
    assert why.json()["place"] == 1
    assert "1 requests / minute" in why.json()["text"]
    assert gone.status_code == 404
    assert gone.json()["error"]["code"] == "not_waiting"


async def test_other_methods_and_paths_are_refused_in_the_same_form() -> None:
    """What is not there, or not for this method, is told in the form of all errors."""
    async with open_house() as house:
        get = await house.client.get(CHAT)
        nothing = await house.client.get("/v1/embeddings")
    assert (get.status_code, get.json()["error"]["code"]) == (405, "method_not_allowed")
    assert get.headers["allow"] == "POST"
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (404, "not_found")


async def test_max_output_and_stream_are_understood() -> None:
    """A streamed call is sent as one even where the client did not ask for usage."""
    async with open_house() as house:
        await house.client.post(CHAT, json={**QUESTION, "stream": True, "max_tokens": 7})
    sent = orjson.loads(house.api.seen[0].content)
    assert sent["max_tokens"] == 7
    assert sent["stream"] is True
