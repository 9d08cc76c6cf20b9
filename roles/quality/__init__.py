"""Reviews a change: linters first, few findings, only on changed lines; an empty one is fine."""

from __future__ import annotations

from collections.abc import Sequence

from anyio import to_thread

from supervisor import Brief, Context, JobFailed, JsonValue, Priority, Role

from .diff import ChangedFile, read_diff
from .excerpt import Excerpt, excerpt
from .fingerprint import with_fingerprints
from .lint import Lint, lint
from .question import INSTRUCTIONS, answer_form, findings_in, prompt
from .request import Branch, CodeJob, Commits, Diff
from .review import Finding, Review, Severity
from .subject import Subject, subject_of

_MOST_FINDINGS = 5
_LARGEST = 10_000_000
"""Characters of a diff."""


class Quality(Role[Diff | Commits | Branch | CodeJob | Brief | str, Review]):
    """The reviewer of the team."""

    name = "quality"
    description = "reviews a diff, a range of commits or a branch into at most five findings"
    priority = Priority.LOW
    share = 0.15

    async def handle(
        self, job: Diff | Commits | Branch | CodeJob | Brief | str, ctx: Context
    ) -> Review:
        """Review one change."""
        subject = await subject_of(job, ctx)
        files = await _files(subject)
        linted = await _lint(subject, files, ctx)
        shown = await to_thread.run_sync(excerpt, files)
        known = linted.findings
        found = [*known, *await _ask(subject, known, shown, ctx=ctx)]
        told = sorted(found, key=_rank)[:_MOST_FINDINGS]
        review = Review(
            findings=with_fingerprints(told, {file.path: file.added for file in files}),
            files=len(files),
            changed_lines=sum(len(file.added) for file in files),
            linted=linted.linted,
            left_out=list(shown.left_out),
            base=subject.base,
            head=subject.head,
        )
        ctx.log.info("quality.reviewed", files=len(files), findings=len(told))
        return review.model_copy(update={"summary": _summary(review, len(found))})


async def _files(subject: Subject) -> list[ChangedFile]:
    if subject.repository is not None and not subject.diff:
        return []
    if len(subject.diff) > _LARGEST:
        raise JobFailed(
            f"expected a diff of at most {_LARGEST} characters, got: {len(subject.diff)}",
            hint="review it in parts",
        )
    return await to_thread.run_sync(read_diff, subject.diff)


async def _lint(subject: Subject, files: Sequence[ChangedFile], ctx: Context) -> Lint:
    """What linters say, once: a later run must ask the model the same question."""
    repository = subject.repository
    if repository is None:
        return Lint()

    async def look() -> JsonValue:
        return (await lint(repository, subject.head, files, ctx=ctx)).model_dump(mode="json")

    return Lint.model_validate(await ctx.record("lint", look))


async def _ask(
    subject: Subject, known: Sequence[Finding], shown: Excerpt, *, ctx: Context
) -> list[Finding]:
    """What the model finds; where it was shown no changed line, it is not asked."""
    if not any(shown.places.values()):
        return []
    answer = await ctx.ask(
        prompt(subject.purpose, known, shown),
        system=INSTRUCTIONS,
        schema=answer_form(shown.places),
        temperature=0,
    )
    return findings_in(answer, shown.places)


def _rank(finding: Finding) -> tuple[int, float]:
    return list(Severity).index(finding.severity), -finding.confidence


def _summary(review: Review, found: int) -> str:
    if not review.files:
        return f"nothing has changed between {review.base[:12]} and {review.head[:12]}"
    told = len(review.findings)
    what = f"{told} {_noun('finding', told)}" if told else "nothing was found"
    if found > told:
        what = f"the {told} worst of {found} findings"
    lines, files = review.changed_lines, review.files
    parts = [
        f"{what} in {lines} changed {_noun('line', lines)} of {files} {_noun('file', files)}",
        *(f"{one.linter} could not be used" for one in review.linted if one.error),
    ]
    if review.left_out:
        left = len(review.left_out)
        parts.append(f"{left} {_noun('file', left)} not shown to the model, or not whole")
    return "; ".join(parts)


def _noun(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
