"""What is to be reached, and what it may cost."""

from __future__ import annotations

from decimal import Decimal
from pathlib import PurePath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Goal(BaseModel):
    """One goal.

    Attributes:
        goal: What is to be reached.
        repository: Absolute path of the git repository it is about; empty for none.
        max_usd: Most US dollars to spend on all of it; None for no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    goal: Text
    repository: str = ""
    max_usd: Annotated[Decimal, Field(gt=0, le=1_000_000)] | None = None

    @field_validator("repository")
    @classmethod
    def _is_absolute(cls, path: str) -> str:
        # Roles run wherever the process does, which is not where somebody wrote a relative path.
        if path and not PurePath(path).is_absolute():
            raise ValueError(f'expected an absolute path, got: "{path}"')
        return path
