"""Reaches a goal with the team: plans tasks, delegates them side by side, reports what came of it.

The code owns the loop; the model fills in a plan at the beginning and says a few sentences at the
end. In between nobody is asked whether to go on, so nothing can go round in circles.
"""

from __future__ import annotations

from supervisor import Context, JsonValue, Priority, Repository, Role

from .delegation import Delegation
from .goal import Goal, Text
from .planning import make_plan
from .report import Report, make_report
from .roster import read_roster


class Ceo(Role[Goal | Text, Report]):
    """The planner of the team."""

    name = "ceo"
    description = "reaches a goal: plans tasks, delegates them to the team, reports what was done"
    priority = Priority.HIGH
    share = 0.10
    # A job that waits for others holds no slot: this bounds who plans or reports at once.
    concurrency = 8

    async def handle(self, job: Goal | Text, ctx: Context) -> Report:
        """Work on one goal."""
        goal = Goal(goal=job) if isinstance(job, str) else job
        await _require_repository(goal, ctx)
        roster = await read_roster(goal, ctx)
        plan = await make_plan(goal, roster, ctx)
        outcomes = await Delegation(plan, goal=goal, roster=roster, ctx=ctx).run()
        return await make_report(goal, plan, outcomes=outcomes, ctx=ctx)


async def _require_repository(goal: Goal, ctx: Context) -> None:
    """Look whether the goal's repository is there before anything is paid for.

    On record: what has happened to it since is for the tasks to say.

    Raises:
        JobFailed: It is none.
    """

    async def look() -> JsonValue:
        return str((await Repository.open(goal.repository)).root)

    if goal.repository:
        await ctx.record("repository", look)
