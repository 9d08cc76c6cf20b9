"""`POST /v1/chat/completions`: what comes in, and what goes out as JSON or as a stream.

A stream is: a chunk with the role, chunks of content, a chunk with the finish reason, a chunk with
the usage and no choices where that was asked for, `[DONE]`. A tool call comes whole in one chunk.
"""

from __future__ import annotations

from collections.abc import Collection

import orjson

from supervisor.simulator import failures
from supervisor.simulator.answers import Call
from supervisor.simulator.arguments import CHAT_ARGUMENTS, check_arguments
from supervisor.simulator.conversation import read_messages
from supervisor.simulator.dialect import Reply
from supervisor.simulator.document import Json
from supervisor.simulator.failures import Failure
from supervisor.simulator.form import read_form
from supervisor.simulator.question import Question
from supervisor.simulator.tools import read_offer

FINGERPRINT = "fp_simulator"
_DONE = b"data: [DONE]\n\n"


class Chat:
    """The dialect of chat completions."""

    rate_headers = True

    def read(self, body: Json, unsupported: Collection[str]) -> Question | Failure:
        """The question, or the first thing wrong with the request."""
        wrong = check_arguments(
            body, CHAT_ARGUMENTS, required=("messages", "model"), unsupported=unsupported
        )
        if wrong is not None:
            return wrong
        talk = read_messages(body["messages"])
        if isinstance(talk, Failure):
            return talk
        offer = read_offer(body, nested=True)
        if isinstance(offer, Failure):
            return offer
        form = read_form(body.get("response_format"), place="response_format", nested=True)
        if isinstance(form, Failure):
            return form
        if body.get("deferred") and body.get("stream"):
            return failures.invalid("A deferred completion cannot be streamed")
        options: Json = body.get("stream_options") or {}
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
            include_usage=options.get("include_usage") is True,
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            deferred=body.get("deferred") is True,
        )

    def whole(self, reply: Reply) -> Json:
        """The completion as one document."""
        message: Json = {"role": "assistant", "content": reply.answer.text, "refusal": None}
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if reply.answer.calls:
            message["tool_calls"] = [_call(call) for call in reply.answer.calls]
        choice = {"index": 0, "message": message, "finish_reason": reply.answer.finish}
        return {
            "id": reply.id,
            "object": "chat.completion",
            "created": reply.created,
            "model": reply.model,
            "choices": [choice],
            "usage": reply.usage.for_chat(),
            "system_fingerprint": FINGERPRINT,
        }

    def events(self, reply: Reply) -> list[bytes]:
        """The completion as chunks."""
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        deltas += [{"reasoning_content": piece} for piece in reply.pieces(reply.reasoning)]
        deltas += [{"content": piece} for piece in reply.pieces(reply.answer.text)]
        deltas += [
            {"tool_calls": [{"index": index, **_call(call)}]}
            for index, call in enumerate(reply.answer.calls)
        ]
        events = [_chunk(reply, delta) for delta in deltas]
        events.append(_chunk(reply, {}, reply.answer.finish))
        if reply.question.include_usage:
            events.append(_event(reply, {"choices": [], "usage": reply.usage.for_chat()}))
        events.append(_DONE)
        return events


def _call(call: Call) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _chunk(reply: Reply, delta: Json, finish: str | None = None) -> bytes:
    return _event(reply, {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(reply: Reply, fields: Json) -> bytes:
    document = {
        "id": reply.id,
        "object": "chat.completion.chunk",
        "created": reply.created,
        "model": reply.model,
        **fields,
        "system_fingerprint": FINGERPRINT,
    }
    return b"data: " + orjson.dumps(document) + b"\n\n"
