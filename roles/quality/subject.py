"""What is reviewed: two commits or a bare diff, and what the change is meant to do."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from supervisor import Brief, Context, JobFailed, JsonValue, Repository

from .request import Branch, CodeJob, CodeResult, Commits, Diff

Given = Diff | Commits | Branch | CodeJob | Brief | str

_RANGE = re.compile(r"(.*?)(\.{2,3})(.*)")
_LAST = "HEAD~1"
_LONGEST = 8000
"""Characters of what others say about the change."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is reviewed.

    Attributes:
        diff: The change.
        purpose: What it is meant to do; can be empty.
        repository: Where it is; None for a bare diff.
        base: The commit it is compared with; empty for a bare diff.
        head: The commit that is reviewed.
    """

    diff: str
    purpose: str = ""
    repository: Repository | None = None
    base: str = ""
    head: str = ""


async def subject_of(given: Given, ctx: Context) -> Subject:
    """Find out what is to be reviewed.

    Args:
        given: The job's input.
        ctx: The job.

    Raises:
        JobFailed: There is nothing to review, or it cannot be found.
    """
    match given:
        case str():
            return Subject(given)
        case Diff():
            return Subject(given.diff, given.context)
        case Commits():
            return await _commits(given.repository, given.range, given.context, ctx=ctx)
        case Branch():
            span = f"{given.base}...{given.branch}"
            return await _commits(given.repository, span, given.context, ctx=ctx)
        case CodeJob():
            return await _result(given.job, given.context, ctx=ctx)
        case Brief():
            return await _brief(given, ctx)


async def _brief(brief: Brief, ctx: Context) -> Subject:
    purpose = _lines(f"Asked for: {brief.task}", _labelled("It is done when", brief.done_when))
    for done in reversed(brief.context):
        if isinstance(done.result, dict) and {"repository", "branch", "base"} <= done.result.keys():
            return await _result(_code_result(done.id, done.result), purpose, ctx=ctx)
    if not brief.repository:
        raise JobFailed(
            "nothing to review: no task before this one has made a branch",
            hint="let it build on a task of the role code, or name a repository: its last commit "
            "is reviewed then",
        )
    return await _commits(brief.repository, _LAST, purpose, ctx=ctx)


def _code_result(task: str, result: dict[str, Any]) -> CodeResult:
    try:
        return CodeResult.model_validate(result)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise JobFailed(
            f"expected the result of task {task} to be one of the role code, got: "
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        ) from error


async def _result(result: CodeResult, purpose: str, *, ctx: Context) -> Subject:
    if not result.branch or not result.base:
        raise JobFailed(f"nothing to review: the code job changed nothing in {result.repository}")
    said = _labelled("Its author says", result.summary)
    tests = ""
    if result.passed is not None:
        tests = f"Its tests ({result.test}) {'passed' if result.passed else 'failed'}."
    span = f"{result.base}...{result.commit or result.branch}"
    return await _commits(result.repository, span, _lines(purpose, said, tests), ctx=ctx)


async def _commits(path: str, span: str, purpose: str, *, ctx: Context) -> Subject:
    if not Path(path).is_absolute():
        raise JobFailed(f"expected the repository as an absolute path, got: {path!r}")
    repository = await Repository.open(path)
    # On record: a later run reviews the same commits, wherever the branches are by then.
    base, head = await _recorded(ctx, lambda: _ends(repository, span))
    diff = await repository.diff(base, head)
    return Subject(diff, purpose, repository, base, head)


async def _recorded(ctx: Context, call: Callable[[], Awaitable[JsonValue]]) -> tuple[str, str]:
    found: Any = await ctx.record("commits", call)
    base, head = found
    return str(base), str(head)


async def _ends(repository: Repository, span: str) -> JsonValue:
    """The two commits that a range compares."""
    parts = _RANGE.fullmatch(span)
    first, dots, second = parts.groups() if parts else (span, "...", "HEAD")
    try:
        base = await repository.resolve(first or "HEAD")
    except JobFailed as error:
        if first != _LAST:
            raise
        hint = "the first commit has nothing to be compared with; a shallow clone: fetch more of it"
        raise JobFailed(error.message, hint=hint) from error
    head = await repository.resolve(second or "HEAD")
    return [await repository.merge_base(base, head) if dots == "..." else base, head]


def _labelled(label: str, text: str) -> str:
    return f"{label}: {text}" if text else ""


def _lines(*parts: str) -> str:
    return "\n".join(part[:_LONGEST] for part in parts if part)
