"""Values for JSON Schemas, judged by jsonschema and by pydantic itself."""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, TypeAdapter, create_model

from supervisor.simulator.schema import conforming


def check(schema: dict[str, Any]) -> Any:
    """A value for the schema, after jsonschema found nothing wrong with it."""
    value = conforming(schema)
    jsonschema.validate(
        value,
        schema,
        cls=jsonschema.Draft202012Validator,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    return value


class Severity(enum.Enum):
    HIGH = "high"
    LOW = "low"


class Finding(BaseModel):
    """As the quality role asks for them."""

    model_config = ConfigDict(extra="forbid")

    rule_id: Annotated[str, Field(pattern=r"^[A-Z]{2}\d{3}$")]
    severity: Severity
    confidence: Annotated[float, Field(ge=0, le=1)]
    file: Annotated[str, Field(min_length=1, max_length=200)]
    start: Annotated[int, Field(ge=1)]
    end: Annotated[int, Field(ge=1)]
    why: str
    suggestion: str | None = None


class Review(BaseModel):
    findings: Annotated[list[Finding], Field(max_length=5)]
    summary: str = ""


class Task(BaseModel):
    id: str
    needs: list[str]
    parts: list[Task] = []
    parent: Task | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(gt=0, lt=10)]


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Everything(BaseModel):
    when: datetime.datetime
    day: datetime.date
    at: datetime.time
    lasting: datetime.timedelta
    id: uuid.UUID
    link: AnyUrl
    money: Decimal
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    pair: tuple[int, str]
    many: tuple[int, ...]
    few: Annotated[list[int], Field(min_length=2, max_length=3)]
    tags: Annotated[set[str], Field(min_length=3)]
    levels: Annotated[set[Severity], Field(min_length=2)]
    table: dict[str, int]
    filled: Annotated[dict[Annotated[str, Field(pattern="^k")], int], Field(min_length=2)]
    even: Annotated[int, Field(multiple_of=4, gt=4)]
    below: Annotated[float, Field(lt=-2.5)]
    narrow: Annotated[float, Field(gt=0.5, lt=0.50001)]
    step: Annotated[float, Field(multiple_of=0.25, ge=0.3)]
    code: Annotated[str, Field(min_length=10, max_length=12)]
    letter: Annotated[str, Field(max_length=1)]
    truth: bool
    nothing: None
    anything: Any
    data: bytes
    fixed: Literal[5]
    choice: Literal["a", 2, None]
    maybe: int | None
    either: int | list[str]


MODELS = [Finding, Review, Task, Cat, Everything]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_values_conform_to_models_of_real_life(
    model: type[BaseModel], mode: Literal["validation", "serialization"]
) -> None:
    """What is made for a pydantic model's schema satisfies jsonschema and the model."""
    value = check(model.model_json_schema(mode=mode))
    # What a model writes is looser than what it reads: a decimal is written as any string.
    if mode == "validation":
        model.model_validate(value)


def test_a_list_has_an_entry_to_show() -> None:
    """Values are small but whole: lists are not empty where they need not be."""
    review = Review.model_validate(check(Review.model_json_schema()))
    assert len(review.findings) == 1
    assert review.findings[0].suggestion is not None


def test_a_model_that_contains_itself_comes_to_an_end() -> None:
    """Circles are left through the empty list and null."""
    task = Task.model_validate(check(Task.model_json_schema()))
    assert (task.parts, task.parent) == ([], None)


FIELDS: list[Any] = [
    str,
    int,
    float,
    bool,
    datetime.date,
    Severity,
    Cat | Dog,
    list[Finding],
    dict[str, Finding],
    int | None,
    Literal["x", "y"],
    Annotated[str, Field(min_length=3, max_length=3)],
    Annotated[int, Field(ge=-5, lt=0)],
    Annotated[list[str], Field(min_length=4)],
]


@settings(max_examples=12)
@given(fields=st.lists(st.sampled_from(FIELDS), max_size=6), nested=st.booleans())
def test_values_conform_to_models_put_together_at_random(
    fields: list[Any], *, nested: bool
) -> None:
    """Any combination of fields, nested or not, has a conforming value."""
    named: dict[str, Any] = {f"f{place}": (kind, ...) for place, kind in enumerate(fields)}
    model = create_model("Made", **named)
    whole = create_model("Outer", inner=(list[model], ...)) if nested else model  # type: ignore[valid-type]
    whole.model_validate(check(whole.model_json_schema()))


@settings(max_examples=50)
@given(
    low=st.integers(-50, 50),
    width=st.integers(0, 20),
    opened=st.booleans(),
    count=st.integers(1, 4),
)
def test_integers_keep_their_bounds(low: int, width: int, count: int, *, opened: bool) -> None:
    """Bounds, open or closed, hold for every entry of a list."""
    bounds = (
        {"exclusiveMinimum": low - 1, "exclusiveMaximum": low + width + 1}
        if opened
        else {"minimum": low, "maximum": low + width}
    )
    check({"type": "array", "minItems": count, "items": {"type": "integer", **bounds}})


@settings(max_examples=50)
@given(
    low=st.floats(-100, 100),
    width=st.floats(0.001, 50),
    opened=st.booleans(),
)
def test_numbers_keep_their_bounds(low: float, width: float, *, opened: bool) -> None:
    """A number lies inside its bounds, however narrow they are."""
    names = ("exclusiveMinimum", "exclusiveMaximum") if opened else ("minimum", "maximum")
    check({"type": "number", names[0]: low, names[1]: low + width})


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": ["null", "string"]},
        {"type": ["null"]},
        {"properties": {"a": {"minimum": 3}}, "required": ["a", "b"]},
        {"items": {"format": "email"}},
        {"type": "object", "minProperties": 3, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"], "maxProperties": 1},
        {"allOf": [{"$ref": "#/$defs/a"}, {"minimum": 7}], "$defs": {"a": {"type": "integer"}}},
        {
            "allOf": [
                {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"a": {"maximum": -4}, "b": {"const": 1}}, "required": ["b"]},
            ]
        },
        {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
        {"oneOf": [{"type": "integer", "minimum": 5, "maximum": 4}, {"type": "boolean"}]},
        {"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"enum": ["x"]}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "null"}}},
        {"type": "array", "items": False},
        {"type": "array", "maxItems": 0},
        {"type": "array", "prefixItems": [{"type": "null"}, {"type": "integer"}], "items": False},
        {"type": "array", "uniqueItems": True, "minItems": 2, "items": {"type": "boolean"}},
        {"allOf": [True, {"enum": [1, 2, 3]}, {"enum": [3, 4]}]},
        {"properties": {"a": False, "b": {"type": "null"}}},
        {"type": "number", "minimum": 3, "exclusiveMinimum": 2},
        {"type": "integer", "maximum": -3},
        {"type": "integer", "multipleOf": 2.5},
        {"type": "number", "minimum": 2, "exclusiveMinimum": 3},
        {"type": "number", "exclusiveMaximum": 3},
        {"type": "number", "minimum": 3, "maximum": 3},
        {"type": "string", "format": "email", "minLength": 30, "maxLength": 30},
        {"type": "string", "format": "uri", "minLength": 30, "maxLength": 30},
        {"type": "string", "minLength": 8, "maxLength": 8},
        {"enum": [3, "x"], "default": 3},
        {"type": "string", "pattern": r"^(a)\1$", "default": "aa"},
        {"properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
    ],
)
def test_values_conform_to_schemas_written_by_hand(schema: dict[str, Any]) -> None:
    """Types may be missing, joined, referred to or put together."""
    check(schema)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$ref": "https://example.com/x"}, 'expected a reference like "#/$defs/Name"'),
        ({"$ref": "#/$defs/missing"}, 'nothing at its reference "#/$defs/missing"'),
        ({"$ref": "#/$defs/a", "$defs": {"a": True}}, "expected a schema at the reference"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "refers to itself"),
        ({"allOf": [{"$ref": "#"}]}, "refers to itself"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "within the JSON Schema's bounds"),
        ({"type": "number", "minimum": 5, "maximum": 4}, "within the JSON Schema's bounds"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "expected a length"),
        ({"type": "string", "format": "uuid", "minLength": 99}, "no uuid of 99 to None"),
        ({"type": "string", "minLength": 10**9}, "expected a length up to 1000000"),
        ({"type": "array", "minItems": 10**9}, "too large a value"),
        ({"type": "array", "minItems": 1, "items": False}, "allows no value"),
        (
            {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"type": "boolean"}},
            "more different entries",
        ),
        ({"properties": {"a": {"anyOf": []}}, "required": ["a"]}, "empty anyOf"),
        ({"required": ["a"], "additionalProperties": False}, "allows no value"),
        (
            {"minProperties": 2, "propertyNames": {"const": "a"}, "type": "object"},
            "wants 2 properties",
        ),
        ({"type": "thing"}, 'expected a type of JSON Schema, got: "thing"'),
        ({"enum": 5}, "has the wrong type"),
        ({"properties": 5}, "has the wrong type"),
    ],
)
def test_a_schema_without_a_value_is_an_error(schema: dict[str, Any], expected: str) -> None:
    """Nothing that does not conform is made up: the reason is given instead."""
    with pytest.raises(ValueError, match=re.escape(expected)):
        conforming(schema)


def test_a_schema_nested_without_end_is_an_error() -> None:
    """Depth is bounded by an error and not by a crash."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(5000):
        schema = {"type": "array", "minItems": 1, "items": schema}
    with pytest.raises(ValueError, match="nested too deeply"):
        conforming(schema)


def test_the_same_schema_has_the_same_value() -> None:
    """Nothing is left to chance."""
    schema = TypeAdapter(list[Everything]).json_schema()
    assert conforming(schema) == conforming(schema)
