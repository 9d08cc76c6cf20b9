"""The server on a real socket: hang-ups, broken streams, stopping. Nothing may leak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import orjson
import pytest
from anyio.abc import TaskStatus
from starlette.types import Message
from structlog.testing import capture_logs

from supervisor.errors import ConfigError
from supervisor.web.server import serve
from tests.waiting import until
from tests.web.house import (
    CHAT,
    EVENTS,
    QUESTION,
    Events,
    House,
    chunk,
    in_flight,
    open_house,
    served,
    settings_of,
    waiting,
)

pytestmark = pytest.mark.anyio


@dataclass(slots=True)
class Caller:
    """One raw connection, so that a test decides to the byte what is sent and when it ends."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def post(self, path: str, document: object) -> None:
        """Send a request."""
        body = orjson.dumps(document)
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)

    async def head(self) -> str:
        """The response's head."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def chunk(self) -> bytes:
        """One chunk of the response's body."""
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    def hang_up(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def calling(port: int) -> AsyncGenerator[Caller]:
    """A connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


async def _spend(house: House, port: int) -> None:
    """Use up the one request that the window holds."""
    async with httpx.AsyncClient() as client:
        await client.post(f"http://127.0.0.1:{port}{CHAT}", json=QUESTION)


async def test_hang_up_in_the_queue_frees_the_place() -> None:
    """A client that goes away while it waits leaves the queue at once; nothing is sent for it."""
    async with open_house(limits=["1 requests / minute"]) as house, served(house) as port:
        await _spend(house, port)
        async with calling(port) as caller:
            caller.post(CHAT, QUESTION)
            await until(lambda: waiting(house))
            caller.hang_up()
            await until(lambda: not waiting(house))
        assert len(house.api.seen) == 1


async def test_hang_up_while_the_api_works_ends_the_attempt() -> None:
    """A client that goes away while the API works cancels the attempt; its slot is free again."""
    async with open_house() as house, served(house) as port:
        house.api.hold()
        async with calling(port) as caller:
            caller.post(CHAT, QUESTION)
            await until(lambda: house.api.seen)
            caller.hang_up()
            await until(lambda: house.api.cancelled)
        await until(lambda: not in_flight(house))


async def test_hang_up_in_mid_stream_closes_the_upstream() -> None:
    """A client that goes away in mid-stream closes the connection to the API."""
    events = Events(held_after=1)
    async with open_house() as house, served(house) as port:
        house.api.stream(events)
        async with calling(port) as caller:
            caller.post(CHAT, {**QUESTION, "stream": True})
            assert "200" in await caller.head()
            assert await caller.chunk() == EVENTS[0]
            caller.hang_up()
            with anyio.fail_after(5):
                await events.closed.wait()
        await until(lambda: not in_flight(house))


async def test_events_arrive_as_they_come() -> None:
    """An event reaches the client before the API has sent the next one."""
    events = Events(held_after=2)
    async with open_house() as house, served(house) as port:
        house.api.stream(events)
        async with calling(port) as caller:
            caller.post(CHAT, {**QUESTION, "stream": True})
            await caller.head()
            assert await caller.chunk() == EVENTS[0]
            assert await caller.chunk() == EVENTS[1]
            events.go_on.set()
            assert await caller.chunk() == EVENTS[2]
            assert await caller.chunk() == EVENTS[3]
            assert await caller.chunk() == b""


@pytest.mark.parametrize(
    ("path", "start"),
    [(CHAT, b'data: {"error":'), ("/v1/responses", b"event: error\ndata: ")],
)
@pytest.mark.parametrize("told", [chunk("Hel"), chunk("Hello", finish="stop")])
async def test_lost_stream_ends_in_an_error_and_an_abort(
    path: str, start: bytes, told: bytes
) -> None:
    """A stream that breaks off ends in an error event and a dropped connection, never cleanly."""
    cut = Events([told], broken=True)
    async with open_house() as house, served(house) as port:
        house.api.stream(cut)
        async with calling(port) as caller:
            caller.post(path, {**QUESTION, "stream": True})
            await caller.head()
            assert await caller.chunk() == told
            last = await caller.chunk()
            rest = await caller.reader.read()
    assert last.startswith(start)
    assert b"upstream_unavailable" in last
    assert rest == b""  # not the 0-chunk of a clean end


async def test_error_inside_a_stream_is_not_success() -> None:
    """An error that the API tells inside a 200 stream reaches the client as an error."""
    broken = Events(
        [
            chunk("Hel"),
            b'data: {"code":"The service is currently unavailable","error":"Timed out"}\n\n',
        ]
    )
    async with open_house() as house, served(house) as port:
        house.api.stream(broken)
        async with calling(port) as caller:
            caller.post(CHAT, {**QUESTION, "stream": True})
            await caller.head()
            await caller.chunk()
            assert b"Timed out" in await caller.chunk()
            assert await caller.reader.read() == b""


async def test_too_large_upload_gets_its_answer() -> None:
    """A client that uploads too much still reads the 413, and may go on with its connection."""
    settings = settings_of({"web": {"max_body": "1KiB"}})
    async with (
        open_house(settings=settings) as house,
        served(house) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        refused = await client.post(CHAT, content=b"x" * 3_000_000)
        answered = await client.post(CHAT, json=QUESTION)
    assert refused.status_code == 413
    assert answered.status_code == 200


async def test_stopping_lets_requests_under_way_end() -> None:
    """A request that is under way when the server stops is still answered."""
    async with open_house() as house, _stoppable(house, grace=5) as (port, stop):
        gate = house.api.hold()
        async with calling(port) as caller:
            caller.post(CHAT, QUESTION)
            await until(lambda: house.api.seen)
            stop()
            gate.set()
            assert "200 OK" in await caller.head()


async def test_what_is_late_is_told_that_we_stop() -> None:
    """A request that does not end in time is told so with 503, and its slot is free."""
    async with open_house() as house, _stoppable(house, grace=0.01) as (port, stop):
        house.api.hold()
        async with calling(port) as caller:
            caller.post(CHAT, QUESTION)
            await until(lambda: house.api.seen)
            stop()
            assert "503" in await caller.head()
            assert b'"draining"' in await caller.reader.read()
        await until(lambda: not in_flight(house))


@pytest.mark.parametrize(
    ("path", "start"),
    [(CHAT, b'data: {"error":'), ("/v1/responses", b"event: error\ndata: ")],
)
async def test_late_stream_is_told_that_we_stop(path: str, start: bytes) -> None:
    """A stream that does not end in time is told so and cut: nobody takes it for complete."""
    async with open_house() as house, _stoppable(house, grace=0.01) as (port, stop):
        house.api.stream(Events(held_after=1))
        async with calling(port) as caller:
            caller.post(path, {**QUESTION, "stream": True})
            await caller.head()
            assert await caller.chunk() == EVENTS[0]
            stop()
            last = await caller.chunk()
            assert await caller.reader.read() == b""  # not the 0-chunk of a clean end
        await until(lambda: not in_flight(house))
    assert last.startswith(start)
    error = orjson.loads(last.rpartition(b"data: ")[2])["error"]
    assert (error["type"], error["code"]) == ("server_error", "draining")


async def test_a_late_end_is_no_error() -> None:
    """An answer that is whole gets no error behind its end, however slowly its client reads."""
    body = orjson.dumps({**QUESTION, "stream": True})
    sent: list[Message] = []
    received = iter([{"type": "http.request", "body": body}])

    async def receive() -> Message:
        for message in received:
            return message
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if message.get("body") == b"":
            await anyio.sleep_forever()

    async with open_house() as house:
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": CHAT, "scheme": "http"}
        scope["headers"] = [(b"host", b"localhost")]
        call = asyncio.create_task(house.app({**scope, "app": house.app}, receive, send))
        await until(lambda: len(sent) > len(EVENTS) + 1)
        call.cancel()
        await asyncio.wait({call})
    assert [one["body"] for one in sent[1:]] == [*EVENTS, b""]


async def test_long_polls_end_when_the_server_stops() -> None:
    """A long poll is answered at once when the server stops, however long its grace."""
    async with open_house() as house, _stoppable(house, grace=60) as (port, stop):
        await house.jobs.submit("quality", 1)
        async with calling(port) as caller:
            caller.writer.write(b"GET /api/jobs/j1?wait=60s HTTP/1.1\r\nhost: localhost\r\n\r\n")
            await until(lambda: house.jobs.watchers)
            stop()
            assert "200 OK" in await caller.head()


async def test_hang_up_ends_a_long_poll() -> None:
    """A client that goes away from a long poll leaves nobody waiting."""
    async with open_house() as house, served(house) as port:
        await house.jobs.submit("quality", 1)
        async with calling(port) as caller:
            caller.writer.write(b"GET /api/jobs/j1?wait=60s HTTP/1.1\r\nhost: localhost\r\n\r\n")
            await until(lambda: house.jobs.watchers)
            caller.hang_up()
            await until(lambda: not house.jobs.watchers)


async def test_client_that_leaves_in_mid_upload_is_forgotten() -> None:
    """A client that goes away before its body is complete causes nothing."""
    async with open_house() as house, served(house) as port:
        async with calling(port) as caller:
            caller.writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
                b'content-length: 100\r\n\r\n{"model"'
            )
            await caller.writer.drain()
            caller.hang_up()
        async with calling(port) as caller:
            caller.post(CHAT, QUESTION)
            assert "200" in await caller.head()
        assert len(house.api.seen) == 1


async def test_hang_ups_of_many_leak_nothing() -> None:
    """However many clients go away, wherever they are, every slot and place is free again."""
    async with open_house(limits=["20 requests / minute"]) as house, served(house) as port:
        house.api.hold()
        async with AsyncExitStack() as stack:
            callers = [await stack.enter_async_context(calling(port)) for _ in range(50)]
            for number, caller in enumerate(callers):
                caller.post(CHAT, {**QUESTION, "stream": number % 2 == 0})
            await until(lambda: waiting(house) + in_flight(house) == 50)
            for caller in callers:
                caller.hang_up()
            await until(lambda: waiting(house) + in_flight(house) == 0)


async def test_crash_in_mid_stream_drops_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug in the middle of an answer drops the connection, and both logs say so."""

    class Broken(Events):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield chunk("Hel")
            raise ZeroDivisionError("a bug")

    with capture_logs() as events:
        async with open_house() as house, served(house) as port:
            house.api.stream(Broken())
            async with calling(port) as caller:
                caller.post(CHAT, {**QUESTION, "stream": True})
                await caller.head()
                assert await caller.chunk() == chunk("Hel")
                assert await caller.reader.read() == b""
    assert "web.request_crashed" in [one["event"] for one in events]
    assert len(caplog.records) == 1


async def test_taken_port_is_an_error_that_says_so() -> None:
    """A port that somebody else listens on is told with the address and what to do."""
    async with open_house() as house, served(house) as port:
        with pytest.raises(ConfigError) as caught:
            await serve(house.app, "127.0.0.1", port)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "web.port" in str(caught.value)


async def test_dropped_streams_are_no_errors_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A connection dropped on purpose is logged once by us and not as a crash by the server."""
    with capture_logs() as events:
        async with open_house() as house, served(house) as port:
            house.api.stream(Events([chunk("Hel")]))
            async with calling(port) as caller:
                caller.post(CHAT, {**QUESTION, "stream": True})
                await caller.reader.read()
    assert [one["event"] for one in events].count("web.stream_lost") == 1
    assert not caplog.records


async def test_no_server_or_date_header_is_sent() -> None:
    """Answers say nothing of the server's software and save the date."""
    async with open_house() as house, served(house) as port, httpx.AsyncClient() as client:
        headers = (await client.get(f"http://127.0.0.1:{port}/livez")).headers
    assert "server" not in headers
    assert "date" not in headers


@asynccontextmanager
async def _stoppable(
    house: House, *, grace: float
) -> AsyncGenerator[tuple[int, Callable[[], None]]]:
    """The house on a socket, and what stops the server while the test goes on."""
    scope = anyio.CancelScope()

    async def listen(*, task_status: TaskStatus[int]) -> None:
        with scope:
            await serve(house.app, "127.0.0.1", 0, grace=grace, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        port: int = await tasks.start(listen)
        yield port, scope.cancel
        scope.cancel()
