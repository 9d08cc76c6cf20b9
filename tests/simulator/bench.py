"""A simulation and a client of it, in one process and in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx

from supervisor.simulator.simulation import Simulation

KEY = "xai-test-not-a-real-key"


@dataclass(frozen=True, slots=True)
class Bench:
    """A simulation and a client of it."""

    http: httpx.AsyncClient
    simulation: Simulation

    async def chat(self, text: str = "hello", /, **fields: Any) -> httpx.Response:
        """One chat completion."""
        body = {"model": "grok-4.7", "messages": [{"role": "user", "content": text}], **fields}
        return await self.http.post("/v1/chat/completions", json=body)

    async def respond(self, text: str = "hello", /, **fields: Any) -> httpx.Response:
        """One response."""
        body = {"model": "grok-4.7", "input": text, **fields}
        return await self.http.post("/v1/responses", json=body)


OpenBench = Callable[..., AbstractAsyncContextManager[Bench]]


def events_of(response: httpx.Response) -> list[Any]:
    """The data of a stream's events, decoded where it is JSON."""
    blocks = [block for block in response.text.split("\n\n") if block]
    data = [block.split("data: ", 1)[1] for block in blocks]
    return [text if text == "[DONE]" else json.loads(text) for text in data]
