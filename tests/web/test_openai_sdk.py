"""The openai SDK, with nothing but `base_url` and `api_key` changed, over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import orjson
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel

from tests.web.house import (
    ANSWER,
    EVENTS,
    KEY,
    Events,
    House,
    chunk,
    open_house,
    served,
    settings_of,
)

pytestmark = pytest.mark.anyio

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


@asynccontextmanager
async def sdk(house: House, key: str = "none") -> AsyncGenerator[AsyncOpenAI]:
    """The SDK pointed at the gateway, with its own retries as they are by default."""
    async with served(house) as port:
        base = f"http://127.0.0.1:{port}/v1"
        async with AsyncOpenAI(base_url=base, api_key=key) as client:
            yield client


def answers(house: House, document: dict[str, Any]) -> None:
    """From now on the API answers with this document."""

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=document)

    house.api.answer = answer


async def test_plain_answer() -> None:
    """A plain call gives the answer, its usage, and fields of tomorrow."""
    async with open_house() as house, sdk(house, "quality") as client:
        reply = await client.chat.completions.create(model="grok-4.7", messages=MESSAGES)
        raw = await client.chat.completions.with_raw_response.create(
            model="grok-4.7", messages=MESSAGES
        )
    assert reply.choices[0].message.content == "Hello"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 5
    assert reply.model_extra == {"a field of tomorrow": {"kept": True}}
    assert raw.headers["x-supervisor-role"] == "quality"


async def test_stream() -> None:
    """A streamed call gives the pieces and ends."""
    async with open_house() as house, sdk(house) as client:
        stream = await client.chat.completions.create(
            model="grok-4.7", messages=MESSAGES, stream=True
        )
        pieces = [event.choices[0].delta.content async for event in stream]
    assert pieces == ["Hel", "lo", ""]


async def test_tool_call() -> None:
    """Tools go out as they are, and a tool call comes back whole."""
    call = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    tool: ChatCompletionToolParam = {
        "type": "function",
        "function": {"name": "look", "parameters": {"type": "object"}},
    }
    async with open_house() as house, sdk(house) as client:
        answers(house, {**ANSWER, "choices": [choice]})
        reply = await client.chat.completions.create(
            model="grok-4.7", messages=MESSAGES, tools=[tool]
        )
        sent = orjson.loads(house.api.seen[0].content)
    assert sent["tools"] == [tool]
    assert reply.choices[0].message.tool_calls is not None
    assert json.loads(reply.choices[0].message.tool_calls[0].function.arguments) == {"a": 1}  # type: ignore[union-attr]


class Finding(BaseModel):
    """What a structured answer holds."""

    title: str
    line: int


async def test_structured_output() -> None:
    """A schema goes out, and the answer is parsed into the model it came from."""
    message = {"role": "assistant", "content": '{"title": "x", "line": 3}'}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    async with open_house() as house, sdk(house) as client:
        answers(house, {**ANSWER, "choices": [choice]})
        reply = await client.chat.completions.parse(
            model="grok-4.7", messages=MESSAGES, response_format=Finding
        )
        sent = orjson.loads(house.api.seen[0].content)
    assert reply.choices[0].message.parsed == Finding(title="x", line=3)
    assert sent["response_format"]["json_schema"]["name"] == "Finding"


async def test_models() -> None:
    """The list of models is the API's."""
    async with open_house() as house, sdk(house) as client:
        answers(house, {"object": "list", "data": [{"id": "grok-4.7", "object": "model"}]})
        found = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("grok-4.7")
    assert found == ["grok-4.7"]
    assert one.id == "grok-4.7"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (
            400,
            {"code": "invalid-argument", "error": "Argument not supported: stop"},
            openai.BadRequestError,
            "invalid-argument",
        ),
        (
            404,
            {"code": "not-found", "error": "Model not found: grok-99"},
            openai.NotFoundError,
            "not-found",
        ),
        (
            403,
            {"code": "personal-team-blocked:spending-limit", "error": "run out of credits"},
            openai.PermissionDeniedError,
            "personal-team-blocked:spending-limit",
        ),
    ],
)
async def test_errors_of_the_api_fill_the_sdks_fields(
    status: int, body: dict[str, str], kind: type[openai.APIStatusError], code: str
) -> None:
    """An upstream error is the SDK's own class for its status, with `code` and words, at once."""
    async with open_house() as house, sdk(house) as client:
        house.api.refuse(status, body)
        with pytest.raises(kind) as caught:
            await client.chat.completions.create(model="grok-4.7", messages=MESSAGES)
        assert len(house.api.seen) == 1
    assert caught.value.code == code
    assert body["error"] in str(caught.value)


async def test_retries_do_not_multiply() -> None:
    """What was retried here is not retried by the SDK again."""
    async with open_house() as house, sdk(house) as client:
        house.api.refuse(503, {"code": "x", "error": "The service is currently unavailable"})
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="grok-4.7", messages=MESSAGES)
        assert len(house.api.seen) == 1


async def test_wrong_token_is_an_authentication_error() -> None:
    """A wrong token is the SDK's AuthenticationError with what to do, and nothing is sent."""
    settings = settings_of({"web": {"token": "house-token-1234"}})
    async with open_house(settings=settings) as house:
        async with sdk(house, "sk-wrong") as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                await client.chat.completions.create(model="grok-4.7", messages=MESSAGES)
        async with sdk(house, "house-token-1234") as client:
            await client.chat.completions.create(model="grok-4.7", messages=MESSAGES)
    assert caught.value.code == "invalid_token"
    assert len(house.api.seen) == 1


@pytest.mark.parametrize(
    "events",
    [
        [chunk("Hel")],
        [chunk("Hel"), b'data: {"code":"c","error":"Timed out waiting for first token"}\n\n'],
    ],
    ids=["cut", "error event"],
)
async def test_lost_stream_is_an_error(events: list[bytes]) -> None:
    """A stream that breaks off raises in the SDK; what came before has come."""
    async with open_house() as house, sdk(house) as client:
        house.api.stream(Events(events))
        stream = await client.chat.completions.create(
            model="grok-4.7", messages=MESSAGES, stream=True
        )
        assert (await anext(stream)).choices[0].delta.content == "Hel"
        with pytest.raises(openai.APIError) as caught:
            await anext(stream)
    assert caught.value.code == "upstream_unavailable"


@pytest.mark.slow
async def test_lost_response_stream_is_an_error() -> None:
    """The events of `/responses` that break off raise in the SDK just as well."""
    created = {"type": "response.created", "sequence_number": 0, "response": {"id": "r1"}}
    first = b"event: response.created\ndata: " + orjson.dumps(created) + b"\n\n"
    async with open_house() as house, sdk(house) as client:
        house.api.stream(Events([first]))
        stream = await client.responses.create(model="grok-4.7", input="Hi", stream=True)
        first_event: ResponseStreamEvent = await anext(stream)
        with pytest.raises(openai.APIError) as caught:
            await anext(stream)
    assert first_event.type == "response.created"
    assert caught.value.code == "upstream_unavailable"


async def test_usage_that_was_not_asked_for_is_not_passed_on() -> None:
    """We count usage of every stream; a client that did not ask for it does not see it."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    counted = b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\n"
    async with open_house() as house, sdk(house) as client:
        house.api.stream(Events([*EVENTS[:3], counted, EVENTS[3]]))
        stream = await client.chat.completions.create(
            model="grok-4.7", messages=MESSAGES, stream=True
        )
        seen = [event async for event in stream]
        sent = orjson.loads(house.api.seen[0].content)
    assert len(seen) == 3
    assert all(event.choices for event in seen)
    assert sent["stream_options"] == {"include_usage": True}
    assert sum(one.prompt_tokens for one in house.broker.snapshot().classes) == 3


async def test_key_shows_in_no_error() -> None:
    """Whatever the API echoes, no client sees any part of the key."""
    async with open_house() as house, sdk(house) as client:
        house.api.refuse(400, {"code": "x", "error": f"Incorrect API key provided: {KEY}."})
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model="grok-4.7", messages=MESSAGES)
    shown = f"{caught.value} {caught.value.response.text} {caught.value.response.headers}"
    assert "not-a-real" not in shown
