"""Never pay twice: what a run has recorded, no later run asks again, in whatever order it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from supervisor.errors import JobCancelled, UpstreamUnavailable
from supervisor.jobs import JobRun, JobStatus
from supervisor.messages import JsonValue
from tests.jobs.team import Team


async def side_by_side(*branches: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run branches of a handler as tasks."""
    async with anyio.create_task_group() as tasks:
        for branch in branches:
            tasks.start_soon(branch)


async def test_a_crash_loses_no_answer(team: Team) -> None:
    """A handler that crashes between questions finds all earlier answers when it runs again."""

    async def handle(run: JobRun) -> JsonValue:
        first = await team.ask(run, "a")
        second = await team.ask(run, "b")
        if run.number == 1:
            raise ValueError("boom")
        return [first, second, await team.ask(run, "c")]

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert (job.status, job.runs, job.result) == (JobStatus.DONE, 2, ["a!", "b!", "c!"])
    assert team.asked == ["a", "b", "c"]
    assert job.detail is not None
    assert job.detail.endswith("ValueError: boom\n")


async def test_an_answer_that_came_is_kept_by_a_cancelled_task(team: Team) -> None:
    """What a gather, a task group or a time limit cancels while it is written down is on record."""
    tasks: list[asyncio.Task[JsonValue]] = []

    async def call() -> JsonValue:
        team.asked.append("a")
        # Next after this there is the writing.
        asyncio.get_running_loop().call_soon(tasks[0].cancel)
        return "a!"

    async def handle(run: JobRun) -> JsonValue:
        if run.number > 1:
            return await team.ask(run, "a")
        tasks.append(asyncio.create_task(run.record("a", call)))
        await asyncio.wait(tasks)
        raise ValueError("boom")

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert tasks[0].cancelled()
    assert (job.status, job.runs, job.result) == (JobStatus.DONE, 2, "a!")
    assert team.asked == ["a"]


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
async def test_parallel_questions_may_come_back_in_any_order(team: Team, order: str) -> None:
    """Questions asked side by side are found again by what they ask, not by their place."""

    async def handle(run: JobRun) -> JsonValue:
        found: dict[str, JsonValue] = {}

        async def branch(question: str) -> None:
            found[question] = await team.ask(run, question)

        async with anyio.create_task_group() as tasks:
            for question in "abc" if run.number == 1 else order:
                tasks.start_soon(branch, question)
        if run.number == 1:
            raise ValueError("boom")
        return dict(sorted(found.items()))

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert job.result == {"a": "a!", "b": "b!", "c": "c!"}
    assert sorted(team.asked) == ["a", "b", "c"]


async def test_an_answer_behind_an_unanswered_question_is_found(team: Team) -> None:
    """A question in flight at the crash is asked again; a later one that was answered is not."""

    async def handle(run: JobRun) -> JsonValue:
        answered = anyio.Event()

        async def slow() -> None:
            async def call() -> JsonValue:
                team.asked.append("slow")
                if run.number == 1:
                    await answered.wait()
                    raise ValueError("boom")
                return "late"

            await run.record("slow", call)

        async def quick() -> None:
            await checkpoint()
            await team.ask(run, "quick")
            answered.set()

        await side_by_side(slow, quick)
        return await team.ask(run, "quick again")

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert job.status is JobStatus.DONE
    assert team.asked == ["slow", "quick", "slow", "quick again"]


async def test_a_question_asked_twice_has_two_answers(team: Team) -> None:
    """Equal questions of one run are each asked, and a later run finds both answers."""
    count = 0

    async def handle(run: JobRun) -> JsonValue:
        async def call() -> JsonValue:
            nonlocal count
            count += 1
            return count

        answers = [await run.record("dice", call) for _ in range(2)]
        if run.number < 3:
            raise ValueError("boom")
        return answers

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert (job.result, count) == ([1, 2], 2)


async def test_a_question_without_an_answer_is_not_recorded(team: Team) -> None:
    """When asking fails nothing is kept: the handler may ask again, and so may a later run."""

    async def handle(run: JobRun) -> JsonValue:
        async def refused() -> JsonValue:
            team.asked.append("refused")
            raise UpstreamUnavailable("no answer")

        with pytest.raises(UpstreamUnavailable):
            await run.record("a", refused)
        if run.number == 1:
            raise ValueError("boom")
        return await team.ask(run, "a")

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert job.result == "a!"
    assert team.asked == ["refused", "refused", "a"]


async def test_an_answer_of_any_shape_is_kept(team: Team) -> None:
    """A recorded answer comes back as it was, half a surrogate pair and all."""
    answers: list[JsonValue] = [None, False, 0.5, "\ud83d\0é", {"": [{"a": None}]}]

    async def handle(run: JobRun) -> JsonValue:
        async def call(number: int) -> JsonValue:
            assert run.number == 1
            return answers[number]

        found: list[JsonValue] = []
        for number in range(len(answers)):
            found.append(await run.record(str(number), partial(call, number)))
        if run.number == 1:
            raise ValueError("boom")
        return found

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert job.result == answers


async def test_answers_are_recorded_from_any_task(team: Team) -> None:
    """A question asked in a task that knows nothing of the job is recorded all the same."""
    queue: list[Callable[[], Awaitable[None]]] = []
    wake = anyio.Event()

    async def stranger() -> None:
        await wake.wait()
        await queue[0]()

    async def handle(run: JobRun) -> JsonValue:
        done = anyio.Event()
        answers: list[JsonValue] = []

        async def ask() -> None:
            answers.append(await team.ask(run, "a"))
            done.set()

        if run.number == 1:
            queue.append(ask)
            wake.set()
            await done.wait()
            raise ValueError("boom")
        await ask()
        return answers

    team.add("work", handle)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stranger)
        async with team.at_work() as jobs:
            job = await jobs.wait((await jobs.submit("work", 1)).id)
            assert (job.result, team.asked) == (["a!"], ["a"])


async def test_an_answer_that_has_come_is_kept_through_a_cancellation(sqlite_team: Team) -> None:
    """A job that is cancelled while its answer is written down has the answer when retried."""
    team = sqlite_team
    called = anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        async def call() -> JsonValue:
            called.set()
            return await team.ask(run, "inner")

        return await run.record("a", call)

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.submit("work", 1)
        await called.wait()
        await jobs.cancel(job.id)
        await jobs.retry(job.id)
        done = await jobs.wait(job.id)
    assert (done.status, done.result) == (JobStatus.DONE, "inner!")
    assert team.asked == ["inner"]


async def test_a_run_that_is_over_records_nothing(sqlite_team: Team) -> None:
    """A task that outlives its job's run cannot ask in its name any more."""
    left: list[JobRun] = []

    async def handle(run: JobRun) -> JsonValue:
        left.append(run)
        return None

    sqlite_team.add("work", handle)
    async with sqlite_team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
        with pytest.raises(JobCancelled, match=f"job {job.id}: this run of it is over"):
            await sqlite_team.ask(left[0], "a")
    assert sqlite_team.asked == []


async def test_handlers_that_crash_in_groups_run_again(team: Team) -> None:
    """A handler that asks in a task group is judged by what its branches raised."""

    async def handle(run: JobRun) -> JsonValue:
        async def refused() -> None:
            raise UpstreamUnavailable("no answer")

        await side_by_side(refused, refused)
        return None

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert (job.status, job.runs) == (JobStatus.FAILED, 1)
    assert job.error == "UpstreamUnavailable: no answer"


async def test_questions_side_by_side_do_not_wait_for_each_other(team: Team) -> None:
    """All questions of a handler are in flight at once."""
    flying = 0
    all_flying = asyncio.Event()

    async def handle(run: JobRun) -> JsonValue:
        async def branch(number: int) -> None:
            async def call() -> JsonValue:
                nonlocal flying
                flying += 1
                if flying == 8:
                    all_flying.set()
                await all_flying.wait()
                return number

            assert await run.record(str(number), call) == number

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(branch, number)
        return flying

    team.add("work", handle)
    async with team.at_work() as jobs:
        assert (await jobs.wait((await jobs.submit("work", 1)).id)).result == 8
