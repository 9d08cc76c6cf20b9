"""Which asks of a job are deferred, and that a restart fetches what was promised."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import httpx
import pytest

from supervisor.jobs import JobStatus
from supervisor.messages import Cost
from tests.team.conftest import Api, House
from tests.waiting import heard

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATIENT = """
from pydantic import BaseModel

from supervisor import Context, Role

class Number(BaseModel):
    number: int

class Patient(Role[str, str]):
    deferred = True

    async def handle(self, job: str, ctx: Context) -> str:
        await ctx.ask("as the role says")
        await ctx.ask("now", deferred=False)
        "".join([piece async for piece in ctx.stream("streamed")])
        return str((await ctx.ask("twice", schema=Number)).number)
"""

ECHO = """
from supervisor import Context, Role

class Echo(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        return (await ctx.ask(job)).text
"""

WAVERING = """
from supervisor import Context, Role

class Wavering(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        first = not ctx.state.get("ran")
        ctx.state["ran"] = True
        answer = await ctx.ask(job, deferred=first)
        if first:
            raise RuntimeError("boom")
        return answer.text
"""


@dataclass
class Deferring(Api):
    """An API that promises answers and gives each once, at the first look.

    Attributes:
        waiting: Promised answers by their ids.
        looks: Ids that were looked for.
    """

    waiting: dict[str, httpx.Response] = field(default_factory=dict[str, httpx.Response])
    looks: list[str] = field(default_factory=list[str])

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self.looks.append(request.url.path.rpartition("/")[2])
            return self.waiting.pop(self.looks[-1], httpx.Response(404, json={"error": "gone"}))
        answer = await super().handle(request)
        if not json.loads(request.content).get("deferred"):
            return answer
        name = f"p{len(self.asked)}"
        self.waiting[name] = answer
        return httpx.Response(200, json={"request_id": name})


def deferred(house: House) -> list[bool]:
    """Which of the questions that came were to be answered later."""
    return [body.get("deferred", False) is True for body in house.api.asked]


async def test_the_role_decides_and_the_ask_before_it(house: House) -> None:
    """What a role's class says holds for its asks, unless one says otherwise; never for streams."""
    house.write("patient", PATIENT)
    house.api.says = lambda body: '{"number": 7}' if len(house.api.asked) > 4 else "no number"
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("patient", "x")).id)
    assert (job.status, job.result) == (JobStatus.DONE, "7")
    assert deferred(house) == [True, False, False, True, True]


async def test_the_settings_go_before_the_class(house: House) -> None:
    """`deferred` of a role's table holds, whatever its class says."""
    house.write("patient", PATIENT)
    house.write("echo", ECHO)
    house.api.says = lambda body: '{"number": 7}'
    house.settings = ("roles.patient.deferred=false", "roles.echo.deferred=true")
    async with house.open() as team:
        await team.jobs.wait((await team.submit("patient", "x")).id)
        await team.jobs.wait((await team.submit("echo", "x")).id)
    assert deferred(house) == [False, False, False, False, True]


async def test_how_an_answer_came_is_no_part_of_the_question(house: House) -> None:
    """An answer on record is found also by an ask that is not deferred any more."""
    house.write("wavering", WAVERING)
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("wavering", "x")).id)
    assert (job.status, job.runs, job.result) == (JobStatus.DONE, 2, "ok")
    assert deferred(house) == [True]


async def test_a_restart_fetches_what_was_promised(house: House) -> None:
    """Nothing is posted again, although nothing is to be deferred now; it is paid for once."""
    house.write("echo", ECHO)
    house.api = api = Deferring()
    house.settings = ("roles.echo.deferred=true",)
    with heard() as logs:
        async with house.open() as team:
            job = await team.submit("echo", "question")
            await logs.until("broker.answer_deferred")
    assert (len(api.asked), api.looks) == (1, [])
    house.settings = ()
    async with house.open() as team:
        ended = await team.jobs.wait(job.id)
    assert (ended.status, ended.runs, ended.result) == (JobStatus.DONE, 2, "ok")
    assert (len(api.asked), api.looks) == (1, ["p1"])
    assert ended.cost == Cost(1, 12, None)
