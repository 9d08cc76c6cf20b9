"""An API in virtual time: the simulator's limits and judge behind httpx's transport contract."""

from __future__ import annotations

import random
from collections.abc import Sequence

import anyio
import httpx

from supervisor.clock import Clock
from supervisor.limits import Limit
from supervisor.simulator.judge import Judge
from supervisor.simulator.limits import ServerLimits
from supervisor.simulator.meters import Kind

_ANSWER = (
    b'{"id":"1","object":"chat.completion","model":"grok-4.7","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,'
    b'"completion_tokens":2,"total_tokens":12}}'
)
_SEED = 1
_DELAY = 0.25
"""Most seconds from sending to arrival, evenly distributed from 0."""
_LATENCY = 2.0
"""Mean seconds to answer, exponentially distributed."""
_HEADERS = {"content-type": "application/json"}


class VirtualApi(httpx.AsyncBaseTransport):
    """Answers chat completions and counts them.

    Args:
        limits: What it enforces and the judge counts.
        kind: How it counts.
        burst: Of a token bucket.
        clock: Tells virtual time.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        *,
        clock: Clock,
        kind: Kind = "sliding_log",
        burst: int | None = None,
    ) -> None:
        self._clock = clock
        self._dice = random.Random(_SEED)
        self._limits = ServerLimits(limits, kind=kind, burst=burst, offset=17.0)
        self.judge = Judge(limits)
        self.arrivals: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One attempt: it arrives a little later, is admitted or refused, then answered."""
        await anyio.sleep(self._dice.random() * _DELAY)
        now = self._clock.monotonic()
        self.arrivals.append(now)
        refusal = self._limits.admit(now, 0)
        self.judge.saw(now, refused=refusal is not None)
        if refusal is not None:
            text = b'{"code":"resource-exhausted","error":"Too many requests"}'
            return httpx.Response(429, headers=_HEADERS, content=text)
        await anyio.sleep(self._dice.expovariate(1 / _LATENCY))
        return httpx.Response(200, headers=_HEADERS, content=_ANSWER)
