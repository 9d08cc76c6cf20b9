"""While the key is refused jobs wait; when it is mended they go on."""

from __future__ import annotations

import json
from dataclasses import dataclass

import httpx
import pytest

from supervisor.jobs import JobStatus
from tests.team.conftest import Api, House
from tests.team.test_team import ECHO, STREAMING
from tests.waiting import heard

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NO_CREDITS = {"code": "x", "error": "Your team has used all available credits"}
CLOSED = {"code": "x", "error": "Too many requests (actual/limit): 0/0"}


@dataclass
class Refusing(Api):
    """An API that refuses with a body until it is mended.

    Attributes:
        refusal: The body; None to answer.
        arrivals: How many requests came.
    """

    refusal: dict[str, str] | None = None
    arrivals: int = 0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.arrivals += 1
        if self.refusal is not None:
            return httpx.Response(429, content=json.dumps(self.refusal))
        return await super().handle(request)


@pytest.fixture
def refusing(house: House) -> Refusing:
    """The house's API, out of credits."""
    house.api = api = Refusing(refusal=NO_CREDITS)
    return api


@pytest.mark.parametrize("role", ["echo", "streaming"])
async def test_jobs_wait_while_the_key_is_refused(
    house: House, refusing: Refusing, role: str
) -> None:
    """Neither those that run nor those in the queue fail; `resume` lets all of them go on."""
    house.write("echo", ECHO)
    house.write("streaming", STREAMING)
    with heard() as logs:
        async with house.open() as team:
            jobs = [await team.submit(role, f"question {number}") for number in range(6)]
            await logs.until("team.job_waits_for_key", 4)
            before = [(await team.jobs.get(job.id)).status.value for job in jobs]
            sent = refusing.arrivals
            refusing.refusal = None
            house.broker.resume()
            ended = [await team.jobs.wait(job.id) for job in jobs]
    assert before == ["running"] * 4 + ["queued"] * 2
    assert 1 <= sent <= 4
    assert [(job.status, job.runs, job.result) for job in ended] == [(JobStatus.DONE, 1, "ok")] * 6
    assert refusing.arrivals == sent + 6


async def test_a_job_that_waits_for_the_key_can_be_cancelled(
    house: House, refusing: Refusing
) -> None:
    """Nobody has to mend the key to get rid of a job."""
    house.write("echo", ECHO)
    with heard() as logs:
        async with house.open() as team:
            job = await team.submit("echo", "question")
            await logs.until("team.job_waits_for_key")
            await team.jobs.cancel(job.id)
            assert (await team.jobs.wait(job.id)).status is JobStatus.CANCELLED
    assert refusing.arrivals == 1


async def test_a_stop_does_not_wait_for_the_key(house: House, refusing: Refusing) -> None:
    """A job that waits goes on after the next start, with the key it has then."""
    house.write("echo", ECHO)
    with heard() as logs:
        async with house.open() as team:
            job = await team.submit("echo", "question")
            await logs.until("team.job_waits_for_key")
    refusing.refusal = None
    async with house.open() as team:
        ended = await team.jobs.wait(job.id)
    assert (ended.status, ended.runs) == (JobStatus.DONE, 2)


async def test_a_closed_model_fails_its_job(house: House, refusing: Refusing) -> None:
    """A model that is closed to the key says nothing of other models, and waiting is no help."""
    refusing.refusal = CLOSED
    house.write("echo", ECHO)
    async with house.open() as team:
        ended = await team.jobs.wait((await team.submit("echo", "question")).id)
    assert ended.status is JobStatus.FAILED
    assert (ended.error or "").startswith("KeyUnusable: ")
