"""The endpoint that counts against the limits, for chat and for responses.

The order is the point: the arrival time is taken first, then everything is decided, then time
passes, then bytes go out. A refusal does not wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat

import anyio
import orjson
from anyio import lowlevel
from starlette.types import Receive, Scope, Send

from supervisor.simulator import wire
from supervisor.simulator.broken import BROKEN, BrokenAnswer
from supervisor.simulator.dialect import Dialect, Reply
from supervisor.simulator.failures import STREAM_ERROR, Failure
from supervisor.simulator.fate import Fate
from supervisor.simulator.limits import Remaining
from supervisor.simulator.simulation import Course, Simulation

_EVENTS_PER_TURN = 4
_BREATH = 0.01
"""Seconds between the events of a stream that never ends, or it would not hear its client leave."""
_STREAM_ERROR = b"data: " + orjson.dumps(STREAM_ERROR) + b"\n\n"


class MeteredEndpoint:
    """An ASGI application for one dialect.

    Args:
        simulation: What decides.
        dialect: How the endpoint reads and writes.
    """

    def __init__(self, simulation: Simulation, dialect: Dialect) -> None:
        self._simulation = simulation
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        tally = self._simulation.tally
        tally.enter()
        try:
            exchange = _Exchange(
                self._simulation, self._dialect, scope=scope, receive=receive, send=send
            )
            outcome = await exchange.run()
        except ConnectionAbortedError:
            tally.hung_up += 1
            outcome = "hung_up"
        finally:
            tally.in_flight -= 1
        tally.outcomes[outcome] += 1


class _Exchange:
    """One request and its answer; each method returns how it ended, for the tally."""

    __slots__ = ("_dialect", "_dice", "_receive", "_scope", "_send", "_sim", "_trace")

    def __init__(
        self,
        simulation: Simulation,
        dialect: Dialect,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._sim = simulation
        self._dialect = dialect
        self._scope = scope
        self._receive = receive
        self._send = send
        self._dice = simulation.next_dice()
        self._trace = (b"x-request-id", b"%016x" % self._dice.number())

    async def run(self) -> str:
        settings = self._sim.settings
        if settings.transit or settings.transit_jitter:
            await anyio.sleep(settings.transit + settings.transit_jitter * self._dice.roll())
        now = self._sim.clock.monotonic()
        body = await wire.read_body(self._receive)
        course = self._sim.arrive(
            now,
            dice=self._dice,
            headers=dict(self._scope["headers"]),
            body=body,
            dialect=self._dialect,
        )
        if isinstance(course.outcome, Failure):
            await wire.pause(self._receive, course.wait)
            return await self._fail(course.outcome)
        if course.outcome.question.deferred:
            return await self._defer(course.outcome, course.wait)
        outcome = await self._deliver(course.outcome, course)
        if outcome == "200":
            self._sim.delivered(body or b"")
        return outcome

    async def _fail(self, failure: Failure) -> str:
        settings = self._sim.settings
        headers: wire.Headers = [self._trace]
        if failure.quota and settings.retry_after is not None:
            headers.append((b"retry-after", b"%.10g" % settings.retry_after))
        if settings.should_retry is not None:
            headers.append((b"x-should-retry", b"true" if settings.should_retry else b"false"))
        await wire.send_failure(
            self._send, failure, sentence_codes=settings.sentence_codes, headers=headers
        )
        return str(failure.status)

    async def _defer(self, reply: Reply, wait: float) -> str:
        now = self._sim.clock.monotonic()
        name = self._sim.deferred.add(reply, now=now, wait=wait)
        body = orjson.dumps({"request_id": name})
        await wire.send_body(self._send, body, headers=self._headers())
        return "200"

    async def _deliver(self, reply: Reply, course: Course) -> str:
        stream = reply.question.stream and course.fate not in BROKEN
        try:
            await wire.pause(self._receive, course.wait)
            if stream:
                await self._stream(reply, course.fate)
        finally:
            # Whatever became of the client, the answer was made and is counted.
            self._sim.finish(reply)
        if course.fate in BROKEN:
            await self._break(reply, course.fate)
            return course.fate
        if stream:
            return await self._end_stream(course.fate)
        body = orjson.dumps(self._dialect.whole(reply))
        await wire.send_body(self._send, body, headers=self._headers())
        return "200"

    async def _break(self, reply: Reply, fate: Fate) -> None:
        stream = reply.question.stream
        whole = (
            self._dialect.events(reply) if stream else [orjson.dumps(self._dialect.whole(reply))]
        )
        answer = BrokenAnswer(
            b"".join(whole),
            stream=stream,
            headers=self._headers(),
            stall=self._sim.settings.faults.stall,
        )
        await answer.send(fate, self._scope, receive=self._receive, send=self._send)

    async def _stream(self, reply: Reply, fate: Fate) -> None:
        await wire.start_stream(self._send, self._headers())
        if fate == "stream_error":
            await wire.send_event(self._send, _STREAM_ERROR)
            return
        events = self._part(self._dialect.events(reply), fate)
        delay = self._sim.settings.chunk_delay
        if fate == "endless_stream":
            delay = delay or _BREATH
        for number, event in enumerate(events):
            if number and delay:
                await wire.pause(self._receive, delay)
            elif number % _EVENTS_PER_TURN == 0:
                # Sending need not wait: without this a long stream would hold up all others.
                await lowlevel.checkpoint()
            await wire.send_event(self._send, event)

    def _part(self, events: list[bytes], fate: Fate) -> Iterable[bytes]:
        """What comes of a stream's events."""
        if fate in ("cut_stream", "stall_stream"):
            # At least one event comes, and at least one does not.
            return events[: 1 + self._dice.below(len(events) - 1)]
        return repeat(events[1]) if fate == "endless_stream" else events

    async def _end_stream(self, fate: Fate) -> str:
        if fate == "stall_stream":
            await wire.pause(self._receive, self._sim.settings.faults.stall)
        if fate in ("cut_stream", "stall_stream"):
            await wire.hang_up(self._scope, self._receive)
        else:
            await wire.end_stream(self._send)
        return "200" if fate == "answer" else fate

    def _headers(self) -> wire.Headers:
        headers: wire.Headers = [self._trace]
        if self._dialect.rate_headers:
            now = self._sim.clock.monotonic()
            headers += _rate_headers(self._sim.limits.remaining(now))
        return headers


def _rate_headers(remaining: Remaining) -> wire.Headers:
    values = (
        (b"x-ratelimit-limit-requests", remaining.limit_requests),
        (b"x-ratelimit-remaining-requests", remaining.requests),
        (b"x-ratelimit-limit-tokens", remaining.limit_tokens),
        (b"x-ratelimit-remaining-tokens", remaining.tokens),
    )
    return [(name, b"%d" % value) for name, value in values if value is not None]
