"""What the API has promised to a job is on record before it is fetched, and asked for once."""

from __future__ import annotations

import anyio
import pytest

from supervisor.errors import Draining, UpstreamUnavailable
from supervisor.jobs import JobRun, JobStatus
from supervisor.messages import Deferral, JsonValue, Promise
from tests.jobs.team import Team


class Api:
    """Promises answers and gives them.

    Args:
        fails: Raised instead of an answer, as often as it is there.

    Attributes:
        posts: Questions that were posted, in order.
        fetched: Promises that were fetched, in order.
        looked: Set when one is fetched.
    """

    def __init__(self, *fails: BaseException) -> None:
        self.posts: list[str] = []
        self.fetched: list[str] = []
        self.looked = anyio.Event()
        self._fails = list(fails)

    async def ask(self, run: JobRun, question: str) -> JsonValue:
        """Ask in a job, as the context does."""

        async def call(deferral: Deferral) -> JsonValue:
            if deferral.promise is None:
                self.posts.append(question)
                await deferral.keep(Promise(f"p{len(self.posts)}", 5.0))
            assert deferral.promise is not None
            assert deferral.promise.since == 5.0
            self.fetched.append(deferral.promise.id)
            self.looked.set()
            if self._fails:
                raise self._fails.pop(0)
            return f"{question}!"

        return await run.claim(question, call)


async def test_a_promise_outlives_a_crash(team: Team) -> None:
    """The handler that runs again fetches what was promised, and posts nothing."""
    api = Api(ValueError("boom"), ValueError("boom"))

    async def handle(run: JobRun) -> JsonValue:
        return [await api.ask(run, "a"), await api.ask(run, "b")]

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert (job.status, job.runs, job.result) == (JobStatus.DONE, 3, ["a!", "b!"])
    assert (api.posts, api.fetched) == (["a", "b"], ["p1", "p1", "p1", "p2"])


@pytest.mark.slow
async def test_a_promise_outlives_the_process(team: Team) -> None:
    """After a stop in the middle of waiting the next start fetches the answer."""
    api = Api(Draining("the process stops"))

    async def handle(run: JobRun) -> JsonValue:
        return await api.ask(run, "a")

    team.add("work", handle)
    async with team.at_work() as jobs:
        job = await jobs.submit("work", 1)
        await api.looked.wait()
    async with team.at_work() as jobs:
        ended = await jobs.wait(job.id)
    assert (ended.status, ended.result) == (JobStatus.DONE, "a!")
    assert (api.posts, api.fetched) == (["a"], ["p1", "p1"])


async def test_a_kept_promise_is_not_fetched_again(sqlite_team: Team) -> None:
    """An answer on record ends its promise; an equal question is a question of its own."""
    api = Api()

    async def handle(run: JobRun) -> JsonValue:
        answers = [await api.ask(run, "a"), await api.ask(run, "a")]
        if run.number == 1:
            raise ValueError("boom")
        return [*answers, await api.ask(run, "a")]

    sqlite_team.add("work", handle)
    async with sqlite_team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert job.result == ["a!", "a!", "a!"]
    assert (api.posts, api.fetched) == (["a", "a", "a"], ["p1", "p2", "p3"])


async def test_asked_again_in_the_same_run(sqlite_team: Team) -> None:
    """A handler that asks again after an error fetches what was promised the first time."""
    api = Api(UpstreamUnavailable("no answer"))

    async def handle(run: JobRun) -> JsonValue:
        with pytest.raises(UpstreamUnavailable):
            await api.ask(run, "a")
        return await api.ask(run, "a")

    sqlite_team.add("work", handle)
    async with sqlite_team.at_work() as jobs:
        job = await jobs.wait((await jobs.submit("work", 1)).id)
    assert (job.result, api.posts, api.fetched) == ("a!", ["a"], ["p1", "p1"])


async def test_a_retried_job_fetches(sqlite_team: Team) -> None:
    """A job that failed while it waited fetches the answer when somebody retries it."""
    api = Api(UpstreamUnavailable("no answer"))

    async def handle(run: JobRun) -> JsonValue:
        return await api.ask(run, "a")

    sqlite_team.add("work", handle)
    async with sqlite_team.at_work() as jobs:
        failed = await jobs.wait((await jobs.submit("work", 1)).id)
        await jobs.retry(failed.id)
        ended = await jobs.wait(failed.id)
    assert (failed.status, ended.status) == (JobStatus.FAILED, JobStatus.DONE)
    assert (ended.result, api.posts, api.fetched) == ("a!", ["a"], ["p1", "p1"])


async def test_a_promise_is_kept_even_while_the_job_is_cancelled(sqlite_team: Team) -> None:
    """What was promised a moment before a cancellation is on record for a retry."""
    api = Api()
    cancelled = anyio.Event()

    async def handle(run: JobRun) -> JsonValue:
        async def call(deferral: Deferral) -> JsonValue:
            if deferral.promise is not None:
                return deferral.promise.id
            with anyio.CancelScope() as scope:
                scope.cancel()
                await deferral.keep(Promise("one", 5.0))
            cancelled.set()
            await anyio.sleep_forever()
            return None

        return await run.claim("a", call)

    sqlite_team.add("work", handle)
    async with sqlite_team.at_work() as jobs:
        job = await jobs.submit("work", 1)
        await cancelled.wait()
        await jobs.cancel(job.id)
        await jobs.retry(job.id)
        ended = await jobs.wait(job.id)
    assert (ended.result, api.posts) == ("one", [])
