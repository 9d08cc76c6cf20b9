"""What a client asks, whichever of the two endpoints it came through."""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.simulator.document import Json


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is a JSON Schema."""

    name: str
    parameters: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A validated request for an answer.

    Attributes:
        model: The model as it was named.
        user: Text of the last user message.
        system: Text of all system and developer messages and instructions.
        tool_result: Text of the last message where that is a tool's result, else None.
        prompt_tokens: Tokens of everything that was sent.
        tools: Functions on offer.
        must_call: Name of a tool that has to be called, empty for any; None where none has to.
        schema: JSON Schema that the answer has to conform to.
        json_object: Whether any JSON object will do.
        stream: Whether the answer is to come as server-sent events.
        include_usage: Whether a stream is to end with the usage (chat only).
        max_tokens: Most answer tokens, reasoning not among them.
        deferred: Whether the answer is to be fetched later (chat only).
        cache_key: Names the conversation for the prompt cache; empty for none.
    """

    model: str
    user: str = ""
    system: str = ""
    tool_result: str | None = None
    prompt_tokens: int = 0
    tools: tuple[Tool, ...] = ()
    must_call: str | None = None
    schema: Json | None = None
    json_object: bool = False
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    deferred: bool = False
    cache_key: str = ""
