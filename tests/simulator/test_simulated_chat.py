"""`/v1/chat/completions` as xAI speaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.bench import OpenBench, events_of

TOOL: Any = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}


async def test_a_completion_has_the_form_of_the_api(simulated: OpenBench) -> None:
    """One document with message, finish reason, fingerprint and usage; `n` is ignored."""
    async with simulated(script=[{"answer": "Hello!"}]) as bench:
        response = await bench.chat("hi", n=3)
    body = response.json()
    assert response.status_code == 200
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!", "refusal": None},
            "finish_reason": "stop",
        }
    ]
    assert len(body["id"]) == 36
    assert response.headers["x-request-id"]


async def test_usage_leaves_reasoning_out_of_the_completion(simulated: OpenBench) -> None:
    """Total is prompt, completion and reasoning; the price counts all of them."""
    async with simulated(script=[{"answer": "x" * 40}], reasoning_tokens=100) as bench:
        usage = (await bench.chat("y" * 400)).json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (104, 10)
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 100
    assert usage["total_tokens"] == 214
    assert usage["cost_in_usd_ticks"] == 104 * 20_000 + 110 * 60_000


async def test_a_conversation_is_cached_up_to_its_last_prompt(simulated: OpenBench) -> None:
    """`x-grok-conv-id` keeps a conversation on one server: its earlier prompt is cheaper."""
    async with simulated(output_tokens=10, reasoning_tokens=0) as bench:
        bench.http.headers["x-grok-conv-id"] = "a"
        first = (await bench.chat("y" * 400)).json()["usage"]
        second = (await bench.chat("y" * 800)).json()["usage"]
        bench.http.headers["x-grok-conv-id"] = "b"
        third = (await bench.chat("y" * 800)).json()["usage"]
    cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in (first, second, third)]
    assert cached == [0, 104, 0]
    assert second["cost_in_usd_ticks"] == 100 * 20_000 + 104 * 5_000 + 10 * 60_000


async def test_a_long_prompt_costs_double(simulated: OpenBench) -> None:
    """From 200,000 prompt tokens the whole request has twice the price."""
    async with simulated(output_tokens=1, reasoning_tokens=0) as bench:
        usage = (await bench.chat("y" * 4 * 200_000)).json()["usage"]
    assert usage["cost_in_usd_ticks"] == 2 * (200_004 * 20_000 + 60_000)


async def test_a_stream_is_role_content_finish_usage_done(simulated: OpenBench) -> None:
    """Chunks come in the API's order; the usage chunk has no choices."""
    settings: dict[str, Any] = {"script": [{"answer": "abcdefgh"}], "chunk_tokens": 1}
    async with simulated(**settings) as bench:
        response = await bench.chat("hi", stream=True, stream_options={"include_usage": True})
        whole = (await bench.chat("hi")).json()
    events = events_of(response)
    assert response.headers["content-type"].startswith("text/event-stream")
    choices = [event["choices"] for event in events[:-1]]
    deltas = [choice[0]["delta"] for choice in choices[:-1]]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"content": "abcd"},
        {"content": "efgh"},
        {},
    ]
    assert [choice[0]["finish_reason"] for choice in choices[:-1]] == [None, None, None, "stop"]
    assert choices[-1] == []
    assert events[-2]["usage"] == whole["usage"]
    assert events[-1] == "[DONE]"
    assert {event["object"] for event in events[:-1]} == {"chat.completion.chunk"}


async def test_a_stream_has_usage_only_when_asked(simulated: OpenBench) -> None:
    """Without `include_usage` no chunk has it."""
    async with simulated() as bench:
        response = await bench.chat("hi", stream=True)
    assert "usage" not in response.text
    assert response.text.endswith("data: [DONE]\n\n")


async def test_a_tool_call_comes_whole_in_one_chunk(simulated: OpenBench) -> None:
    """Its name and all its arguments are in one delta; the finish reason says `tool_calls`."""
    async with simulated() as bench:
        whole = (await bench.chat("hi", tools=[TOOL], tool_choice="required")).json()
        stream = await bench.chat("hi", tools=[TOOL], tool_choice="required", stream=True)
    message = whole["choices"][0]["message"]
    assert message["tool_calls"][0]["function"] == {"name": "look", "arguments": "{}"}
    assert whole["choices"][0]["finish_reason"] == "tool_calls"
    choices = [event["choices"][0] for event in events_of(stream)[:-1]]
    call = choices[1]["delta"]["tool_calls"][0]
    assert call["function"] == {"name": "look", "arguments": "{}"}
    assert (call["index"], call["type"]) == (0, "function")
    assert choices[-1]["finish_reason"] == "tool_calls"


async def test_reasoning_can_be_shown(simulated: OpenBench) -> None:
    """`reasoning_content` stands in the message, and first in the stream."""
    async with simulated(reasoning_text=True, reasoning_tokens=4) as bench:
        message = (await bench.chat("hi")).json()["choices"][0]["message"]
        events = events_of(await bench.chat("hi", stream=True))
    assert len(message["reasoning_content"]) == 16
    assert events[1]["choices"][0]["delta"] == {"reasoning_content": message["reasoning_content"]}


async def test_structured_output_conforms(simulated: OpenBench) -> None:
    """`response_format` with a schema gets a conforming value as text."""
    schema = {"type": "object", "properties": {"n": {"const": 7}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    async with simulated() as bench:
        content = (await bench.chat("hi", response_format=form)).json()["choices"][0]["message"]
        text = (await bench.chat("hi", response_format={"type": "text"})).json()
    assert json.loads(content["content"]) == {"n": 7}
    assert text["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [{"type": "text", "text": "please review"}]}],
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "please review"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "done"},
        ],
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:"}},
                    {"type": "text", "text": "review"},
                ],
            }
        ],
    ],
)
async def test_the_last_user_message_is_found(
    simulated: OpenBench, messages: list[dict[str, Any]]
) -> None:
    """A content may be a text, a list of parts, or missing beside tool calls."""
    async with simulated(script=[{"pattern": "review", "answer": "fine"}]) as bench:
        response = await bench.chat(messages=messages)
    assert response.json()["choices"][0]["message"]["content"] == "fine"


async def test_an_alias_is_answered_by_its_model(simulated: OpenBench) -> None:
    """The answer names the model itself."""
    async with simulated() as bench:
        assert (await bench.chat(model="grok-latest")).json()["model"] == "grok-4.7"


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"messages": None}, 422, "missing field `messages`"),
    ({"model": None}, 422, "missing field `model`"),
    ({"model": 4}, 422, "model: invalid type: integer `4`, expected a string"),
    ({"messages": "hi"}, 422, 'messages: invalid type: string "hi", expected a sequence'),
    ({"messages": []}, 400, "Messages cannot be empty"),
    ({"messages": ["hi"]}, 422, 'messages[0]: invalid type: string "hi", expected a map'),
    ({"messages": [{"content": "hi"}]}, 422, "messages[0]: missing field `role`"),
    ({"messages": [{"role": "boss"}]}, 422, "messages[0].role: unknown variant `boss`"),
    ({"messages": [{"role": "user", "content": 1}]}, 422, "messages[0].content: invalid type"),
    ({"messages": [{"role": "user", "content": [1]}]}, 422, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{}]}]}, 422, "missing field `text`"),
    ({"temperature": "hot"}, 422, 'temperature: invalid type: string "hot", expected f32'),
    ({"temperature": True}, 422, "invalid type: boolean `true`, expected f32"),
    ({"max_tokens": -1}, 422, "max_tokens: invalid type: integer `-1`, expected u32"),
    ({"max_tokens": 1.5}, 422, "invalid type: floating point `1.5`"),
    ({"stream": []}, 422, "stream: invalid type: sequence, expected a boolean"),
    ({"seed": {}}, 422, "seed: invalid type: map, expected i32"),
    ({"tools": [1]}, 422, "tools[0]: invalid type"),
    ({"tools": [{"type": "function"}]}, 422, "tools[0]: missing field `function`"),
    ({"tools": [{"function": {}}]}, 422, "tools[0]: missing field `name`"),
    ({"tools": [{"function": {"name": 1}}]}, 422, "tools[0].name: invalid type"),
    ({"tools": [{"function": {"name": "a", "parameters": [1]}}]}, 422, "tools[0].parameters"),
    ({"tools": [TOOL] * 129}, 400, "A maximum of 128 tools is allowed, got 129"),
    ({"tool_choice": "required"}, 400, "there are no tools"),
    ({"tool_choice": "maybe"}, 422, "tool_choice: unknown variant `maybe`"),
    ({"tool_choice": {"type": "function"}}, 422, "tool_choice: missing field `name`"),
    ({"tool_choice": {"function": {"name": "x"}}}, 400, "names the tool x, which is not in tools"),
    ({"response_format": {"type": "xml"}}, 422, "response_format: unknown variant `xml`"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"enum": 1}}}},
        400,
        "Invalid JSON schema: a keyword of the JSON Schema has the wrong type",
    ),
    ({"response_format": {"type": "json_schema"}}, 422, "missing field `schema`"),
    ({"stop": ["x"]}, 400, "Argument not supported: stop"),
    ({"search_parameters": {"mode": "on"}}, 410, "Live search is deprecated"),
    ({"deferred": True, "stream": True}, 400, "A deferred completion cannot be streamed"),
    ({"model": "gpt-9"}, 404, "Model not found: gpt-9"),
]


@pytest.mark.parametrize(("fields", "status", "text"), WRONG)
async def test_a_wrong_request_is_refused_in_the_api_s_words(
    simulated: OpenBench, fields: dict[str, Any], status: int, text: str
) -> None:
    """Wrong types are 422 in plain text; the rest is a flat JSON error."""
    async with simulated() as bench:
        response = await bench.chat("hi", **fields)
    assert response.status_code == status
    assert text in response.text
    plain = response.headers["content-type"].startswith("text/plain")
    assert plain is (status == 422)
    if not plain:
        assert response.json().keys() == {"code", "error"}


@pytest.mark.parametrize(
    ("body", "kind", "status", "text"),
    [
        (b"{", "application/json", 400, "Failed to parse the request body as JSON"),
        (b"[]", "application/json", 422, "invalid type, expected a map"),
        (b"{}", "text/plain", 415, "Content-Type: application/json"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(
    simulated: OpenBench, body: bytes, kind: str, status: int, text: str
) -> None:
    """Broken JSON, another type and a missing content type each have their error."""
    async with simulated() as bench:
        response = await bench.http.post(
            "/v1/chat/completions", content=body, headers={"content-type": kind}
        )
    assert (response.status_code, text in response.text) == (status, True)


async def test_a_body_that_is_too_large_is_refused(simulated: OpenBench) -> None:
    """There is an end to what is read."""
    async with simulated() as bench:
        response = await bench.http.post(
            "/v1/chat/completions",
            content=b" " * (33 * 1024 * 1024),
            headers={"content-type": "application/json"},
        )
    assert response.status_code == 413


async def test_null_means_not_set(simulated: OpenBench) -> None:
    """SDKs send null for what their user left out, and harmless zeros pass."""
    async with simulated() as bench:
        response = await bench.chat(
            "hi", temperature=None, stop=None, tools=None, presence_penalty=0
        )
    assert response.status_code == 200
