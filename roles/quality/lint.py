"""Runs the linters on what a change touches, and keeps what they say about its changed lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread
from pydantic import BaseModel

from supervisor import Bounds, Context, JobFailed, Ran, Repository, Sandbox

from .diff import ChangedFile, Kind
from .linter import LINTERS, Hit, Linter
from .question import end_of_run
from .review import Finding, Linted, Severity

_BATCH = 200
"""Files on one command line."""
_BOUNDS = Bounds(seconds=120.0, output=8 * 2**20)
_MOST_KEPT = 50
_CONFIDENCE = {Severity.ERROR: 1.0, Severity.WARNING: 0.9, Severity.NOTE: 0.7}
_TITLE = 120


class Lint(BaseModel):
    """What linters made of a change.

    Attributes:
        findings: On changed lines, worst first.
        linted: Who looked at how much.
    """

    findings: list[Finding] = []
    linted: list[Linted] = []


async def lint(
    repository: Repository, commit: str, files: Sequence[ChangedFile], *, ctx: Context
) -> Lint:
    """Check a commit out and let the linters look at the files that a change touches.

    Args:
        repository: Where.
        commit: What is looked at.
        files: The change.
        ctx: The job.

    Raises:
        JobFailed: It cannot be checked out.
    """
    changed = {file.path: file.added for file in files if _can_be_read(file)}
    if not any(pattern.fullmatch(path) for path in changed for pattern, _ in LINTERS):
        return Lint()
    hits: list[Hit] = []
    linted: list[Linted] = []
    async with _checked_out(repository, commit, ctx) as folder:
        for pattern, linters in LINTERS:
            mine = [path for path in changed if pattern.fullmatch(path)]
            for linter in linters if mine else ():
                try:
                    found = await _run(linter, mine, folder=folder, sandbox=ctx.sandbox)
                except JobFailed as error:
                    linted.append(Linted(linter=linter.name, files=0, error=error.message))
                    continue
                touching = [hit for hit in found if _place(hit, changed.get(hit.file, {}))]
                linted.append(_summed_up(linter, mine, touching))
                hits += touching
                break
    return Lint(findings=_findings(hits, changed), linted=linted)


def _can_be_read(file: ChangedFile) -> bool:
    return file.kind is Kind.TEXT and not file.link and bool(file.added)


@asynccontextmanager
async def _checked_out(
    repository: Repository, commit: str, ctx: Context
) -> AsyncGenerator[Path, None]:
    """A folder with a commit's files; taken away again, whatever happens."""
    parent = await to_thread.run_sync(_made, ctx.folder / "worktrees")
    half_made = await to_thread.run_sync((parent / ctx.job_id).exists)
    # Shielded: what is cancelled half-way could not be taken away again.
    worktree = None
    with anyio.CancelScope(shield=True):
        worktree = await repository.worktree(parent / ctx.job_id, base=commit)
    assert worktree is not None
    try:
        if half_made:
            # Left by a run that was killed, perhaps before all files were there.
            await worktree.restore(commit)
        yield worktree.folder
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await worktree.remove()
            except JobFailed as error:
                # What was found is worth more than a tidy folder.
                ctx.log.warning("quality.worktree_left", reason=error.message)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder.resolve()


async def _run(
    linter: Linter, files: Sequence[str], *, folder: Path, sandbox: Sandbox
) -> list[Hit]:
    """What a linter says about files.

    Raises:
        JobFailed: It cannot be run, or says something that cannot be understood.
    """
    hits: list[Hit] = []
    commands = await to_thread.run_sync(linter.commands)
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        output = await _first_output([[*command, *batch] for command in commands], folder, sandbox)
        hits += await to_thread.run_sync(_read, linter, output, folder)
    return hits


def _read(linter: Linter, output: str, folder: Path) -> list[Hit]:
    try:
        return list(linter.read(output, folder))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JobFailed(f"cannot read what it printed: {error!r:.200}") from error


async def _first_output(commands: Sequence[Sequence[str]], folder: Path, sandbox: Sandbox) -> str:
    errors: list[str] = []
    for command in commands:
        ran = await sandbox.run(command, folder=folder, bounds=_BOUNDS, apart=True)
        if ran.code == 0 and not ran.timed_out:
            return ran.output
        errors.append(_reason(ran))
    raise JobFailed("; ".join(dict.fromkeys(errors)))


def _reason(ran: Ran) -> str:
    if ran.timed_out:
        return f"it took more than {_BOUNDS.seconds:g} s"
    lines = ran.errors.strip().splitlines()
    return lines[-1][:200] if lines else f"it ended with {ran.code}"


def _summed_up(linter: Linter, files: Sequence[str], hits: Sequence[Hit]) -> Linted:
    bugs = sum(hit.severity is not None for hit in hits)
    return Linted(linter=linter.name, files=len(files), findings=bugs, others=len(hits) - bugs)


def _place(hit: Hit, changed: Mapping[int, str]) -> tuple[int, int] | None:
    """The changed lines that a hit is about; None when it is about none.

    Where a parser gives up is seldom where the mistake is: a file that cannot be parsed is the
    fault of the nearest changed line before that.
    """
    touched = [line for line in range(hit.start, hit.end + 1) if line in changed]
    if not touched and hit.unreadable and changed:
        before = [line for line in changed if line <= hit.start]
        touched = [max(before) if before else min(changed)]
    if not touched:
        return None
    return touched[0], end_of_run(changed.keys(), touched[0], touched[-1])


def _findings(hits: Iterable[Hit], changed: Mapping[str, Mapping[int, str]]) -> list[Finding]:
    """One finding for each thing that is wrong with a file, however often it is."""
    alike: defaultdict[tuple[str, str, str], list[Hit]] = defaultdict(list)
    for hit in hits:
        # After the first line that it cannot parse, a parser finds many.
        text = "" if hit.unreadable else hit.text
        alike[hit.file, hit.rule, text].append(hit)
    found = [_finding(each, changed[each[0].file]) for each in alike.values()]
    told = [one for one in found if one is not None]
    return sorted(told, key=lambda one: (-one.confidence, one.file, one.start))[:_MOST_KEPT]


def _finding(hits: Sequence[Hit], changed: Mapping[int, str]) -> Finding | None:
    first, place = hits[0], _place(hits[0], changed)
    if first.severity is None or place is None:
        return None
    title = first.text
    if first.start not in changed:
        title = f"line {first.start}: {title}"
    more = dict.fromkeys(hit.start for hit in hits[1:] if not hit.unreadable)
    also = f" Also in line {', '.join(map(str, more))}." if more else ""
    return Finding(
        rule_id=first.rule,
        severity=first.severity,
        confidence=_CONFIDENCE[first.severity],
        file=first.file,
        start=place[0],
        end=place[1],
        title=title[:_TITLE],
        why=f"{first.why}{also}",
        suggestion=first.suggestion,
        source="linter",
    )
