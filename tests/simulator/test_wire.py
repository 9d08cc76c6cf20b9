"""The edges of ASGI that a client over HTTP rarely shows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from supervisor.clock import LoopClock
from supervisor.errors import ConfigError
from supervisor.simulator import wire
from supervisor.simulator.app import create_app
from supervisor.simulator.settings import Settings
from tests.simulator.bench import KEY


def receiving(*messages: dict[str, Any]) -> Any:
    """A `receive` that has these messages."""

    async def give() -> AsyncGenerator[dict[str, Any]]:
        for message in messages:
            yield message

    return give().__anext__


async def test_only_a_disconnect_means_that_the_client_left(virtual: LoopClock) -> None:
    """Whatever else the server says meanwhile is not the end."""
    receive = receiving({"type": "http.request"}, {"type": "http.disconnect"})
    with pytest.raises(ConnectionAbortedError):
        await wire.pause(receive, 5)
    assert virtual.monotonic() < 1


async def test_no_pause_needs_no_message() -> None:
    """A pause of nothing is over at once."""
    await wire.pause(receiving(), 0)


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    """An application with a script; made outside of the loop, as reading a file blocks."""
    path = tmp_path / "answers.json"
    path.write_text('[{"answer": "scripted"}]')
    return create_app(Settings(answers=path))


async def test_an_application_can_be_made_from_settings_alone(app: Starlette) -> None:
    """`create_app` reads the script too, and is what other programs mount."""
    transport = httpx.ASGITransport(app)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, headers=headers) as client:
        body = {"model": "grok-4.7", "input": "hi"}
        response = await client.post("http://simulator/v1/responses", json=body)
    assert response.json()["output"][0]["content"][0]["text"] == "scripted"


def test_an_application_without_its_script_is_not_made(tmp_path: Path) -> None:
    """A missing file is an error before anything listens."""
    with pytest.raises(ConfigError):
        create_app(Settings(answers=tmp_path / "nowhere.toml"))
