"""What the model can do: five tools, each a model that its arguments must satisfy. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from supervisor import ToolCall


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Read(_Arguments):
    """Read a file with its line numbers, or list a folder."""

    path: str = Field(description="Relative to the repository's root; . for the root.")
    start: int = Field(default=1, description="First line.")
    end: int | None = Field(default=None, description="Last line.")


class Search(_Arguments):
    """Find lines that match an extended regular expression."""

    pattern: str = Field(min_length=1)
    path: str = Field(default=".", description="Only below this folder or in this file.")


class SearchReplace(_Arguments):
    """Replace the one place in a file where old stands; with an empty old, write a new file."""

    path: str
    old: str = Field(description="The lines as they stand, without line numbers.")
    new: str


class Run(_Arguments):
    """Run a shell command in the repository's root. There is no network."""

    command: str = Field(min_length=1)


class Finish(_Arguments):
    """The task is done: run the tests, and commit the change if they pass."""

    summary: str = Field(min_length=1, description="What was changed and why; first line short.")


Tool = Read | Search | SearchReplace | Run | Finish

_BY_NAME: dict[str, type[Tool]] = {
    "read": Read,
    "search": Search,
    "search_replace": SearchReplace,
    "run": Run,
    "finish": Finish,
}


class NoSuchTool(Exception):
    """The model called what is not there, or not as it is to be called."""


def described() -> list[dict[str, Any]]:
    """All tools in the API's form."""
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": (tool.__doc__ or "").strip(),
                "parameters": _schema(tool),
            },
        }
        for name, tool in _BY_NAME.items()
    ]


def parsed(call: ToolCall) -> Tool:
    """What a call asks for.

    Raises:
        NoSuchTool: It is none of these, or its arguments do not fit.
    """
    tool = _BY_NAME.get(call.name)
    if tool is None:
        raise NoSuchTool(f'there is no tool "{call.name}"; there are: {", ".join(_BY_NAME)}')
    try:
        return tool.model_validate_json(call.arguments or "{}")
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)[:5]
        )
        raise NoSuchTool(f"{call.name} cannot be called so: {problems}") from error


def _schema(tool: type[Tool]) -> dict[str, Any]:
    schema = tool.model_json_schema()
    schema.pop("description", None)
    schema.pop("title", None)
    return schema
