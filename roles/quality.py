"""Reviews a unified diff: few findings, only on changed lines, and an empty review is fine."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from supervisor import Context, JobFailed, Priority, Role

_MOST_FINDINGS = 5
_MOST_PLACES = 400
_LEAST_CONFIDENCE = 0.5

_INSTRUCTIONS = """\
You review a change. Report only what is wrong in the changed lines and matters: a bug, a security
hole, a lost error, a race, a broken contract, a missing test for new behaviour. No style, no
naming, no praise. At most five findings, the worst first; none at all is a good answer. `place` is
FILE:LINE of the new file, exactly as the numbered diff shows it."""


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Diff(BaseModel):
    """What is to be reviewed."""

    model_config = ConfigDict(extra="forbid")

    diff: str = Field(min_length=1)
    context: str = ""


class Finding(BaseModel):
    """One thing that is wrong."""

    rule_id: str
    severity: Severity
    confidence: float
    file: str
    start: int
    end: int
    title: str
    why: str
    suggestion: str


class Review(BaseModel):
    """The findings, worst first."""

    findings: list[Finding]
    files: int
    changed_lines: int


class Quality(Role[Diff | str, Review]):
    """The reviewer of the team."""

    name = "quality"
    description = "reviews a unified diff into typed findings"
    priority = Priority.LOW
    share = 0.15

    async def handle(self, job: Diff | str, ctx: Context) -> Review:
        """Review one diff."""
        request = Diff(diff=job) if isinstance(job, str) else job
        changed = _changed_lines(request.diff)
        lines = sum(len(numbers) for numbers in changed.values())
        if not lines:
            return Review(findings=[], files=len(changed), changed_lines=0)
        answer = await ctx.ask(
            _prompt(request), system=_INSTRUCTIONS, schema=_schema(changed), temperature=0
        )
        raw: list[Any] = answer.model_dump()["findings"]
        findings = [found for item in raw if (found := _finding(item, changed)) is not None]
        ctx.log.info("quality.reviewed", files=len(changed), findings=len(findings))
        return Review(findings=findings[:_MOST_FINDINGS], files=len(changed), changed_lines=lines)


def _changed_lines(diff: str) -> dict[str, set[int]]:
    """Lines that the diff adds, by file."""
    try:
        patch = PatchSet(diff)
    except UnidiffParseError as error:
        raise JobFailed(f"expected a unified diff, got text that is none: {error}") from error
    if not len(patch):
        raise JobFailed("expected a unified diff, found no file in it", hint="git diff > x.diff")
    return {
        file.path: {
            line.target_line_no
            for hunk in file
            for line in hunk
            if line.is_added and line.target_line_no is not None
        }
        for file in patch
        if not file.is_removed_file
    }


def _prompt(request: Diff) -> str:
    """The diff with the new file's line numbers, so that the model need not count."""
    parts = [request.context] if request.context else []
    for file in PatchSet(request.diff):
        parts.append(f"=== {file.path}")
        for hunk in file:
            parts.append(f"@@ {hunk.section_header}".rstrip())
            for line in hunk:
                number = "" if line.target_line_no is None else str(line.target_line_no)
                parts.append(f"{number:>6} {line.line_type}{line.value.rstrip()}")
    return "\n".join(parts)


def _schema(changed: dict[str, set[int]]) -> type[BaseModel]:
    """What the model fills in; unless they are too many, places can only be changed lines."""
    places = [f"{file}:{line}" for file in sorted(changed) for line in sorted(changed[file])]
    place: Any = Literal[tuple(places)] if len(places) <= _MOST_PLACES else str
    finding = create_model(
        "ReviewFinding",
        rule_id=(str, Field(pattern=r"^[a-z][a-z0-9-]{2,39}$")),
        severity=(Severity, ...),
        confidence=(float, Field(ge=0, le=1)),
        place=(place, ...),
        lines=(int, Field(ge=1, le=50)),
        title=(str, Field(max_length=120)),
        why=(str, ...),
        suggestion=(str, ...),
    )
    findings: Any = list[finding]  # type: ignore[valid-type]  # a type made at run time
    return create_model("ReviewFindings", findings=(findings, Field(max_length=10)))


def _finding(item: dict[str, Any], changed: dict[str, set[int]]) -> Finding | None:
    """A finding on a changed line, None for any other."""
    file, _, line = str(item.pop("place")).rpartition(":")
    if not line.isdigit() or int(line) not in changed.get(file, set()):
        return None
    if item["confidence"] < _LEAST_CONFIDENCE:
        return None
    start = int(line)
    length = int(item.pop("lines"))
    end = max(number for number in changed[file] if start <= number < start + length)
    return Finding(file=file, start=start, end=end, **item)
