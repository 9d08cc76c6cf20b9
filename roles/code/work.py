"""What the code worker is given, and what comes out. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, Field

from supervisor import Brief

_WORDS = 5


class Work(Brief):
    """A task in a git repository.

    Attributes:
        base: Where to begin: a commit, a branch; empty for the branch of the newest result in
            `context` that has one for this repository, else `HEAD`.
        test: Command that tells whether the work is right; found out when empty.
        max_steps: Most answers of the model.
    """

    # It must be given, which a field with a default below cannot say in any other way.
    repository: Annotated[str, Field(min_length=1, validate_default=True)] = ""
    base: str = ""
    test: str = ""
    max_steps: Annotated[int, Field(ge=1, le=200)] = 40

    @property
    def steps(self) -> int:
        """Most answers of the model that may be used."""
        return min(self.max_steps, self.max_calls or self.max_steps)

    @property
    def start(self) -> str:
        """The revision to begin at."""
        if self.base:
            return self.base
        for earlier in reversed(self.context):
            result = earlier.result
            if isinstance(result, dict) and result.get("repository") == self.repository:
                branch = result.get("branch")
                if isinstance(branch, str) and branch:
                    return branch
        return "HEAD"


class Spent(BaseModel):
    """What it cost.

    Attributes:
        requests: Answers of the model.
        tokens: Tokens in them.
        usd: Price; None where the API does not tell it.
    """

    requests: int
    tokens: int
    usd: str | None


class Change(BaseModel):
    """What came out.

    Attributes:
        repository: The repository.
        branch: The branch with the change; empty when nothing was changed.
        base: The commit it began at.
        commit: Its last commit.
        diff: From base to commit.
        files: Paths that differ.
        test: The command that was run; empty for none.
        passed: Whether it succeeded in the end; None when there was none.
        summary: What was changed, in the model's words.
        stopped: Why it ended before the model was done; empty when it was.
        steps: Answers of the model that were used.
        cost: What they cost.
    """

    repository: str
    branch: str
    base: str
    commit: str
    diff: str
    files: list[str]
    test: str
    passed: bool | None
    summary: str
    stopped: str
    steps: int
    cost: Spent


def branch_name(task: str, job_id: str) -> str:
    """A name for the branch: a few words of the task, and of the job so that it is new."""
    words = re.findall(r"[a-z0-9]+", task.lower())[:_WORDS]
    return f"code/{'-'.join([*words, job_id[:8]])}"[:120]
