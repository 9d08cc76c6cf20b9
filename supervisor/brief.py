"""What a role is told when another one delegates to it: one form that all roles can take.

A role that takes it (alone, or as one of several forms) can be planned with: whoever plans need
not know what else the role can be given.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import PurePath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from supervisor.messages import JsonValue


class TaskResult(BaseModel):
    """What another task came to.

    Attributes:
        id: The task's short name.
        role: Who did it.
        result: What it returned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    role: str
    result: JsonValue


class Brief(BaseModel):
    """One task.

    Attributes:
        task: What is to be done.
        repository: Absolute path of the git repository it is about; empty for none.
        done_when: How to tell that it is done; empty when the task says it.
        context: Results of the tasks it builds on.
        max_calls: Most answers of the model to use; None for the role's own limit.
        max_usd: Most US dollars to spend; None for no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Annotated[str, Field(min_length=1)]
    repository: str = ""
    done_when: str = ""
    context: tuple[TaskResult, ...] = ()
    max_calls: Annotated[int, Field(ge=1)] | None = None
    max_usd: Annotated[Decimal, Field(gt=0)] | None = None

    @field_validator("repository")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        # Roles run wherever the process does, which is not where somebody wrote a relative path.
        if path and not PurePath(path).is_absolute():
            raise ValueError(f'expected an absolute path, got: "{path}"')
        return path
