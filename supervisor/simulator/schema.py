"""A small value that conforms to a JSON Schema, for structured output without a model.

Small but whole: every property is there and a list has one entry where it may, so that whatever
reads the value has something to show. Covers what pydantic and the SDKs write; `not`, `if`,
`contains` and dependent schemas are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from supervisor.simulator.document import Json, is_list, is_object
from supervisor.simulator.scalars import make_number, make_text

_MOST_STEPS = 20_000

# Keywords that tell the type where a schema does not say it.
_TELLING = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "pattern": "string",
    "minLength": "string",
    "maxLength": "string",
    "format": "string",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
}


def conforming(schema: Json) -> Any:
    """A value that conforms to the schema; always the same one.

    Args:
        schema: A JSON Schema whose references all point into itself.

    Raises:
        ValueError: No value was found: the schema contradicts itself, refers to something that is
            not there, or is too intricate.
    """
    try:
        return _Builder(schema).build(schema, 0)
    except RecursionError:
        raise ValueError("the JSON Schema is nested too deeply") from None
    except (TypeError, AttributeError, KeyError) as exc:
        # It comes from a client: `{"enum": 5}` is possible.
        raise ValueError(f"a keyword of the JSON Schema has the wrong type: {exc}") from None


class _Builder:
    """Builds one value; knows which references it is inside of, to get out of circles."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._inside: list[str] = []
        self._steps = 0

    def build(self, schema: Any, number: int) -> Any:
        """A value for a schema.

        Args:
            schema: The schema, or a boolean.
            number: Values for different numbers differ, where the schema allows it.
        """
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ValueError("the JSON Schema asks for too large a value")
        if schema is False:
            raise ValueError("the JSON Schema allows no value here")
        if not is_object(schema):
            return "text"
        try:
            return self._build(schema, number)
        except ValueError:
            if "default" in schema:
                return schema["default"]
            raise

    def _build(self, schema: Json, number: int) -> Any:
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][number % len(schema["enum"])]
        if "$ref" in schema:
            return self._build_reference(schema, number)
        if "allOf" in schema:
            return self._build_all(schema, number)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._build_any(schema, keyword, number)
        return self._build_type(schema, number)

    def _build_reference(self, schema: Json, number: int) -> Any:
        reference = str(schema["$ref"])
        if reference in self._inside:
            raise ValueError(f"the JSON Schema refers to itself without an end: {reference}")
        self._inside.append(reference)
        try:
            return self.build(_merged(self._resolve(reference), _without(schema, "$ref")), number)
        finally:
            self._inside.pop()

    def _resolve(self, reference: str) -> Json:
        if not reference.startswith("#"):
            raise ValueError(f'expected a reference like "#/$defs/Name", got: "{reference}"')
        target: Any = self._root
        for part in reference[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if not is_object(target) or key not in target:
                raise ValueError(f'the JSON Schema has nothing at its reference "{reference}"')
            target = target[key]
        if not is_object(target):
            raise ValueError(f'expected a schema at the reference "{reference}"')
        return target

    def _build_all(self, schema: Json, number: int) -> Any:
        whole = _without(schema, "allOf")
        opened = len(self._inside)
        try:
            for part in schema["allOf"]:
                while is_object(part) and "$ref" in part:
                    reference = str(part["$ref"])
                    if reference in self._inside:
                        raise ValueError(f"the JSON Schema refers to itself: {reference}")
                    self._inside.append(reference)
                    rest = _without(part, "$ref")
                    part = _merged(self._resolve(reference), rest)
                if is_object(part):
                    whole = _merged(whole, part)
            return self.build(whole, number)
        finally:
            del self._inside[opened:]

    def _build_any(self, schema: Json, keyword: str, number: int) -> Any:
        rest = _without(schema, keyword)
        # null says least and is the way out of circles: the last resort.
        options = sorted(schema[keyword], key=_is_null)
        problem = ValueError(f"the JSON Schema has an empty {keyword}")
        for option in options:
            merged = _merged(rest, option) if is_object(option) else option
            try:
                return self.build(merged, number)
            except ValueError as exc:
                problem = exc
        raise problem

    def _build_type(self, schema: Json, number: int) -> Any:
        kind = _type_of(schema)
        if kind == "object":
            return self._build_object(schema, number)
        if kind == "array":
            return self._build_array(schema, number)
        if kind in ("integer", "number"):
            return make_number(schema, number=number, whole=kind == "integer")
        if kind == "string":
            return make_text(schema, number=number)
        if kind == "boolean":
            return number % 2 == 0
        if kind == "null":
            return None
        raise ValueError(f'expected a type of JSON Schema, got: "{kind}"')

    def _build_object(self, schema: Json, number: int) -> Json:
        required = set(schema.get("required", ()))
        most = schema.get("maxProperties")
        properties: Json = schema.get("properties", {})
        value: Json = {}
        # Required ones first, so that a small maxProperties leaves out others.
        for name in sorted(properties, key=lambda name: name not in required):
            if name not in required and most is not None and len(value) >= most:
                break
            try:
                value[name] = self.build(properties[name], number)
            except ValueError:
                if name in required:
                    raise
        self._fill(value, schema, number)
        order = {name: place for place, name in enumerate(properties)}
        return dict(sorted(value.items(), key=lambda item: order.get(item[0], len(order))))

    def _fill(self, value: Json, schema: Json, number: int) -> None:
        """Add what has no schema of its own: other required names, and up to minProperties."""
        other = schema.get("additionalProperties", True)
        for name in schema.get("required", ()):
            if name not in value:
                value[name] = self.build(other, number)
        names: Json = {"type": "string", **schema.get("propertyNames", {})}
        for pattern, inner in schema.get("patternProperties", {}).items():
            names, other = {**names, "pattern": pattern}, inner
        least = schema.get("minProperties", 0)
        # Some names come twice, so there are more tries than names.
        for extra in range(2 * least):
            if len(value) < least:
                value.setdefault(str(self.build(names, extra)), self.build(other, number))
        if len(value) < least:
            raise ValueError(f"the JSON Schema wants {least} properties, names for which are few")

    def _build_array(self, schema: Json, number: int) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        first: list[Any] = schema.get("prefixItems", [])
        wanted = max(least, len(first), 1)
        wanted = wanted if most is None else min(wanted, most)
        value: list[Any] = []
        for place in range(wanted):
            item = first[place] if place < len(first) else schema.get("items", True)
            try:
                value.append(self.build(item, number + place))
            except ValueError:
                if place < least:
                    raise
                break
        if schema.get("uniqueItems") and any(value.count(item) > 1 for item in value):
            raise ValueError("the JSON Schema wants more different entries than could be made")
        return value


def _type_of(schema: Json) -> str:
    kind = schema.get("type")
    if is_list(kind):
        kinds = [str(name) for name in kind]
        return next((name for name in kinds if name != "null"), "null")
    if kind is not None:
        return str(kind)
    return next((_TELLING[keyword] for keyword in schema if keyword in _TELLING), "string")


def _is_null(schema: Any) -> bool:
    return is_object(schema) and schema.get("type") == "null"


def _without(schema: Json, keyword: str) -> Json:
    return {name: value for name, value in schema.items() if name != keyword}


def _merged(one: Json, other: Json) -> Json:
    """A schema that asks for both."""
    merged = {**one, **other}
    for keyword in one.keys() & other.keys():
        merged[keyword] = _both(keyword, one[keyword], other[keyword])
    return merged


def _both(keyword: str, one: Any, other: Any) -> Any:
    if keyword == "properties":
        both = {**one, **other}
        for name in one.keys() & other.keys():
            both[name] = {"allOf": [one[name], other[name]]}
        return both
    combine = _COMBINED.get(keyword)
    return other if combine is None else combine(one, other)


def _union(one: list[Any], other: list[Any]) -> list[Any]:
    return [*one, *(value for value in other if value not in one)]


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    return [value for value in one if value in other]


# How two values of one keyword become one that asks for both; elsewhere the other one counts.
_COMBINED: dict[str, Callable[[Any, Any], Any]] = {
    "required": _union,
    "allOf": _union,
    "enum": _common,
    "minimum": max,
    "exclusiveMinimum": max,
    "minLength": max,
    "minItems": max,
    "minProperties": max,
    "maximum": min,
    "exclusiveMaximum": min,
    "maxLength": min,
    "maxItems": min,
    "maxProperties": min,
}
