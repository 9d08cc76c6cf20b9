"""The load generator, a process of its own: asyncio and aiohttp, no SDK.

    echo '{"senders": [{"name": "a", "url": "http://127.0.0.1:8420", "bearer": "a"}],
           "seconds": 3}' | python -m benchmarks.load

Reads a plan as JSON from stdin, writes what came of it as JSON to stdout.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from benchmarks.launch import ROOT, python_environment

_QUESTION = {
    "model": "grok-4.7",
    "messages": [{"role": "user", "content": "Which of the two is larger, and by how much?"}],
}


@dataclass(frozen=True, slots=True)
class Sender:
    """A program that asks.

    Attributes:
        name: What to call it in the results.
        url: Base URL of whom it asks.
        bearer: Its bearer token.
        in_flight: How many of its requests are under way at once, each followed by the next.
        rate: Requests a second, at random moments of each interval, whether or not earlier ones
            were answered; 0 for as fast as `in_flight` lets it.
        stream: Whether it asks for a streamed answer.
        rest: Seconds for which it keeps quiet after anything but a 200.
    """

    name: str
    url: str
    bearer: str
    in_flight: int = 1
    rate: float = 0.0
    stream: bool = False
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole measurement.

    Attributes:
        senders: Who asks.
        seconds: For how long.
        warm_up: Seconds before that, which do not count.
    """

    senders: Sequence[Sender]
    seconds: float
    warm_up: float = 0.0


@dataclass(slots=True)
class Result:
    """What a sender got within the measured time.

    Attributes:
        answered: Answers with status 200 that ended in it.
        statuses: All that ended in it, by status; 0 for a failed connection.
        latencies: Seconds from sending to the end of each answer with status 200.
        waits: Seconds in the queue, as `x-supervisor-wait-ms` tells; empty where nobody does.
    """

    answered: int = 0
    statuses: dict[int, int] = field(default_factory=dict[int, int])
    latencies: list[float] = field(default_factory=list[float])
    waits: list[float] = field(default_factory=list[float])


class Run:
    """One plan being carried out.

    Args:
        plan: The plan.
        session: The connections.
    """

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self.results = {sender.name: Result() for sender in plan.senders}
        self._plan = plan
        self._session = session
        self._since = time.perf_counter() + plan.warm_up
        self._until = self._since + plan.seconds

    async def run(self) -> None:
        """Send until the time is over; what is still under way then is given up."""
        tasks = [
            asyncio.create_task(work)
            for sender in self._plan.senders
            for work in (
                [self._at_rate(sender)]
                if sender.rate
                else [self._one_by_one(sender) for _ in range(sender.in_flight)]
            )
        ]
        await asyncio.sleep(self._until - time.perf_counter())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one_by_one(self, sender: Sender) -> None:
        while True:
            await self._ask(sender)

    async def _at_rate(self, sender: Sender) -> None:
        dice, every = random.Random(1), 1.0 / sender.rate
        turn = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            while True:
                moment = turn + dice.random() * every
                await asyncio.sleep(max(0.0, moment - time.perf_counter()))
                tasks.create_task(self._ask(sender))
                turn += every

    async def _ask(self, sender: Sender) -> None:
        began, status, wait = time.perf_counter(), 0, None
        body = {**_QUESTION, "stream": True} if sender.stream else _QUESTION
        try:
            async with self._session.post(
                f"{sender.url}/v1/chat/completions",
                data=json.dumps(body, separators=(",", ":")).encode(),
                headers={
                    "authorization": f"Bearer {sender.bearer}",
                    "content-type": "application/json",
                },
            ) as response:
                await response.read()
                status, wait = response.status, response.headers.get("x-supervisor-wait-ms")
        except aiohttp.ClientError:
            # A refused connection must not turn this process into a busy loop.
            await asyncio.sleep(0.01)
        self._note(sender, began, status=status, wait=wait)
        if sender.rest and status != 200:
            await asyncio.sleep(sender.rest)

    def _note(self, sender: Sender, began: float, *, status: int, wait: str | None) -> None:
        ended = time.perf_counter()
        if not self._since <= ended <= self._until:
            return
        result = self.results[sender.name]
        result.statuses[status] = result.statuses.get(status, 0) + 1
        if status == 200:
            result.answered += 1
            result.latencies.append(ended - began)
            if wait is not None:
                result.waits.append(float(wait) / 1000.0)


def measure(plan: Plan) -> dict[str, Result]:
    """Carry a plan out in another process.

    Args:
        plan: The plan.

    Returns:
        What every sender got, by name.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        cwd=ROOT,
        env=python_environment(),
        input=json.dumps(asdict(plan)).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=plan.seconds + plan.warm_up + 60.0,
    )
    return {name: _result(value) for name, value in json.loads(done.stdout).items()}


def _result(value: Mapping[str, Any]) -> Result:
    statuses = {int(status): count for status, count in value["statuses"].items()}
    return Result(value["answered"], statuses, value["latencies"], value["waits"])


async def _main(plan: Plan) -> dict[str, Result]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0)
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )
    async with session:
        run = Run(plan, session)
        await run.run()
        return run.results


def main() -> None:
    """Carry out the plan on stdin."""
    # Quicker than asyncio's own loop, so that less of the two cores goes to the measuring.
    import uvloop  # noqa: PLC0415 - not there on every platform

    value: dict[str, Any] = json.load(sys.stdin)
    plan = Plan(
        [Sender(**sender) for sender in value["senders"]],
        seconds=value["seconds"],
        warm_up=value.get("warm_up", 0.0),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(_main(plan))
    json.dump({name: asdict(result) for name, result in results.items()}, sys.stdout)


if __name__ == "__main__":
    main()
