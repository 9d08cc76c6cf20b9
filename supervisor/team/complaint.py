"""What is wrong with a job's input, in words that name neither our types nor pydantic's. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import ErrorDetails

from supervisor.errors import InvalidJobInput
from supervisor.team.forms import Schema, in_words, names

_MOST = 5
_LONGEST = 80
_AROUND = frozenset(
    {"default", "definitions", "function-after", "function-before", "function-wrap", "nullable"}
)
"""Parts of pydantic's own schema that stand around the part that says what the type is."""
_UNIONS = frozenset({"union", "tagged-union"})
_NO_OBJECT = frozenset({"dict_type", "model_attributes_type", "model_type"})

Loc = tuple[int | str, ...]


def schema_of(takes: TypeAdapter[Any]) -> Schema:
    """JSON schema of what is taken; empty where the type has none.

    Args:
        takes: Checks inputs.
    """
    try:
        return takes.json_schema()
    except PydanticInvalidForJsonSchema:
        return {}


def complaint(
    role: str, takes: TypeAdapter[Any], *, given: object, error: ValidationError
) -> InvalidJobInput:
    """The error that tells what is wrong with an input and what is taken.

    Args:
        role: Who does not take it.
        takes: Checks its inputs.
        given: The input.
        error: What came of the check.
    """
    schema = schema_of(takes)
    found = error.errors(include_url=False, include_context=False)
    if _is_union(takes):
        found = _nearest(found)
    problems = [_problem(one, given, known=names(schema)) for one in found[:_MOST]]
    return InvalidJobInput(
        f"{role} does not take this input: {'; '.join(problems) or f'got: {_shown(given)}'}",
        hint=f"it takes {in_words(schema)}" if schema else "",
    )


def _is_union(takes: TypeAdapter[Any]) -> bool:
    """Whether each problem says first which of several forms it is about."""
    core: Any = takes.core_schema
    while core["type"] in _AROUND:
        core = core["schema"]
    return core["type"] in _UNIONS


def _nearest(found: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """The problems of that form alone which was most likely meant; none if no form is near."""
    groups: dict[int | str, list[ErrorDetails]] = {}
    for one in found:
        tag, *rest = one["loc"] or ("",)
        groups.setdefault(tag, []).append(cast("ErrorDetails", {**one, "loc": tuple(rest)}))
    near = [group for group in groups.values() if not any(_is_another_kind(one) for one in group)]
    return min(near, key=_distance) if near else []


def _is_another_kind(one: ErrorDetails) -> bool:
    """A text where an object is expected, and the like: that form was not meant."""
    return not one["loc"] and one["type"].endswith("_type")


def _distance(group: Sequence[ErrorDetails]) -> tuple[int, int]:
    return sum(one["type"] == "extra_forbidden" for one in group), len(group)


def _problem(one: ErrorDetails, given: object, *, known: Sequence[str]) -> str:
    loc = one["loc"]
    place = _place(loc)
    if one["type"] == "missing" or _is_left_out(loc, given):
        return f"{place} is missing"
    if one["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(loc[0]), known, n=1) if len(loc) == 1 else []
        return f"{place} is not known{f', did you mean {near[0]}?' if near else ''}"
    message = one["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    _, should, rest = message.partition(" should ")
    if one["type"] in _NO_OBJECT:
        text = f"expected {place} to be an object"
    else:
        text = f"expected {place} to {rest}" if should else f"{place}: {message}"
    return text if "got: " in message else f"{text}, got: {_shown(one['input'])}"


def _is_left_out(loc: Loc, given: object) -> bool:
    """Whether the problem is with a default that does not conform."""
    return len(loc) == 1 and isinstance(given, Mapping) and loc[0] not in given


def _place(loc: Loc) -> str:
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return steps.removeprefix(".") or "the input"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
