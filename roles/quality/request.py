"""What can be given to be reviewed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Diff(BaseModel):
    """A unified diff.

    Attributes:
        diff: The diff.
        context: What the change is meant to do.
    """

    model_config = ConfigDict(extra="forbid")

    diff: str = Field(min_length=1)
    context: str = ""


class Commits(BaseModel):
    """A range of commits.

    Attributes:
        repository: Absolute path of the git repository.
        range: `A..B` is what differs between the two, `A...B` what B has that A has not, since
            they parted; `A` alone is `A...HEAD`. A side that is left out is HEAD.
        context: What the change is meant to do.
    """

    model_config = ConfigDict(extra="forbid")

    repository: str = Field(min_length=1)
    range: str = Field(default="HEAD~1", min_length=1)
    context: str = ""


class Branch(BaseModel):
    """A branch: what it has that its base has not, since they parted.

    Attributes:
        repository: Absolute path of the git repository.
        branch: The branch.
        base: What it is to be merged into.
        context: What the change is meant to do.
    """

    model_config = ConfigDict(extra="forbid")

    repository: str = Field(min_length=1)
    branch: str = Field(min_length=1)
    base: str = Field(default="HEAD", min_length=1)
    context: str = ""


class CodeResult(BaseModel):
    """What a job of the role `code` came to; what else it has is left alone.

    Attributes:
        repository: The repository.
        branch: The branch with the change; empty when nothing was changed.
        base: The commit it began at.
        commit: Its last commit.
        summary: What was changed, in its author's words.
        test: The command that tests it.
        passed: Whether that succeeded; None when there was none.
    """

    model_config = ConfigDict(extra="ignore")

    repository: str = Field(min_length=1)
    branch: str
    base: str
    commit: str = ""
    summary: str = ""
    test: str = ""
    passed: bool | None = None


class CodeJob(BaseModel):
    """The result of a job of the role `code`, as it is.

    Attributes:
        job: The result.
        context: What the change is meant to do.
    """

    model_config = ConfigDict(extra="forbid")

    job: CodeResult
    context: str = ""
