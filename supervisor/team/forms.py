"""What a role takes, in words, read off the JSON schema of its input. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PLAIN = {
    "string": "a text",
    "array": "a list",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}

Schema = Mapping[str, Any]


def in_words(schema: Schema) -> str:
    """The forms it admits, such as `an object with "goal", perhaps "max_usd"; or a text`.

    Args:
        schema: A JSON schema.
    """
    return "; or ".join(dict.fromkeys(_form(one) for one in forms(schema)))


def names(schema: Schema) -> list[str]:
    """All fields that an object of any of its forms can have.

    Args:
        schema: A JSON schema.
    """
    return list(dict.fromkeys(name for one in forms(schema) for name in one.get("properties", ())))


def forms(schema: Schema) -> list[Schema]:
    """Each form that it admits, with its references followed.

    Args:
        schema: A JSON schema.
    """
    return list(_forms(schema, schema.get("$defs", {}), seen=()))


def _forms(schema: Schema, known: Mapping[str, Schema], *, seen: Sequence[str]) -> Iterator[Schema]:
    reference = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if reference in seen:
        return
    if reference in known:
        yield from _forms(known[reference], known, seen=(*seen, reference))
        return
    several = [one for keyword in ("anyOf", "oneOf") for one in schema.get(keyword, ())]
    if not several:
        yield schema
    for one in several:
        yield from _forms(one, known, seen=seen)


def _form(schema: Schema) -> str:
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        values = (json.dumps(value, ensure_ascii=False) for value in schema["enum"])
        return f"one of {', '.join(values)}"
    kind = str(schema.get("type", ""))
    return _object(schema) if kind == "object" else _PLAIN.get(kind, "any JSON value")


def _object(schema: Schema) -> str:
    fields: Mapping[str, Schema] = schema.get("properties", {})
    needed = [name for name in fields if _is_needed(name, schema)]
    others = ", ".join(f'"{name}"' for name in fields if name not in needed)
    if not needed:
        return f"an object, perhaps with {others}" if others else "an object"
    must = " and ".join(f'"{name}"' for name in needed)
    return f"an object with {must}, perhaps {others}" if others else f"an object with {must}"


def _is_needed(name: str, schema: Schema) -> bool:
    """Whether a field has to be given; so has one whose default does not conform."""
    if name in schema.get("required", ()):
        return True
    field: Schema = schema["properties"][name]
    return field.get("default") == "" and field.get("minLength", 0) > 0
