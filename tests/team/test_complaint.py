"""What an input is told that a role does not take: in words, and where it is wrong."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from supervisor.team.complaint import complaint, schema_of
from supervisor.team.forms import in_words


class Goal(BaseModel):
    """What the planner of these tests takes."""

    model_config = ConfigDict(extra="forbid")

    goal: Annotated[str, Field(min_length=1)]
    steps: list[int] = []
    path: str = "/"

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError(f'expected an absolute path, got: "{path}"')
        return path


class Place(BaseModel):
    """Something that has to be given, though it has a default."""

    place: Annotated[str, Field(min_length=1, validate_default=True)] = ""


class Tree(BaseModel):
    """Something in itself."""

    twigs: list[Tree] = []


class Square(BaseModel):
    """One shape."""

    kind: Literal["square"]
    side: float


class Circle(BaseModel):
    """Another one."""

    kind: Literal["circle"]
    radius: float


Shape = Annotated[Square | Circle, Field(discriminator="kind")]


def told(takes: Any, given: object) -> str:
    """What is wrong with it, without what is taken."""
    adapter: TypeAdapter[Any] = TypeAdapter(takes)
    with pytest.raises(ValidationError) as refused:
        adapter.validate_python(given)
    error = complaint("boss", adapter, given=given, error=refused.value)
    assert not schema_of(adapter) or error.hint == f"it takes {in_words(schema_of(adapter))}"
    for ours in ("Union", "Goal", "constrained", "Input should", "dictionary", "pydantic"):
        assert ours not in str(error)
    return error.message.removeprefix("boss does not take this input: ")


@pytest.mark.parametrize(
    ("takes", "given", "problem"),
    [
        (Goal | str, {"goal": ""}, 'expected goal to have at least 1 character, got: ""'),
        (Goal | str, {"gaol": "x"}, "goal is missing; gaol is not known, did you mean goal?"),
        (Goal | str, {"goal": "x", "zzz": 1}, "zzz is not known"),
        (Goal | str, 5, "got: 5"),
        (Goal | Place, {"place": ""}, 'expected place to have at least 1 character, got: ""'),
        (Goal, "x", 'expected the input to be an object, got: "x"'),
        (Goal, {"goal": "x", "steps": ["a"]}, "expected steps[0] to be a valid integer,"),
        (Goal, {"goal": "x", "path": "src"}, 'path: expected an absolute path, got: "src"'),
        (Goal | None, {}, "goal is missing"),
        (Place, {}, "place is missing"),
        (list[Goal], [{"goal": "x"}, {}], "[1].goal is missing"),
        (Shape, {"kind": "square", "side": "a"}, "expected side to be a valid number"),
        (Shape, {"kind": "cube"}, "the input: "),
        (Tree, {"twigs": [{"twigs": 1}]}, "expected twigs[0].twigs to be a valid list, got: 1"),
        (str, {"a": "x" * 200}, 'expected the input to be a valid string, got: {"a": "xxx'),
    ],
)
def test_what_is_wrong_is_said(takes: Any, given: object, problem: str) -> None:
    """Of several forms the nearest one is meant; a place, what was expected, and what was got."""
    said = told(takes, given)
    assert said.startswith(problem)
    assert len(said) < 200


@pytest.mark.parametrize(
    ("takes", "words"),
    [
        (Goal | str, 'an object with "goal", perhaps "steps", "path"; or a text'),
        (Place | None, 'an object with "place"; or null'),
        (Shape, 'an object with "kind" and "side"; or an object with "kind" and "radius"'),
        (Tree, 'an object, perhaps with "twigs"'),
        (dict[str, int], "an object"),
        (
            list[int] | float | int | bool,
            "a list; or a number; or a whole number; or true or false",
        ),
        (Literal["a", 2], 'one of "a", 2'),
        (Literal["a"], '"a"'),
        (Any, "any JSON value"),
    ],
)
def test_forms_are_told_in_words(takes: Any, words: str) -> None:
    """What a role takes is told as a person would say it, whatever the types are called."""
    adapter: TypeAdapter[Any] = TypeAdapter(takes)
    assert in_words(schema_of(adapter)) == words


def test_a_reference_in_a_circle_has_an_end() -> None:
    """A schema that is nothing but itself is told as nothing."""
    loop = {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}}
    assert in_words(loop) == ""
