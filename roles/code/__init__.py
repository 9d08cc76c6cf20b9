"""Changes code: on a branch of its own, in a worktree of its own, with the tests run."""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from supervisor import Context, JsonValue, Priority, Repository, Role, Worktree

from .checks import found_test
from .conversation import Conversation, Outcome
from .work import Change, Spent, Work, branch_name
from .workplace import Workplace

_LONGEST_DIFF = 200_000
"""Characters of a diff in the result; all of it is on the branch."""


class Code(Role[Work, Change]):
    """The programmer of the team."""

    name = "code"
    description = "changes code in a git repository, on a branch of its own, and runs the tests"
    priority = Priority.MEDIUM
    share = 0.25
    concurrency = 2

    async def handle(self, job: Work, ctx: Context) -> Change:
        """Do one task, and commit what came of it."""
        repository = await Repository.open(job.repository)
        worktree = await _worktree(repository, job, ctx)
        workplace = Workplace(worktree, ctx)
        test = job.test or await _test(worktree, ctx)
        outcome = await Conversation(job, test, workplace, ctx).run()
        commit = await workplace.committed(_message(job, outcome, ctx.job_id))
        change = await _change(worktree, commit, work=job, outcome=outcome, test=test, ctx=ctx)
        # All of it is on the branch now, or there is nothing.
        await worktree.remove(with_branch=not change.branch)
        ctx.log.info(
            "code.ended", branch=change.branch, passed=change.passed, stopped=change.stopped
        )
        return change


async def _worktree(repository: Repository, work: Work, ctx: Context) -> Worktree:
    async def start() -> JsonValue:
        return await repository.resolve(work.start)

    base = str(await ctx.record("base", start))
    folder = await to_thread.run_sync(_folder, ctx.folder / "worktrees")
    branch = branch_name(work.task, ctx.job_id)
    return await repository.worktree(folder / ctx.job_id, base=base, branch=branch)


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    return path.resolve()


async def _test(worktree: Worktree, ctx: Context) -> str:
    async def look() -> JsonValue:
        return await to_thread.run_sync(found_test, worktree.folder)

    # On record: in a later run there can be more files than at first.
    return str(await ctx.record("test", look))


def _message(work: Work, outcome: Outcome, job_id: str) -> str:
    said = outcome.summary or work.task
    stopped = f"\n\nNot finished: {outcome.stopped}." if outcome.stopped else ""
    return f"{said.strip()}{stopped}\n\nJob: {job_id}\n"


async def _change(
    worktree: Worktree, commit: str, *, work: Work, outcome: Outcome, test: str, ctx: Context
) -> Change:
    files = await worktree.changed()
    diff = await worktree.repository.diff(worktree.base, commit)
    cost = await ctx.cost()
    if len(diff) > _LONGEST_DIFF:
        diff = f"{diff[:_LONGEST_DIFF]}\n[… the rest is on the branch]\n"
    return Change(
        repository=work.repository,
        branch=worktree.branch if commit != worktree.base else "",
        base=worktree.base,
        commit=commit,
        diff=diff,
        files=files,
        test=test,
        passed=outcome.passed,
        summary=outcome.summary,
        stopped=outcome.stopped,
        steps=outcome.steps,
        cost=Spent(
            requests=cost.requests,
            tokens=cost.tokens,
            usd=None if cost.usd is None else str(cost.usd),
        ),
    )
