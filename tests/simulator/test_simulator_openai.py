"""The openai SDK against the simulator, over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from supervisor.simulator.server import Served, serve
from supervisor.simulator.settings import Settings
from tests.simulator.bench import KEY

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
        },
    },
}


class Review(BaseModel):
    """What structured output is parsed into."""

    title: str
    lines: list[int]
    author: str | None


@asynccontextmanager
async def served(**settings: Any) -> AsyncGenerator[tuple[Served, AsyncOpenAI]]:
    async with (
        serve(Settings.read(settings)) as simulator,
        AsyncOpenAI(base_url=simulator.base_url, api_key=KEY, max_retries=0) as client,
    ):
        yield simulator, client


async def test_the_sdk_gets_a_completion() -> None:
    """A plain call works with nothing but base_url and key."""
    async with served(script=[{"answer": "Hi."}]) as (_, client):
        answer = await client.chat.completions.create(model="grok-4.7", messages=HELLO)
    assert answer.choices[0].message.content == "Hi."
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


async def test_the_sdk_reads_a_stream() -> None:
    """Deltas add up to the answer, the last chunk has the usage."""
    async with served(script=[{"answer": "One two three four."}], chunk_tokens=1) as (_, client):
        stream = await client.chat.completions.create(
            model="grok-4.7", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "One two three four."
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None


async def test_the_sdk_gets_tool_calls() -> None:
    """A tool that has to be called is, with arguments that are JSON."""
    fields: dict[str, Any] = {"messages": HELLO, "tools": [TOOL], "tool_choice": "required"}
    async with served() as (_, client):
        create: Any = client.chat.completions.create
        answer = await create(model="grok-4.7", **fields)
    call = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 1})


async def test_the_sdk_puts_streamed_tool_calls_together() -> None:
    """The one chunk with the call is enough for the SDK's own accumulator."""
    fields: dict[str, Any] = {"messages": HELLO, "tools": [TOOL], "tool_choice": "required"}
    async with (
        served() as (_, client),
        client.chat.completions.stream(model="grok-4.7", **fields) as events,
    ):
        answer = await events.get_final_completion()
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert (calls[0].function.name, calls[0].function.arguments) == ("add", '{"a":1}')


@pytest.mark.slow  # the SDK builds its models on first use
async def test_the_sdk_parses_structured_output() -> None:
    """A pydantic model goes in and an instance of it comes out, on both endpoints."""
    async with served() as (_, client):
        chat = await client.chat.completions.parse(
            model="grok-4.7", messages=HELLO, response_format=Review
        )
        response = await client.responses.parse(model="grok-4.7", input="hello", text_format=Review)
    assert isinstance(chat.choices[0].message.parsed, Review)
    assert response.output_parsed == chat.choices[0].message.parsed


@pytest.mark.slow  # the SDK builds its models on first use
async def test_the_sdk_reads_responses() -> None:
    """Responses work plain and streamed."""
    async with served(script=[{"answer": "Hi there."}], chunk_tokens=1) as (_, client):
        plain = await client.responses.create(model="grok-4.7", input="hello")
        async with client.responses.stream(model="grok-4.7", input="hello") as events:
            final = await events.get_final_response()
    assert plain.output_text == final.output_text == "Hi there."


async def test_the_sdk_lists_models() -> None:
    """The catalogue is one the SDK can read."""
    async with served() as (_, client):
        models = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("grok-4.7")
    assert one.id == models[0] == "grok-4.7"


@pytest.mark.parametrize(
    ("settings", "fields", "error"),
    [
        ({"limits": ["1 requests / hour"]}, {}, openai.RateLimitError),
        ({"key": "xai-other"}, {}, openai.BadRequestError),
        ({"account": "team_blocked"}, {}, openai.PermissionDeniedError),
        ({}, {"model": "gpt-9"}, openai.NotFoundError),
        ({}, {"temperature": "hot"}, openai.UnprocessableEntityError),
        ({"faults": {"server_error": 1}}, {}, openai.InternalServerError),
        ({"faults": {"cut": 1}}, {}, openai.APIConnectionError),
    ],
)
async def test_the_sdk_raises_its_own_errors(
    settings: dict[str, Any], fields: dict[str, Any], error: type[Exception]
) -> None:
    """Each failure comes out as the class the SDK has for it."""
    async with served(**settings) as (simulator, client):
        if "limits" in settings:
            await client.chat.completions.create(model="grok-4.7", messages=HELLO)
        body: dict[str, Any] = {"model": "grok-4.7", "messages": HELLO} | fields
        with pytest.raises(error):
            await client.chat.completions.create(**body)
    assert simulator.judge.report().attempts == (2 if "limits" in settings else 1)
