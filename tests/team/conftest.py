"""A team in a temporary folder, on a made-up API."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from supervisor.broker.broker import Broker
from supervisor.broker.settings import BrokerSettings
from supervisor.clock import SystemClock
from supervisor.config.load import load_settings
from supervisor.ledger.memory import MemoryLedger
from supervisor.memory.words import Index
from supervisor.team.team import Stores, Team
from supervisor.upstream.client import Upstream
from supervisor.upstream.key import Key


@dataclass
class Api:
    """A made-up API: says what it is told, and remembers what it was asked.

    Attributes:
        asked: Bodies, in the order of arrival.
        says: Makes the content of an answer from the body.
    """

    asked: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    says: Callable[[dict[str, object]], str] = lambda _: "ok"

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        body = json.loads(request.content)
        self.asked.append(body)
        if body.get("stream"):
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, content=_events(self.says(body))
            )
        message = {"role": "assistant", "content": self.says(body)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
        return httpx.Response(200, json={"id": "1", "choices": [choice], "usage": usage})


def _events(text: str) -> bytes:
    """A streamed answer, a word an event."""
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": word}}]} for word in text.split()
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    lines = [json.dumps(one) for one in chunks]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


@dataclass
class House:
    """A folder of roles and what it takes to run them.

    Attributes:
        settings: Further settings, as on the command line.
    """

    folder: Path
    api: Api
    roles: Path
    index: Index | None = None
    settings: Sequence[str] = ()
    broker: Broker = field(init=False)

    def write(self, name: str, code: str) -> None:
        """Write a role's file, as if just edited."""
        (self.roles / f"{name}.py").write_text(code)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Team]:
        """Run the team with its jobs."""
        settings = load_settings(
            environ={},
            overrides=[f"roles.directory={self.roles}", "quota.enabled=false", *self.settings],
        )
        clock = SystemClock()
        self.broker = broker = Broker(
            BrokerSettings(),
            upstream=Upstream(
                "http://api.test/v1", Key(""), transport=httpx.MockTransport(self.api.handle)
            ),
            ledger=MemoryLedger(),
            clock=clock,
        )
        team = Team(
            settings,
            broker=broker,
            clock=clock,
            stats=lambda: {"here": True},
            stores=Stores(
                f"sqlite:///{self.folder}/jobs.sqlite", self.folder / "state", self.index
            ),
        )
        await team.load()
        async with anyio.create_task_group() as tasks:
            for part in (broker.run, team.run, team.jobs.run):
                await tasks.start(part)
            yield team
            tasks.cancel_scope.cancel()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delivered_at_once: None) -> House:
    """An empty house, in which no restart waits for a second."""
    monkeypatch.chdir(tmp_path)
    roles = tmp_path / "roles"
    roles.mkdir(mode=0o755)
    return House(tmp_path, Api(), roles)
