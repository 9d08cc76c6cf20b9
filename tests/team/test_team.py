"""Roles at work: their jobs, crashes, reloads and memory."""

from __future__ import annotations

import anyio
import pytest

from supervisor.errors import InvalidJobInput, UnknownRole
from supervisor.jobs import JobStatus
from tests.team.conftest import House

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ECHO = """
from supervisor import Context, Role

class Echo(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        answer = await ctx.ask(job)
        return answer.text
"""

CRASHING = """
from supervisor import Context, Role

class Crashing(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        await ctx.ask(job)
        raise RuntimeError("boom")
"""

COUNTING = """
from supervisor import Context, Role

class Counting(Role[str, int]):
    async def handle(self, job: str, ctx: Context) -> int:
        count = int(ctx.state.get("count") or 0) + 1
        ctx.state["count"] = count
        return count
"""

CHOOSING = """
from supervisor import Context, Role

class Choosing(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        return (await ctx.ask("hello", model=job)).text
"""

KEEPING = """
from supervisor import Context, Role

class Keeping(Role[str, list[str]]):
    async def handle(self, job: str, ctx: Context) -> list[str]:
        if job:
            ctx.state[job] = True
        else:
            ctx.state["odd"] = object()
            ctx.state[3] = True
        return sorted(ctx.state)
"""

BOSS = """
from supervisor import Context, Role, Priority, get_stats

class Boss(Role[str, dict[str, object]]):
    priority = Priority.HIGH
    concurrency = 1

    async def handle(self, job: str, ctx: Context) -> dict[str, object]:
        first = await ctx.delegate("echo", job)
        second = await ctx.delegate("echo", job)
        return {"first": first, "second": second, "stats": get_stats()}
"""

STREAMING = """
from supervisor import Context, Role

class Streaming(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        return "".join([piece async for piece in ctx.stream(job)])
"""

AFTERWARDS = """
        ctx.state["runs"] = int(ctx.state.get("runs") or 0) + 1
        if ctx.state["runs"] == 1:
            raise RuntimeError("after the stream")
        return text
"""


async def test_a_job_is_done_by_its_role(house: House) -> None:
    """A submitted job ends done, with what the role returned."""
    house.write("echo", ECHO)
    async with house.open() as team:
        job = await team.submit("echo", "hello")
        job = await team.jobs.wait(job.id)
    assert (job.status, job.result) == (JobStatus.DONE, "ok")
    assert house.api.asked[0]["messages"] == [{"role": "user", "content": "hello"}]


async def test_an_unknown_role_is_refused(house: House) -> None:
    """A job for nobody is refused, with the names that exist."""
    house.write("echo", ECHO)
    async with house.open() as team:
        with pytest.raises(UnknownRole, match=r'"ceo".*echo'):
            await team.submit("ceo", "hello")


async def test_input_is_checked_before_the_job_exists(house: House) -> None:
    """An input that the role does not take never becomes a job."""
    house.write("echo", ECHO)
    async with house.open() as team:
        with pytest.raises(InvalidJobInput, match="echo does not take this input"):
            await team.submit("echo", {"no": "text"})
        assert await team.jobs.list() == []


async def test_a_key_with_the_api_key_is_refused(house: House) -> None:
    """A job's key is stored and shown: one that holds the API key is none."""
    house.write("echo", ECHO)
    async with house.open() as team:
        with pytest.raises(InvalidJobInput, match="got: a text with an API key in it") as refused:
            await team.submit("echo", "x", key="nightly xai-not-a-real-key")
        assert "not-a-real" not in str(refused.value)
        assert await team.jobs.list() == []


async def test_our_own_errors_are_no_crash_in_a_group_either(house: House) -> None:
    """What fails in several tasks of a handler at once fails the job; the role goes on."""
    house.write(
        "twice",
        """
import anyio
from supervisor import Context, JobFailed, Role

class Twice(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        async def fail() -> None:
            raise JobFailed("no")
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(fail)
        return job
""",
    )
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("twice", "x")).id)
        (role,) = team.snapshot().roles
    assert (job.status, job.error, job.runs) == ("failed", "JobFailed: no", 1)
    assert (role.state, role.restarts) == ("running", 0)


async def test_a_crash_ends_the_job_after_three_runs_and_pays_once(house: House) -> None:
    """A poison job is set aside with its error, and what it had asked is asked once."""
    house.write("crashing", CRASHING)
    house.write("echo", ECHO)
    async with house.open() as team:
        job = await team.submit("crashing", "hello")
        with anyio.fail_after(10):
            job = await team.jobs.wait(job.id)
            other = await team.jobs.wait((await team.submit("echo", "x")).id)
        roles = {role.name: role for role in team.snapshot().roles}
    assert job.status is JobStatus.FAILED
    assert "JobPoisoned" in str(job.error)
    assert "boom" in str(job.error)
    assert len([body for body in house.api.asked if "hello" in str(body)]) == 1
    assert roles["crashing"].restarts >= 2
    assert other.status is JobStatus.DONE


async def test_a_broken_plugin_stops_nobody(house: House) -> None:
    """A file that is no role is reported with its line; the others work."""
    house.write("echo", ECHO)
    house.write("broken", "from supervisor import Role\n\nclass Broken(Role:\n")
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("echo", "hello")).id)
        (broken,) = team.snapshot().broken
    assert job.status is JobStatus.DONE
    assert (broken.file, broken.line) == ("roles/broken.py", 3)


async def test_a_reload_swaps_the_role(house: House) -> None:
    """After a reload new jobs are done by the new code; a broken new version changes nothing."""
    house.write("echo", ECHO)
    async with house.open() as team:
        await team.jobs.wait((await team.submit("echo", "one")).id)
        house.write("echo", ECHO.replace("return answer.text", 'return "new"'))
        await team.refresh()
        job = await team.jobs.wait((await team.submit("echo", "two")).id)
        house.write("echo", "nonsense(")
        await team.refresh()
        still = await team.jobs.wait((await team.submit("echo", "three")).id)
        broken = team.snapshot().broken
    assert job.result == still.result == "new"
    assert [one.file for one in broken] == ["roles/echo.py"]


async def test_a_job_in_flight_finishes_on_the_old_version(house: House) -> None:
    """What began with the old code ends with the old code."""
    asked, answer = anyio.Event(), anyio.Event()
    handle = house.api.handle

    async def slow(request: object) -> object:
        asked.set()
        await answer.wait()
        return await handle(request)  # type: ignore[arg-type]

    house.api.handle = slow  # type: ignore[method-assign,assignment]
    house.write("echo", ECHO.replace("return answer.text", 'return "old"'))
    async with house.open() as team:
        job = await team.submit("echo", "hello")
        await asked.wait()
        house.write("echo", ECHO.replace("return answer.text", 'return "new"'))
        await team.refresh()
        answer.set()
        job = await team.jobs.wait(job.id)
        later = await team.jobs.wait((await team.submit("echo", "again")).id)
    assert (job.result, later.result) == ("old", "new")


async def test_roles_come_and_go(house: House) -> None:
    """A new file becomes a role, a removed one leaves."""
    house.write("echo", ECHO)
    async with house.open() as team:
        house.write("counting", COUNTING)
        (house.roles / "echo.py").unlink()
        await team.refresh()
        assert [role.name for role in team.snapshot().roles] == ["counting"]
        job = await team.jobs.wait((await team.submit("counting", "x")).id)
    assert job.result == 1


async def test_a_role_remembers_over_restarts(house: House) -> None:
    """A role's state survives the process."""
    house.write("counting", COUNTING)
    for expected in (1, 2):
        async with house.open() as team:
            job = await team.jobs.wait((await team.submit("counting", "x")).id)
        assert job.result == expected


async def test_what_is_no_json_spoils_the_memory_of_a_role_once(house: House) -> None:
    """What is put into `ctx.state` and is no JSON fails one job; later ones go on with the rest."""
    house.write("keeping", KEEPING)
    async with house.open() as team:
        ends = [await team.jobs.wait((await team.submit("keeping", x)).id) for x in ("a", "", "b")]
    async with house.open() as team:
        last = await team.jobs.wait((await team.submit("keeping", "c")).id)
    assert [job.status for job in ends] == [JobStatus.DONE, JobStatus.FAILED, JobStatus.DONE]
    assert "left out of ctx.state: 'odd', 3" in str(ends[1].error)
    assert last.result == ["a", "b", "c"]


@pytest.mark.parametrize("model", ["half \ud83d", "a\0b", "m" * 201])
async def test_what_is_no_name_of_a_model_fails_its_job_alone(house: House, model: str) -> None:
    """What the ledger could not hold is no model: the job ends, and no other waits for it."""
    house.write("choosing", CHOOSING)
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("choosing", model)).id)
    assert job.status is JobStatus.FAILED
    assert "expected model to be a name of at most 200 printable characters" in str(job.error)
    assert not house.api.asked


async def test_delegation_inherits_priority_and_equal_jobs_are_one(house: House) -> None:
    """A delegated job waits with its parent's priority, and is not done twice."""
    house.write("echo", ECHO)
    house.write("boss", BOSS)
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("boss", "hello")).id)
        (child,) = await team.jobs.list(role="echo")
    assert job.result == {"first": "ok", "second": "ok", "stats": {"here": True}}
    assert (child.parent, child.priority) == (job.id, 20)
    assert len(house.api.asked) == 1


async def test_a_stopped_role_keeps_its_jobs(house: House) -> None:
    """Jobs of a stopped role wait and are done when it is started again."""
    house.write("echo", ECHO)
    async with house.open() as team:
        await team.stop("echo")
        job = await team.submit("echo", "hello")
        assert (await team.jobs.get(job.id)).status is JobStatus.QUEUED
        await team.start("echo")
        job = await team.jobs.wait(job.id)
    assert job.status is JobStatus.DONE


async def test_a_structured_answer_is_asked_for_again_once(house: House) -> None:
    """An answer that does not conform is asked for once more, then the job fails."""
    house.write(
        "typed",
        """
from pydantic import BaseModel
from supervisor import Context, Role

class Point(BaseModel):
    x: int

class Typed(Role[str, Point]):
    async def handle(self, job: str, ctx: Context) -> Point:
        return await ctx.ask(job, schema=Point)
""",
    )
    said = iter(["nonsense", '{"x": 1}', "nonsense", "nonsense"])
    house.api.says = lambda _: next(said)
    async with house.open() as team:
        good = await team.jobs.wait((await team.submit("typed", "one")).id)
        bad = await team.jobs.wait((await team.submit("typed", "two")).id)
    assert good.result == {"x": 1}
    assert bad.status is JobStatus.FAILED
    assert "does not conform to Point, twice" in str(bad.error)


async def test_a_streamed_answer_is_whole_and_recorded(house: House) -> None:
    """The pieces of a stream make the answer; a second run of the job has it from the record."""
    house.write("streaming", STREAMING.replace('return "".join(', 'text = "".join(') + AFTERWARDS)
    house.api.says = lambda _: "one two three"
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("streaming", "hello")).id)
    assert (job.result, job.runs) == ("onetwothree", 2)
    assert len(house.api.asked) == 1
