"""Who retries a job also retries what it had delegated and what ended badly, and nothing else."""

from __future__ import annotations

import pytest

from supervisor.jobs import JobStatus
from tests.team.conftest import House

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CHILD = """
from supervisor import Context, JobFailed, Role

class Child(Role[int, int]):
    async def handle(self, job: int, ctx: Context) -> int:
        ctx.state["runs"] = runs = int(ctx.state.get("runs") or 0) + 1
        if runs <= job:
            raise JobFailed(f"not in run {runs}")
        return runs
"""

PARENT = """
from supervisor import Context, Role

class Parent(Role[int, object]):
    async def handle(self, job: int, ctx: Context) -> object:
        return await ctx.delegate("child", job)
"""


@pytest.fixture
def family(house: House) -> House:
    """A house with a role whose jobs fail as often as they are told, and one that delegates."""
    house.write("child", CHILD)
    house.write("parent", PARENT)
    return house


@pytest.mark.parametrize("alone", [0, 1, 2])
async def test_a_retry_reaches_a_child_that_was_retried_alone_before(
    family: House, alone: int
) -> None:
    """A retried job runs its failed child again, however often that was retried by itself."""
    async with family.open() as team:
        job = await team.jobs.wait((await team.submit("parent", 1 + alone)).id)
        [child] = await team.jobs.list(role="child")
        for _ in range(alone):
            await team.jobs.retry(child.id)
            await team.jobs.wait(child.id)
        assert job.status is JobStatus.FAILED
        await team.jobs.retry(job.id)
        job = await team.jobs.wait(job.id)
    assert (job.status, job.result) == (JobStatus.DONE, 2 + alone)


async def test_a_retry_runs_a_child_once(family: House) -> None:
    """One retry is one more run of the child: what fails anew fails its parent."""
    async with family.open() as team:
        job = await team.jobs.wait((await team.submit("parent", 2)).id)
        await team.jobs.retry(job.id)
        again = await team.jobs.wait(job.id)
    assert "not in run 1" in str(job.error)
    assert "not in run 2" in str(again.error)


async def test_to_retry_all_that_failed_is_one_run_of_each(family: House) -> None:
    """A child that was retried together with its parent, and failed, is not run once more."""
    async with family.open() as team:
        job = await team.jobs.wait((await team.submit("parent", 5)).id)
        await team.stop("parent")
        assert await team.jobs.retry_failed() == 2
        [child] = await team.jobs.list(role="child")
        await team.jobs.wait(child.id)
        await team.start("parent")
        again = await team.jobs.wait(job.id)
    assert "not in run 2" in str(again.error)
