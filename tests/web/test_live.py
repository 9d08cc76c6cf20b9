"""The stream behind the dashboard: the same numbers as `/health`, few, and no task left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from tests.waiting import until
from tests.web.house import House, open_house, served

Event = tuple[str, dict[str, Any]]


async def events(lines: AsyncIterator[str]) -> AsyncGenerator[Event]:
    """The named events of a stream."""
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views follow each other faster than people could read them."""
    monkeypatch.setattr("supervisor.web.live.TICK", 0.05)


@asynccontextmanager
async def fed(house: House) -> AsyncGenerator[int]:
    """The house on a socket, with the task that feeds the dashboard; gives the port."""
    async with served(house) as port, anyio.create_task_group() as tasks:
        tasks.start_soon(house.app.state.live.run)
        yield port
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def page(port: int) -> AsyncGenerator[AsyncGenerator[Event]]:
    """An open page's stream."""
    url = f"http://127.0.0.1:{port}/api/events"
    async with httpx.AsyncClient(timeout=10) as client, client.stream("GET", url) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events(response.aiter_lines())


@pytest.mark.slow
async def test_a_page_is_told_what_changes() -> None:
    """It gets the view at once, and another one when something has changed."""
    async with (
        open_house(limits=["10 requests / minute"]) as house,
        fed(house) as port,
        page(port) as stream,
    ):
        name, hello = await anext(stream)
        assert (name, set(hello)) == ("hello", {"now", "history"})
        name, first = await anext(stream)
        health = (await house.client.get("/health")).json()
        assert name == "view"
        assert first["health"]["windows"][0]["used"] == health["windows"][0]["used"] == 0
        assert first["health"]["roles"].keys() == health["roles"].keys()
        await house.jobs.submit("quality", {"secret": "input"})
        await house.team.stop("code")
        _, second = await anext(stream)
        assert second["health"]["roles"]["code"]["state"] == "stopped"
        assert "input" not in json.dumps(second["jobs"])
        await stream.aclose()


@pytest.mark.slow
async def test_many_pages_cost_one_look() -> None:
    """Views are made once for all pages, and a page that goes away leaves nothing."""
    async with open_house() as house, fed(house) as port:
        live = house.app.state.live
        before = len(asyncio.all_tasks())
        async with page(port) as one, page(port) as two:
            for stream in (one, two):
                assert [(await anext(stream))[0], (await anext(stream))[0]] == ["hello", "view"]
            assert live.readers == 2
            assert live.views == 1
            await one.aclose()
            await two.aclose()
        await until(lambda: live.readers == 0)
        await until(lambda: len(asyncio.all_tasks()) <= before)


@pytest.mark.slow
async def test_the_stream_ends_with_the_server() -> None:
    """A page is told goodbye when the server closes; the shutdown does not wait for it."""
    async with open_house() as house:
        names: list[str] = []
        async with anyio.create_task_group() as tasks, fed(house) as port:

            async def read() -> None:
                async with page(port) as stream:
                    names.extend([name async for name, _ in stream])

            tasks.start_soon(read)
            await until(lambda: house.app.state.live.readers)
        assert names[0] == "hello"
        assert names[-1] == "bye"
