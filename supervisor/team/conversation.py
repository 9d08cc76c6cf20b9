"""Turns what a role asks into a request body, and the API's document into an answer. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from supervisor.errors import JobFailed
from supervisor.messages import JsonValue, complaint_about_model
from supervisor.role import Answer, Message, ToolCall
from supervisor.upstream.usage import usage_of


def chat_body(
    prompt: str | Sequence[Message],
    *,
    model: str,
    system: str = "",
    schema: type[BaseModel] | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of a chat completion.

    Args:
        prompt: The user's text, or a whole conversation.
        model: The model's name.
        system: Instructions put in front.
        schema: What the answer must conform to.
        options: Further fields.

    Raises:
        JobFailed: The model's name is none.
    """
    if complaint := complaint_about_model(model):
        raise JobFailed(complaint)
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    if isinstance(prompt, str):
        messages.append({"role": "user", "content": prompt})
    else:
        messages.extend(prompt)
    body: dict[str, Any] = {"model": model, "messages": messages, **(options or {})}
    if schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": schema.__name__,
                "strict": True,
                "schema": schema.model_json_schema(),
            },
        }
    return body


def digest(*parts: JsonValue | Mapping[str, Any]) -> str:
    """A short name for a question: equal questions have equal names."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def answer_of(document: Mapping[str, Any]) -> Answer:
    """Read a chat completion.

    Raises:
        JobFailed: It holds no choice.
    """
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        raise JobFailed(f"expected an answer with choices, got: {sorted(document)}")
    choice = cast("dict[str, Any]", choices[0])
    message = cast("dict[str, Any]", choice.get("message") or {})
    calls = tuple(
        ToolCall(
            str(call.get("id", "")),
            str(call.get("function", {}).get("name", "")),
            str(call.get("function", {}).get("arguments", "")),
        )
        for call in cast("list[dict[str, Any]]", message.get("tool_calls") or [])
    )
    return Answer(
        text=message.get("content") or "",
        tool_calls=calls,
        finish_reason=str(choice.get("finish_reason") or ""),
        usage=usage_of(document),
        message=message,
    )


def delta_text(data: bytes) -> str:
    """The text that one event of a streamed chat completion adds."""
    try:
        document: Any = json.loads(data)
        return str(document["choices"][0]["delta"].get("content") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        # Usage chunks, comments and `[DONE]` add no text.
        return ""


def usage_in(data: bytes) -> JsonValue:
    """The usage that one event of a streamed chat completion carries, as the API wrote it."""
    if b'"usage"' not in data:
        return None
    try:
        usage: JsonValue = json.loads(data).get("usage")
    except (ValueError, AttributeError):
        return None
    return usage
