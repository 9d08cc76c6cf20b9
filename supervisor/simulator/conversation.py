"""The messages of a request, boiled down to what answering needs.

Chat has messages, responses has input items; both are lists of objects with a role and a content
that is a text or a list of parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from supervisor.simulator import failures
from supervisor.simulator.arguments import mistyped
from supervisor.simulator.document import is_list, is_object
from supervisor.simulator.failures import Failure
from supervisor.simulator.usage import count_tokens

_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 256
_ROLES = ("system", "user", "assistant", "tool", "function", "developer")


@dataclass(slots=True)
class Conversation:
    """What was said.

    Attributes:
        user: Text of the last user message.
        system: Text of the instructions, in order.
        tool_result: Text of the last message where that is a tool's result, else None.
        tokens: Tokens of all of it.
    """

    user: str = ""
    system: str = ""
    tool_result: str | None = None
    tokens: int = 0

    def add(self, role: str, text: str, *, images: int = 0) -> None:
        """One more message.

        Args:
            role: Who spoke.
            text: What was said.
            images: Images that came with it.
        """
        self.tokens += count_tokens(text) + _TOKENS_PER_MESSAGE + images * _TOKENS_PER_IMAGE
        self.tool_result = text if role in ("tool", "function") else None
        if role == "user":
            self.user = text
        elif role in ("system", "developer"):
            self.system = f"{self.system}\n{text}" if self.system else text


def read_messages(messages: list[Any]) -> Conversation | Failure:
    """Chat's messages, or the first thing wrong with them."""
    if not messages:
        return failures.invalid("Messages cannot be empty")
    talk = Conversation()
    for place, message in enumerate(messages):
        wrong = _add_message(talk, message, f"messages[{place}]")
        if wrong is not None:
            return wrong
    return talk


def read_input(given: str | list[Any], instructions: str | None) -> Conversation | Failure:
    """The input of responses, or the first thing wrong with it.

    Args:
        given: A text, or a list of items.
        instructions: The system's part.
    """
    talk = Conversation()
    if instructions:
        talk.add("system", instructions)
    if isinstance(given, str):
        talk.add("user", given)
        return talk
    if not given:
        return failures.invalid("Input cannot be empty")
    for place, item in enumerate(given):
        wrong = _add_item(talk, item, f"input[{place}]")
        if wrong is not None:
            return wrong
    return talk


def _add_item(talk: Conversation, item: Any, place: str) -> Failure | None:
    kind = item.get("type", "message") if is_object(item) else "message"
    if kind == "message":
        return _add_message(talk, item, place)
    if kind == "function_call_output":
        talk.add("tool", _text_of_output(item.get("output")))
    elif kind == "function_call":
        talk.add("assistant", str(item.get("arguments", "")))
    # Reasoning items and results of server-side tools are echoes of earlier answers.
    return None


def _add_message(talk: Conversation, message: Any, place: str) -> Failure | None:
    if not is_object(message):
        return mistyped(place, message, "a map")
    role = message.get("role")
    if role not in _ROLES:
        return _wrong_role(role, place)
    content = message.get("content")
    if is_list(content):
        return _add_parts(talk, role, parts=content, place=place)
    if not isinstance(content, str | None):
        return mistyped(f"{place}.content", content, "a string or a sequence")
    # There is no content where an assistant's message only called tools.
    talk.add(role, content if content is not None else str(message.get("tool_calls") or ""))
    return None


def _wrong_role(role: Any, place: str) -> Failure:
    if role is None:
        return failures.wrong_type(f"{place}: missing field `role`")
    expected = ", ".join(f"`{name}`" for name in _ROLES)
    return failures.wrong_type(
        f"{place}.role: unknown variant `{role}`, expected one of {expected}"
    )


def _add_parts(talk: Conversation, role: str, *, parts: list[Any], place: str) -> Failure | None:
    texts: list[str] = []
    images = 0
    for number, part in enumerate(parts):
        if not is_object(part):
            return mistyped(f"{place}.content[{number}]", part, "a map")
        if "image" in str(part.get("type")):
            images += 1
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            return failures.wrong_type(f"{place}.content[{number}]: missing field `text`")
    talk.add(role, "\n".join(texts), images=images)
    return None


def _text_of_output(output: Any) -> str:
    if is_list(output):
        parts = [part for part in output if is_object(part)]
        return "\n".join(str(part.get("text", "")) for part in parts)
    return str(output if output is not None else "")
