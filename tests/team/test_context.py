"""What a job can do beside asking: be told its cost, do something once, search, keep files."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import pytest
from anyio import Path

from supervisor.broker.reply import StreamedReply
from supervisor.errors import JobFailed
from supervisor.jobs import JobStatus
from supervisor.memory.words import Document, Hit, Indexed, Source
from supervisor.messages import Cost, Reply, Request
from tests.team.conftest import House

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ECHO = """
from supervisor import Context, Role

class Echo(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        await ctx.ask("again")
        return "".join([piece async for piece in ctx.stream(job)])
"""

BOSS = """
from supervisor import Context, Role

class Boss(Role[str, dict[str, object]]):
    async def handle(self, job: str, ctx: Context) -> dict[str, object]:
        await ctx.ask(job)
        await ctx.delegate("echo", job)
        cost = await ctx.cost()
        return {"requests": cost.requests, "tokens": cost.tokens, "usd": cost.usd}
"""

ONCE = """
from supervisor import Context, Role

DONE = []

class Once(Role[str, list[object]]):
    async def handle(self, job: str, ctx: Context) -> list[object]:
        async def act() -> str:
            DONE.append(job)
            return f"did {len(DONE)}"

        first, second = await ctx.record("act", act), await ctx.record("act", act)
        if not ctx.state.get("crashed"):
            ctx.state["crashed"] = True
            raise RuntimeError("boom")
        return [first, second, len(DONE)]
"""

BRIEF = """
from supervisor import Context, Role

class Brief(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        await ctx.ask(job, max_tokens=7)
        await ctx.ask(job, max_completion_tokens=8)
        pieces = [piece async for piece in ctx.stream(job, max_tokens=9)]
        await ctx.ask(job)
        return "".join(pieces)
"""

NOSY = """
from supervisor import Context, Role

class Nosy(Role[str, dict[str, object]]):
    description = "looks around"

    async def handle(self, job: str, ctx: Context) -> dict[str, object]:
        hits = await ctx.search(job, limit=3)
        team = [(one.name, one.description, one.schema["type"]) for one in ctx.team]
        return {"hits": [hit.name for hit in hits], "team": team, "folder": str(ctx.folder)}
"""


class Shelf:
    """An index that knows one thing."""

    async def add(self, folder: str) -> Indexed:
        """Nothing is added."""
        return Indexed(folder, 0, 0, 0, 0, 0)

    async def remove(self, folder: str) -> bool:
        """Nothing is there."""
        return False

    async def sources(self) -> list[Source]:
        """Nothing is there."""
        return []

    async def search(self, query: str, *, source: str = "", limit: int = 10) -> list[Hit]:
        """Finds whatever is looked for, once for each allowed hit."""
        return [Hit(source, "a.py", 1, 2, query, "", 1.0)] * limit

    async def undescribed(self, folder: str, *, limit: int) -> list[Document]:
        """Nothing is there."""
        return []

    async def describe(self, document: Document, text: str) -> None:
        """Nothing is kept."""


async def test_costs_add_up_over_delegated_jobs(house: House) -> None:
    """A job's cost holds its own answers and those of all it delegated; each row its own."""
    house.write("echo", ECHO)
    house.write("boss", BOSS)
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("boss", "hello")).id)
        assert job.result == {"requests": 3, "tokens": 24, "usd": None}
        assert job.cost == Cost(1, 12, None)
        child = next(one for one in await team.jobs.list() if one.parent == job.id)
        assert child.cost == Cost(2, 12, None)
        assert await team.jobs.cost_below(job.id) == child.cost


async def test_what_was_done_is_not_done_again(house: House) -> None:
    """A recorded action is not repeated after a crash, and equal names are told apart by order."""
    house.write("once", ONCE)
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("once", "x")).id)
        assert (job.status, job.runs) == (JobStatus.DONE, 2)
        assert job.result == ["did 1", "did 2", 2]


async def test_how_long_an_answer_may_get_is_known_before_it_is_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a job asks for at most is reserved, as for a call by the gateway."""
    house.write("brief", BRIEF)
    async with house.open() as team:
        bounds: list[int | None] = []
        ask, stream = house.broker.ask, house.broker.stream

        async def noted(request: Request) -> Reply:
            bounds.append(request.max_output)
            return await ask(request)

        def noted_stream(request: Request) -> AbstractAsyncContextManager[StreamedReply]:
            bounds.append(request.max_output)
            return stream(request)

        monkeypatch.setattr(house.broker, "ask", noted)
        monkeypatch.setattr(house.broker, "stream", noted_stream)
        await team.jobs.wait((await team.submit("brief", "hello")).id)
    assert bounds == [7, 8, 9, None]


async def test_a_role_can_look_around(house: House) -> None:
    """A job finds what is known, who is there and what they take, and a folder of its own."""
    house.write("nosy", NOSY)
    house.index = Shelf()
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("nosy", "parser")).id)
    assert job.result == {
        "hits": ["parser"] * 3,
        "team": [["nosy", "looks around", "string"]],
        "folder": str(house.folder / "state" / "nosy"),
    }
    assert await Path(house.folder, "state", "nosy").is_dir()


async def test_without_an_index_a_search_says_so(house: House) -> None:
    """Where nothing is indexed a job that searches fails with a reason."""
    house.write("nosy", NOSY)
    async with house.open() as team:
        job = await team.jobs.wait((await team.submit("nosy", "parser")).id)
    assert job.status is JobStatus.FAILED
    assert JobFailed.__name__ in str(job.error)
    assert "no index" in str(job.error)


def test_costs_are_exact_sums() -> None:
    """Known prices add up as decimals; an unknown one adds nothing, and alone stays unknown."""
    assert Cost(1, 10, Decimal("0.1")) + Cost(1, 5) + Cost(0, 0, Decimal("0.2")) == Cost(
        2, 15, Decimal("0.3")
    )
    assert (Cost(1) + Cost(1)).usd is None
