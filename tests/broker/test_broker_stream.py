"""Streams through the broker: retried until there is content, never cut in silence."""

from __future__ import annotations

from decimal import Decimal

import anyio
import httpx
import pytest

from supervisor.broker.reply import StreamedReply
from supervisor.budget import Budget
from supervisor.clock import LoopClock
from supervisor.errors import (
    DeadlineExceeded,
    InvalidRequest,
    KeyUnusable,
    RequestError,
    UpstreamUnavailable,
)
from supervisor.ledger.prices import Price, Prices
from supervisor.messages import Request, Usage
from tests.broker.desk import Desk, at_work, request
from tests.upstream.api import (
    BAD_KEY,
    BROKEN,
    CUT,
    QUOTA,
    UNAVAILABLE,
    USAGE_CHUNK,
    WHOLE_STREAM,
    Answer,
    ScriptedApi,
    delta,
    streamed,
)

FINISH = delta("", finish="stop")
MINUTE = "100 requests / minute"
WHOLE = b"".join(WHOLE_STREAM).replace(USAGE_CHUNK, b"")
RESET = httpx.ReadError("reset")


async def read(desk: Desk, name: str = "a") -> tuple[bytes, StreamedReply]:
    """All bytes of a streamed answer."""
    async with desk.broker.stream(request(name, stream=True)) as reply:
        passed = b"".join([raw async for raw in reply])
    return passed, reply


async def test_a_stream(virtual: LoopClock) -> None:
    """The events come as they were sent, and what they cost is booked when they have come."""
    api = ScriptedApi(streamed(gap=1.0))
    async with at_work(virtual, MINUTE, "9000 tokens / minute", api=api) as desk:
        passed, reply = await read(desk)
        assert passed == WHOLE
        assert (reply.status, reply.attempts, reply.usage) == (200, 1, Usage(10, 5))
        assert desk.ledger.outcomes == ["answered"]
        assert desk.ledger.settled[0][1].usage == Usage(10, 5)
        assert desk.ledger.settled[0][1].latency == pytest.approx(4.0, abs=0.01)
        assert desk.broker.snapshot().quota.windows[1].used == 15
        assert (desk.of().answered, desk.of().completion_tokens) == (1, 5)


async def test_events_come_as_they_are_sent(virtual: LoopClock) -> None:
    """No event is held back until the next one comes."""
    times: list[float] = []
    async with (
        at_work(virtual, MINUTE, api=ScriptedApi(streamed(gap=1.0))) as desk,
        desk.broker.stream(request("a", stream=True)) as reply,
    ):
        async for _ in reply:
            times.append(virtual.monotonic())
    assert times == pytest.approx([0, 1, 2, 4], abs=0.01)


@pytest.mark.parametrize(
    "answer",
    [streamed(UNAVAILABLE), BROKEN, CUT, streamed(b"data: {"), streamed(delta("a"), UNAVAILABLE)],
    ids=["error event", "500", "cut", "cut in the first event", "error in the first bytes"],
)
async def test_it_is_retried_before_the_first_content(virtual: LoopClock, answer: Answer) -> None:
    """Until something was passed on, a failed stream is repeated like any other attempt."""
    api = ScriptedApi(answer, streamed())
    if answer.body == (delta("a"), UNAVAILABLE):
        api = ScriptedApi(streamed(delta("a") + UNAVAILABLE), streamed())
    async with at_work(virtual, MINUTE, api=api) as desk:
        passed, reply = await read(desk)
        assert (passed, reply.attempts) == (WHOLE, 2)
        assert api.times == pytest.approx([0, 1], abs=0.01)
        assert [attempt.id for attempt in desk.ledger.recorded] == ["a/1", "a/2"]


async def test_a_keep_alive_is_no_content(virtual: LoopClock) -> None:
    """A comment keeps a connection alive and says nothing: the error after it is the first word."""
    api = ScriptedApi(streamed(b": keep-alive\n\n", UNAVAILABLE), streamed())
    async with at_work(virtual, MINUTE, api=api) as desk:
        passed, reply = await read(desk)
        assert (passed, reply.attempts) == (WHOLE, 2)


async def test_it_is_given_up_after_all_retries(virtual: LoopClock) -> None:
    """A stream that never begins is an error before the block is entered."""
    api = ScriptedApi(default=streamed(UNAVAILABLE))
    async with at_work(virtual, MINUTE, api=api, max_retries=2) as desk:
        with pytest.raises(UpstreamUnavailable, match="Timed out waiting for first token"):
            await read(desk)
        assert len(api.arrivals) == 3
        assert desk.of().since_start.failed == 1


async def test_a_refusal_for_quota(virtual: LoopClock) -> None:
    """A streamed request pauses everybody and probes like any other."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(QUOTA, streamed())) as desk:
        passed, reply = await read(desk)
        assert (passed, reply.attempts) == (WHOLE, 2)
        assert desk.of().refused == 1


async def test_a_bad_key(virtual: LoopClock) -> None:
    """A streamed request halts everybody like any other."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(BAD_KEY)) as desk:
        with pytest.raises(KeyUnusable):
            await read(desk)
        assert desk.broker.snapshot().state == "halted"


@pytest.mark.parametrize(
    "answer",
    [
        streamed(delta("a"), UNAVAILABLE),
        streamed(delta("a"), cut=RESET),
        streamed(delta("a")),
        streamed(delta("a"), b"data: nonsense\n\n"),
    ],
    ids=["error event", "reset", "end without an end", "nonsense"],
)
async def test_after_content_it_raises(virtual: LoopClock, answer: Answer) -> None:
    """A stream that breaks off ends with an error, never as if it were whole or to be repeated."""
    passed: list[bytes] = []
    async with at_work(virtual, MINUTE, api=ScriptedApi(answer)) as desk:

        async def listen() -> None:
            async with desk.broker.stream(request("a", stream=True)) as reply:
                async for raw in reply:
                    passed.append(raw)

        with pytest.raises(UpstreamUnavailable):
            await listen()
        assert passed == [delta("a")]
        assert len(desk.api.arrivals) == 1
        assert desk.ledger.outcomes != ["answered"]
        assert (desk.of().answered, desk.of().since_start.failed) == (0, 1)


@pytest.mark.parametrize("last", [FINISH, FINISH + USAGE_CHUNK], ids=["no usage", "usage"])
async def test_a_cut_after_the_finish(virtual: LoopClock, last: bytes) -> None:
    """It has failed; what it has used is spent, and where that is not said, what was reserved."""
    api = ScriptedApi(streamed(delta("a"), last, cut=RESET))
    prices = Prices({"grok-4.7": Price(Decimal(0), Decimal(0), Decimal(100))})
    budgets = (Budget.parse("1 usd / day"),)
    async with at_work(virtual, MINUTE, api=api, budgets=budgets, prices=prices) as desk:
        async with desk.broker.stream(request("a", stream=True)) as reply:
            (before,) = desk.broker.snapshot().budgets
            with pytest.raises(UpstreamUnavailable):
                async for _ in reply:
                    pass
        (after,) = desk.broker.snapshot().budgets
        assert desk.ledger.outcomes == ["connection"]
        assert (desk.of().answered, desk.of().since_start.failed) == (0, 1)
    spent = 5_000_000 if USAGE_CHUNK in last else 0
    assert before.reserved > 0
    assert (after.spent, after.reserved) == (spent, 0)
    assert after.unpriced == (0 if spent else before.reserved)


async def test_a_broken_stream_is_not_answered(virtual: LoopClock) -> None:
    """Whoever handles the error inside the block does not make an answer of it."""
    api = ScriptedApi(streamed(delta("a"), cut=RESET))
    async with at_work(virtual, MINUTE, api=api) as desk:
        async with desk.broker.stream(request("a", stream=True)) as reply:
            with pytest.raises(UpstreamUnavailable):
                async for _ in reply:
                    pass
        assert (desk.of().answered, desk.of().since_start.failed) == (0, 1)


async def test_leaving_early(virtual: LoopClock) -> None:
    """Leaving the block closes the response; what was reserved stays counted."""
    api = ScriptedApi(streamed(gap=1.0))
    async with at_work(virtual, MINUTE, "9000 tokens / minute", api=api) as desk:
        async with desk.broker.stream(request("a", stream=True)) as reply:
            async for _ in reply:
                break
        assert not api.open
        assert virtual.monotonic() < 0.1
        assert desk.broker.snapshot().quota.windows[1].used > 1_000
        assert desk.idle


async def test_cancelled_in_mid_stream(virtual: LoopClock) -> None:
    """A client that hangs up in mid-stream closes the response and stays counted."""
    api = ScriptedApi(streamed(gap=1.0))
    async with at_work(virtual, MINUTE, "9000 tokens / minute", api=api) as desk:
        with anyio.move_on_after(1.5):
            await read(desk)
        assert not api.open
        requests, tokens = desk.broker.snapshot().quota.windows
        assert requests.used == 1
        assert tokens.used > 1_000
        assert desk.idle
        assert desk.of().answered == 0


async def test_cancelled_in_mid_stream_is_no_answer(virtual: LoopClock) -> None:
    """The ledger does not call answered what was broken off."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(streamed(gap=1.0))) as desk:
        with anyio.move_on_after(1.5):
            await read(desk)
        (row,) = await desk.ledger.usage()
        assert row.answered == desk.of().answered == 0


async def test_cancelled_before_the_first_event(virtual: LoopClock) -> None:
    """Whoever gives up while the model still thinks leaves nothing behind."""
    api = ScriptedApi(Answer(body=WHOLE_STREAM, after=60.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        with anyio.move_on_after(5.0):
            await read(desk)
        assert api.arrivals[0].given_up
        assert desk.idle
        assert desk.of().attempts == 1


async def test_an_exception_of_the_reader(virtual: LoopClock) -> None:
    """An exception inside the block passes through and closes the response."""
    api = ScriptedApi(streamed(gap=1.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        with pytest.raises(KeyError):
            async with desk.broker.stream(request("a", stream=True)):
                raise KeyError("mine")
        assert not api.open
        assert desk.idle


async def test_a_deadline(virtual: LoopClock) -> None:
    """A stream that cannot begin in time is given up like any request."""
    async with at_work(virtual, "1 requests / 10s") as desk:
        await desk.ask("x")
        desk.start("y")
        await anyio.sleep(0.5)
        with pytest.raises(DeadlineExceeded):
            async with desk.broker.stream(request("a", stream=True, deadline=12.0)):
                pass
        await desk.until("y")
        assert desk.api.names == ["x", "y"]


@pytest.mark.parametrize("body", [b"{nope", b"[]", b""])
async def test_a_body_that_is_no_document(virtual: LoopClock, body: bytes) -> None:
    """A malformed body is its author's error, and nothing is spent on it."""
    async with at_work(virtual, MINUTE) as desk:
        asked = Request(id="a", traffic_class="code", body=body, stream=True)
        with pytest.raises((InvalidRequest, RequestError)):
            async with desk.broker.stream(asked):
                pass
        assert desk.ledger.recorded == []
