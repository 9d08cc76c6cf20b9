"""The form an answer is to have: plain text, some JSON object, or a value that fits a schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from supervisor.simulator import failures
from supervisor.simulator.document import Json, is_object
from supervisor.simulator.failures import Failure


@dataclass(frozen=True, slots=True)
class Form:
    """What was asked for; plain text where neither is set.

    Attributes:
        schema: JSON Schema that the answer has to conform to.
        json_object: Whether any JSON object will do.
    """

    schema: Json | None = None
    json_object: bool = False


def read_form(given: Any, *, place: str, nested: bool) -> Form | Failure:
    """The form, or what is wrong with it.

    Args:
        given: Chat's `response_format` or the `text.format` of responses.
        place: Its name, for errors.
        nested: Whether the schema lies in an object of its own, as in chat.
    """
    if not is_object(given):
        return Form()
    kind = given.get("type", "text")
    if kind in ("text", "json_object"):
        return Form(json_object=kind == "json_object")
    if kind != "json_schema":
        expected = "one of `text`, `json_object`, `json_schema`"
        return failures.wrong_type(f"{place}: unknown variant `{kind}`, expected {expected}")
    inner: Any = given.get("json_schema") if nested else given
    schema: Any = inner.get("schema") if is_object(inner) else None
    if not is_object(schema):
        return failures.wrong_type(f"{place}: missing field `schema`")
    return Form(schema)
