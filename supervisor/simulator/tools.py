"""The functions a request offers to the model, and whether one of them has to be called.

Chat nests them (`{"type": "function", "function": {"name": …}}`), responses has them flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from supervisor.simulator import failures
from supervisor.simulator.arguments import mistyped
from supervisor.simulator.document import Json, is_object
from supervisor.simulator.failures import Failure
from supervisor.simulator.question import Tool
from supervisor.simulator.usage import count_tokens

_MOST = 128


@dataclass(frozen=True, slots=True)
class Offer:
    """The functions a request offers.

    Attributes:
        tools: Their names and parameters.
        must_call: Which has to be called: a name, empty for any, None where none has to.
        tokens: Prompt tokens that describing them takes.
    """

    tools: tuple[Tool, ...] = ()
    must_call: str | None = None
    tokens: int = 0


def read_offer(body: Json, *, nested: bool) -> Offer | Failure:
    """What `tools` and `tool_choice` say, or the first thing wrong with them.

    Args:
        body: The request, its top-level types checked.
        nested: Whether tools have chat's form.
    """
    given: list[Any] = body.get("tools") or []
    tools = _read_tools(given, nested=nested) if given else ()
    if isinstance(tools, Failure):
        return tools
    choice = _read_choice(body.get("tool_choice"), tools)
    if isinstance(choice, Failure):
        return choice
    return Offer(tools, choice, count_tokens(str(given)) if given else 0)


def _read_tools(given: list[Any], *, nested: bool) -> tuple[Tool, ...] | Failure:
    if len(given) > _MOST:
        return failures.invalid(f"A maximum of {_MOST} tools is allowed, got {len(given)}")
    tools: list[Tool] = []
    for number, entry in enumerate(given):
        if not is_object(entry):
            return mistyped(f"tools[{number}]", entry, "a map")
        # Server-side tools, such as web_search, are no business of the client's.
        if entry.get("type", "function") != "function":
            continue
        tool = _read_tool(entry.get("function") if nested else entry, f"tools[{number}]")
        if isinstance(tool, Failure):
            return tool
        tools.append(tool)
    return tuple(tools)


def _read_tool(function: Any, place: str) -> Tool | Failure:
    if not is_object(function):
        return failures.wrong_type(f"{place}: missing field `function`")
    name, parameters = function.get("name"), function.get("parameters") or {"type": "object"}
    if name is None:
        return failures.wrong_type(f"{place}: missing field `name`")
    if not isinstance(name, str):
        return mistyped(f"{place}.name", name, "a string")
    if not is_object(parameters):
        return mistyped(f"{place}.parameters", parameters, "a map")
    return Tool(name, parameters)


def _read_choice(choice: Any, tools: Sequence[Tool]) -> str | Failure | None:
    if choice in (None, "auto", "none"):
        return None
    if choice == "required":
        return (
            "" if tools else failures.invalid("tool_choice is `required`, but there are no tools")
        )
    if isinstance(choice, str):
        expected = "one of `none`, `auto`, `required`"
        return failures.wrong_type(f"tool_choice: unknown variant `{choice}`, expected {expected}")
    name = choice.get("function", choice)
    name = name.get("name") if is_object(name) else None
    if not isinstance(name, str):
        return failures.wrong_type("tool_choice: missing field `name`")
    if name not in {tool.name for tool in tools}:
        return failures.invalid(f"tool_choice names the tool {name}, which is not in tools")
    return name
