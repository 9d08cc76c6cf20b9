"""The simulator on a real socket: connections that break, the end of it, as a program."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from supervisor.errors import ConfigError
from supervisor.simulator.server import Served, serve
from supervisor.simulator.settings import Settings
from tests.simulator.bench import KEY
from tests.waiting import until

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
BODY = {"model": "grok-4.7", "messages": HELLO}


@asynccontextmanager
async def raw(**settings: Any) -> AsyncGenerator[tuple[Served, httpx.AsyncClient]]:
    headers = {"authorization": f"Bearer {KEY}"}
    async with (
        serve(Settings.read(settings)) as simulator,
        httpx.AsyncClient(base_url=simulator.base_url, headers=headers, timeout=10) as client,
    ):
        yield simulator, client


def streamed(client: httpx.AsyncClient) -> AbstractAsyncContextManager[httpx.Response]:
    return client.stream("POST", "/chat/completions", json=BODY | {"stream": True})


async def test_a_connection_is_cut_before_the_headers() -> None:
    """Not a byte of an answer comes, and the next request is none the worse."""
    async with raw(faults={"cut": 1}) as (simulator, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/chat/completions", json=BODY)
        settings = simulator.simulation.settings.changed({"faults": {"cut": 0}})
        simulator.simulation.change(settings)
        assert (await client.post("/chat/completions", json=BODY)).status_code == 200
    assert simulator.simulation.report()["outcomes"] == {"200": 1, "cut": 1}


async def test_a_stream_is_cut_in_the_middle() -> None:
    """Some events come, `[DONE]` does not, and the end is no clean one."""
    came: list[str] = []

    async def read(response: httpx.Response) -> None:
        async for piece in response.aiter_text():
            came.append(piece)

    async with raw(faults={"cut_stream": 1}) as (_, client), streamed(client) as response:
        with pytest.raises(httpx.RemoteProtocolError):
            await read(response)
    text = "".join(came)
    assert text.startswith('data: {"id":')
    assert "[DONE]" not in text


async def test_a_stream_stalls_and_the_client_leaves() -> None:
    """A stalled stream stays open; when the client gives up, the simulator notices."""
    async with raw(faults={"stall_stream": 1}) as (simulator, client):
        async with streamed(client) as response:
            assert (await anext(response.aiter_text())).startswith("data: ")
            assert simulator.simulation.report()["in_flight"] == 1
        await until(lambda: simulator.simulation.report()["in_flight"] == 0)
    assert simulator.simulation.report()["hung_up"] == 1


async def test_a_stall_ends_by_itself() -> None:
    """After `stall` the connection is cut."""
    faults = {"stall_stream": 1, "stall": "10ms"}
    async with raw(faults=faults) as (_, client), streamed(client) as response:
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_is_noticed(*, stream: bool) -> None:
    """An answer on its way to nobody ends at once, and its tokens are counted all the same."""
    body = BODY | {"stream": stream}
    settings: dict[str, Any] = {"chunk_delay": "1h"} if stream else {"latency": "1h"}
    async with raw(**settings) as (simulator, client):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(client.post, "/chat/completions", json=body))
            await until(lambda: simulator.judge.report().attempts == 1)
            tasks.cancel_scope.cancel()
        await until(lambda: simulator.simulation.report()["in_flight"] == 0)
        report = simulator.simulation.report()
    assert report["hung_up"] == 1
    assert report["outcomes"] == {"hung_up": 1}
    assert report["tokens"] == 6 + 32 + 24


async def test_a_client_that_leaves_in_its_own_request_is_noticed() -> None:
    """Half a request that never gets its other half is no attempt."""
    async with raw() as (simulator, _):
        _, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        await until(lambda: simulator.simulation.report()["in_flight"] == 1)
        writer.close()
        await until(lambda: simulator.simulation.report()["in_flight"] == 0)
    report = simulator.simulation.report()
    assert (report["hung_up"], report["attempts"]) == (1, 0)


async def test_a_body_may_come_in_pieces() -> None:
    """What arrives bit by bit is put together."""
    body = json.dumps(BODY).encode()

    async def pieces() -> AsyncGenerator[bytes]:
        for start in range(0, len(body), 16):
            await asyncio.sleep(0)
            yield body[start : start + 16]

    async with raw() as (_, client):
        headers = {"content-type": "application/json"}
        response = await client.post("/chat/completions", content=pieces(), headers=headers)
    assert response.status_code == 200


async def test_leaving_ends_everything_at_once() -> None:
    """Requests in flight do not hold up the end, and no task or connection is left."""
    async with raw(latency="1h") as (simulator, client), anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.post("/chat/completions", json=BODY)

        async with serve(Settings(latency=3600.0)) as inner:
            client.base_url = httpx.URL(inner.base_url)
            tasks.start_soon(ask)
            await until(lambda: inner.simulation.report()["in_flight"] == 1)
        assert inner.simulation.report()["in_flight"] == 0
    assert simulator.simulation.report()["attempts"] == 0


async def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    """`answers` names the file; it can be taken away while it runs."""
    path = tmp_path / "answers.toml"
    path.write_text('[[answers]]\nanswer = "from the file"\n')
    async with raw(answers=str(path)) as (_, client):
        first = await client.post("/chat/completions", json=BODY)
        control = client.base_url.copy_with(path="/_simulator/settings")
        assert (await client.post(control, json={"answers": None})).status_code == 200
        second = await client.post("/chat/completions", json=BODY)
        assert (await client.post(control, json={"answers": str(path)})).status_code == 200
        third = await client.post("/chat/completions", json=BODY)
    texts = [r.json()["choices"][0]["message"]["content"] for r in (first, second, third)]
    assert texts[0] == texts[2] == "from the file" != texts[1]


async def test_a_port_that_is_taken_is_an_error_of_configuration() -> None:
    """The address is named, and what to do."""
    async with serve(Settings()) as first:
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{first.port}"):
            async with serve(Settings(), port=first.port):
                pass


@pytest.mark.skipif(not Path("/proc/sys/net/ipv6").exists(), reason="there is no IPv6 here")
async def test_an_ipv6_address_is_written_in_brackets() -> None:
    """The base URL is one that clients take."""
    async with serve(Settings(), host="::1") as simulator:
        assert simulator.base_url == f"http://[::1]:{simulator.port}/v1"


PROGRAM = """
import anyio
from supervisor.simulator.server import run
from supervisor.simulator.settings import Settings
anyio.run(run, Settings())
"""


@asynccontextmanager
async def program() -> AsyncGenerator[asyncio.subprocess.Process]:
    """The simulator as a process of its own, which ends with the test whatever happens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_as_a_program_it_ends_with_a_report(number: signal.Signals) -> None:
    """One line with the URL when it is ready, the report as JSON when it is told to stop."""
    async with program() as process:
        assert process.stderr is not None
        while not (line := (await process.stderr.readline()).decode()).startswith("http://"):
            assert line, "it ended before it was ready"
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as client:
            response = await client.post(f"{line.strip()}/chat/completions", json=BODY)
        assert response.status_code == 200
        process.send_signal(number)
        out, _ = await process.communicate()
    assert process.returncode == 0
    # Where nobody configured logging, structlog writes to stdout, too.
    assert json.loads(out[out.index(b"{") :])["attempts"] == 1
