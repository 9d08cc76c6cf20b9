"""`POST /v1/responses`: what comes in, and what goes out as JSON or as a stream.

Its stream is a sequence of typed events that ends with `response.completed`, without a `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from supervisor.simulator.answers import Call
from supervisor.simulator.arguments import RESPONSES_ARGUMENTS, check_arguments
from supervisor.simulator.conversation import read_input
from supervisor.simulator.dialect import Reply
from supervisor.simulator.document import Json
from supervisor.simulator.failures import Failure
from supervisor.simulator.form import read_form
from supervisor.simulator.question import Question
from supervisor.simulator.tools import read_offer

# Nothing is stored here, so there is no earlier response to go on from.
_UNSUPPORTED = ("previous_response_id",)


class Responses:
    """The dialect of responses."""

    rate_headers = False

    def read(self, body: Json, unsupported: Collection[str]) -> Question | Failure:
        """The question, or the first thing wrong with the request."""
        wrong = check_arguments(
            body,
            RESPONSES_ARGUMENTS,
            required=("input", "model"),
            unsupported=(*unsupported, *_UNSUPPORTED),
        )
        if wrong is not None:
            return wrong
        talk = read_input(body["input"], body.get("instructions"))
        if isinstance(talk, Failure):
            return talk
        offer = read_offer(body, nested=False)
        if isinstance(offer, Failure):
            return offer
        text: Json = body.get("text") or {}
        form = read_form(text.get("format"), place="text.format", nested=False)
        if isinstance(form, Failure):
            return form
        return Question(
            model=body["model"],
            user=talk.user,
            system=talk.system,
            tool_result=talk.tool_result,
            prompt_tokens=talk.tokens + offer.tokens,
            tools=offer.tools,
            must_call=offer.must_call,
            schema=form.schema,
            json_object=form.json_object,
            stream=body.get("stream") is True,
            max_tokens=body.get("max_output_tokens"),
            cache_key=body.get("prompt_cache_key") or "",
        )

    def whole(self, reply: Reply) -> Json:
        """The response as one document."""
        items = [item for item, _ in _items(reply)]
        status = "incomplete" if reply.answer.finish == "length" else "completed"
        return _response(reply, status=status, output=items)

    def events(self, reply: Reply) -> list[bytes]:
        """The response as typed events."""
        stream = _Stream()
        begun = _response(reply, status="in_progress", output=[])
        stream.add("response.created", response=begun)
        stream.add("response.in_progress", response=begun)
        for index, (item, source) in enumerate(_items(reply)):
            empty = {**item, "status": "in_progress", **_EMPTY[item["type"]]}
            stream.add("response.output_item.added", output_index=index, item=empty)
            place: Json = {"item_id": item["id"], "output_index": index}
            if isinstance(source, Call):
                _stream_call(stream, place, call=source)
            elif item["type"] == "message":
                _stream_text(stream, place, reply=reply)
            else:
                _stream_reasoning(stream, place, reply=reply)
            stream.add("response.output_item.done", output_index=index, item=item)
        final = self.whole(reply)
        stream.add(f"response.{final['status']}", response=final)
        return stream.events


_EMPTY: dict[str, Json] = {
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "reasoning": {"summary": []},
}


class _Stream:
    """Collects events and numbers them."""

    def __init__(self) -> None:
        self.events: list[bytes] = []

    def add(self, kind: str, **fields: Any) -> None:
        data = {"type": kind, "sequence_number": len(self.events), **fields}
        self.events.append(b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps(data)))


def _stream_text(stream: _Stream, place: Json, *, reply: Reply) -> None:
    part: Json = _message(reply)["content"][0]
    place = {**place, "content_index": 0}
    stream.add("response.content_part.added", **place, part={**part, "text": ""})
    for piece in reply.pieces(part["text"]):
        stream.add("response.output_text.delta", **place, delta=piece, logprobs=[])
    stream.add("response.output_text.done", **place, text=part["text"], logprobs=[])
    stream.add("response.content_part.done", **place, part=part)


def _stream_call(stream: _Stream, place: Json, *, call: Call) -> None:
    # Whole in one event, as in chat.
    stream.add("response.function_call_arguments.delta", **place, delta=call.arguments)
    stream.add(
        "response.function_call_arguments.done", **place, name=call.name, arguments=call.arguments
    )


def _stream_reasoning(stream: _Stream, place: Json, *, reply: Reply) -> None:
    place = {**place, "summary_index": 0}
    for piece in reply.pieces(reply.reasoning):
        stream.add("response.reasoning_summary_text.delta", **place, delta=piece)
    stream.add("response.reasoning_summary_text.done", **place, text=reply.reasoning)


def _items(reply: Reply) -> list[tuple[Json, Call | None]]:
    """The output items, each with the call it stands for."""
    items: list[tuple[Json, Call | None]] = []
    if reply.reasoning:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        thought = {"type": "reasoning", "id": f"rs_{reply.id}", "status": "completed"}
        items.append(({**thought, "summary": summary}, None))
    for call in reply.answer.calls:
        item = {
            "type": "function_call",
            "id": f"fc_{call.id}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        items.append((item, call))
    if not reply.answer.calls:
        items.append((_message(reply), None))
    return items


def _message(reply: Reply) -> Json:
    text = reply.answer.text
    return {
        "type": "message",
        "id": f"msg_{reply.id}",
        "role": "assistant",
        "status": "incomplete" if reply.answer.finish == "length" else "completed",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }


def _response(reply: Reply, *, status: str, output: list[Json]) -> Json:
    cut_short = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "error": None,
        "incomplete_details": cut_short,
        "instructions": None,
        "max_output_tokens": reply.question.max_tokens,
        "model": reply.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None if status == "in_progress" else reply.usage.for_responses(),
        "metadata": {},
    }
