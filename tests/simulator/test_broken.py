"""Answers with status 200 that are none, on a real socket."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.simulator.test_simulator_server import BODY, raw, streamed
from tests.waiting import until

ENDPOINTS: dict[str, dict[str, Any]] = {
    "/chat/completions": BODY,
    "/responses": {"model": "grok-4.7", "input": "hello"},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    ("fault", "kind"), [("empty", ""), ("html_answer", "text/html"), ("malformed", "")]
)
async def test_a_200_that_is_no_answer(fault: str, kind: str, path: str, *, stream: bool) -> None:
    """It ends in good order, counts like any other, and holds no document."""
    async with raw(faults={fault: 1}) as (simulator, client):
        response = await client.post(path, json=ENDPOINTS[path] | {"stream": stream})
        report = simulator.simulation.report()
    assert response.status_code == 200
    expected = kind or ("text/event-stream" if stream else "application/json")
    assert response.headers["content-type"].startswith(expected)
    assert (response.content == b"") == (fault == "empty")
    with pytest.raises(ValueError, match=r"."):
        json.loads(response.text.removeprefix("data: "))
    assert (report["attempts"], report["outcomes"]) == (1, {fault: 1})


@pytest.mark.parametrize("stream", [False, True])
async def test_fewer_bytes_than_promised(*, stream: bool) -> None:
    """The connection ends before the content-length is reached."""
    async with raw(faults={"wrong_length": 1}) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            await client.post("/chat/completions", json=BODY | {"stream": stream})


@pytest.mark.parametrize("stream", [False, True])
async def test_silence_ends_by_itself(*, stream: bool) -> None:
    """Not even a status comes; after `stall` the connection is cut."""
    async with raw(faults={"silent": 1, "stall": "10ms"}) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await client.post("/chat/completions", json=BODY | {"stream": stream})


async def test_a_stream_without_end() -> None:
    """It goes on well past a usual answer, and ends when its client leaves."""
    async with raw(faults={"endless_stream": 1}) as (simulator, client):
        async with streamed(client) as response:
            text = ""
            async for piece in response.aiter_text():
                text += piece
                if text.count("data: ") > 20:
                    break
        await until(lambda: simulator.simulation.report()["in_flight"] == 0)
        report = simulator.simulation.report()
    assert 'finish_reason":"' not in text
    assert report["outcomes"] == {"hung_up": 1}
