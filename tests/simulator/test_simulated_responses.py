"""`/v1/responses` as xAI speaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.bench import OpenBench, events_of

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}


async def test_a_response_has_the_form_of_the_api(simulated: OpenBench) -> None:
    """One document with a message; `output_tokens` has the reasoning in."""
    async with simulated(script=[{"answer": "x" * 40}], reasoning_tokens=100) as bench:
        response = await bench.respond("y" * 400)
    body = response.json()
    assert (body["object"], body["status"]) == ("response", "completed")
    assert body["output"][0]["content"][0]["text"] == "x" * 40
    usage = body["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (104, 110, 214)
    assert usage["output_tokens_details"] == {"reasoning_tokens": 100}
    assert usage["cost_in_usd_ticks"] == 104 * 20_000 + 110 * 60_000


async def test_a_response_has_no_rate_limit_headers(simulated: OpenBench) -> None:
    """Those come with chat completions only."""
    async with simulated(limits=["5 requests / minute"]) as bench:
        responses, chat = await bench.respond(), await bench.chat()
    assert "x-ratelimit-limit-requests" not in responses.headers
    assert chat.headers["x-ratelimit-limit-requests"] == "5"


async def test_a_stream_ends_with_completed(simulated: OpenBench) -> None:
    """Events are typed and numbered, their deltas are the text, and there is no `[DONE]`."""
    async with simulated(script=[{"answer": "abcdefgh"}], chunk_tokens=1) as bench:
        response = await bench.respond("hi", stream=True)
        whole = (await bench.respond("hi")).json()
    events = events_of(response)
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(10))
    assert response.text.startswith("event: response.created\ndata: ")
    assert "[DONE]" not in response.text
    assert "".join(event.get("delta", "") for event in events) == "abcdefgh"
    assert events[-1]["response"]["usage"] == whole["usage"]
    assert events[0]["response"]["usage"] is None


async def test_tools_are_flat_and_calls_are_items(simulated: OpenBench) -> None:
    """A call is an output item of its own, whole in one delta."""
    fields: dict[str, Any] = {"tools": [TOOL, {"type": "web_search"}], "tool_choice": "required"}
    async with simulated() as bench:
        whole = (await bench.respond("hi", **fields)).json()
        events = events_of(await bench.respond("hi", stream=True, **fields))
    item = whole["output"][0]
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", "look", "{}")
    kinds = [event["type"] for event in events]
    assert "response.function_call_arguments.done" in kinds
    assert "response.output_text.delta" not in kinds
    added = events[kinds.index("response.output_item.added")]
    assert added["item"]["arguments"] == ""


async def test_a_named_tool_is_called(simulated: OpenBench) -> None:
    """`tool_choice` names it without nesting."""
    async with simulated() as bench:
        body = await bench.respond(
            "hi", tools=[TOOL], tool_choice={"type": "function", "name": "look"}
        )
    assert body.json()["output"][0]["name"] == "look"


async def test_reasoning_is_an_item_before_the_message(simulated: OpenBench) -> None:
    """Shown reasoning is an output item with a summary, streamed first."""
    async with simulated(reasoning_text=True, reasoning_tokens=4) as bench:
        whole = (await bench.respond("hi")).json()
        kinds = [event["type"] for event in events_of(await bench.respond("hi", stream=True))]
    assert [item["type"] for item in whole["output"]] == ["reasoning", "message"]
    assert kinds.index("response.reasoning_summary_text.done") < kinds.index(
        "response.output_text.delta"
    )


async def test_structured_output_conforms(simulated: OpenBench) -> None:
    """`text.format` with a schema gets a conforming value; `json_object` any object."""
    form = {"type": "json_schema", "name": "n", "schema": {"type": "integer", "minimum": 5}}
    async with simulated() as bench:
        schema = (await bench.respond("hi", text={"format": form})).json()
        other = (await bench.respond("hi", text={"format": {"type": "json_object"}})).json()
    assert json.loads(schema["output"][0]["content"][0]["text"]) == 5
    assert isinstance(json.loads(other["output"][0]["content"][0]["text"]), dict)


async def test_a_cut_answer_is_incomplete(simulated: OpenBench) -> None:
    """`max_output_tokens` makes the response incomplete, streamed or not."""
    async with simulated(output_tokens=50) as bench:
        whole = (await bench.respond("hi", max_output_tokens=5)).json()
        events = events_of(await bench.respond("hi", max_output_tokens=5, stream=True))
    assert whole["status"] == "incomplete"
    assert whole["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events[-1]["type"] == "response.incomplete"


async def test_input_items_make_a_conversation(simulated: OpenBench) -> None:
    """Messages, calls and their results are read; the script sees user, instructions and result."""
    items: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "input_text", "text": "please review"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "exit 0"},
    ]
    rule = {"pattern": "review", "system": "critic", "tool": "exit 0", "answer": "fine"}
    async with simulated(script=[rule]) as bench:
        body = (await bench.respond(input=items, instructions="You are a critic.")).json()
        items[-1]["output"] = [{"type": "input_text", "text": "exit 0"}]
        again = (await bench.respond(input=items, instructions="You are a critic.")).json()
    for response in (body, again):
        assert response["output"][0]["content"][0]["text"] == "fine"


async def test_the_prompt_cache_key_keeps_a_conversation(simulated: OpenBench) -> None:
    """`prompt_cache_key` does what the header does for chat."""
    async with simulated() as bench:
        await bench.respond("y" * 400, prompt_cache_key="a")
        usage = (await bench.respond("y" * 400, prompt_cache_key="a")).json()["usage"]
    assert usage["input_tokens_details"] == {"cached_tokens": 104}


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"input": None}, 422, "missing field `input`"),
        ({"input": []}, 400, "Input cannot be empty"),
        ({"input": [5]}, 422, "input[0]: invalid type"),
        ({"input": [{"content": "x"}]}, 422, "input[0]: missing field `role`"),
        ({"instructions": 5}, 422, "instructions: invalid type"),
        ({"previous_response_id": "resp_1"}, 400, "Argument not supported: previous_response_id"),
        ({"text": {"format": {"type": "xml"}}}, 422, "text.format: unknown variant `xml`"),
        ({"text": {"format": {"type": "json_schema"}}}, 422, "text.format: missing field `schema`"),
        ({"tools": [{"type": "function"}]}, 422, "tools[0]: missing field `name`"),
        ({"tool_choice": "required"}, 400, "there are no tools"),
        ({"model": "gpt-9"}, 404, "Model not found"),
    ],
)
async def test_a_wrong_request_is_refused_in_the_api_s_words(
    simulated: OpenBench, fields: dict[str, Any], status: int, text: str
) -> None:
    """The same errors as in chat, with the names of this endpoint."""
    async with simulated() as bench:
        response = await bench.respond("hi", **fields)
    assert response.status_code == status
    assert text in response.text
