"""Who can be given a task, and in which form: read off the schema of what each role takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from supervisor import Context, JobFailed

from .goal import Goal

Form = Literal["brief", "text"]

_BRIEF = frozenset({"task", "repository", "context"})
"""Properties by which a brief is known."""
_NO_PLAIN_TEXT = frozenset({"const", "enum", "format", "pattern"})


class Member(BaseModel):
    """A role that can be given a task.

    Attributes:
        name: What `delegate` calls it.
        description: Its own line about itself.
        form: Whether it takes a `Brief`, or else a plain text.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    form: Form


async def read_roster(goal: Goal, ctx: Context) -> list[Member]:
    """Who can be given a task, by name; never the asking role itself.

    Args:
        goal: What for: without a repository nobody can work who has to be given one.
        ctx: Knows the team.

    It is on record: a later run of the job plans with the same team, though roles may have come
    and gone meanwhile, and so finds the plan that was paid for.

    Raises:
        JobFailed: There is nobody.
    """

    async def read() -> list[Any]:
        members = (
            Member(name=one.name, description=one.description, form=form)
            for one in ctx.team
            if one.name != ctx.role and (form := form_of(one.schema, goal=goal)) is not None
        )
        return [one.model_dump() for one in sorted(members, key=lambda one: one.name)]

    recorded = await ctx.record("team", read)
    if not recorded:
        raise JobFailed(
            "there is nobody to delegate to: no other role takes a brief or a text",
            hint="a role does that takes supervisor.Brief, see docs/roles.md",
        )
    return TypeAdapter(list[Member]).validate_python(recorded)


def form_of(schema: Mapping[str, Any], *, goal: Goal) -> Form | None:
    """How a role that takes this can be given a task; None when it cannot.

    Args:
        schema: JSON schema of what it takes.
        goal: What the task is for.
    """
    alternatives = list(_alternatives(schema, schema.get("$defs", {}), seen=()))
    if any(_takes_brief(one, goal) for one in alternatives):
        return "brief"
    if any(one.get("type") == "string" and not _NO_PLAIN_TEXT & set(one) for one in alternatives):
        return "text"
    return None


def _takes_brief(schema: Mapping[str, Any], goal: Goal) -> bool:
    properties: Mapping[str, Any] = schema.get("properties", {})
    if not properties.keys() >= _BRIEF:
        return False
    must_be_given = (
        "repository" in schema.get("required", ()) or "minLength" in properties["repository"]
    )
    return bool(goal.repository) or not must_be_given


def _alternatives(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], *, seen: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    """What a schema admits, with its references followed."""
    reference = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if reference in definitions and reference not in seen:
        yield from _alternatives(definitions[reference], definitions, seen=(*seen, reference))
    for keyword in ("anyOf", "oneOf"):
        for one in schema.get(keyword, ()):
            yield from _alternatives(one, definitions, seen=seen)
    yield schema
