"""The way of one request: admitted, granted, written down, sent, settled, answered."""

from __future__ import annotations

import gc
from dataclasses import asdict

import anyio
import pytest

from supervisor.clock import LoopClock
from supervisor.errors import InvalidRequest, RequestTooLarge, UpstreamRejected
from supervisor.messages import Request, TrafficClass, Usage
from tests.broker.desk import CODE, at_work
from tests.upstream.api import Answer, ScriptedApi, completion, flat

MINUTE = "100 requests / minute"


async def test_an_answer_comes_back(virtual: LoopClock) -> None:
    """Whoever asks gets the body as it came, its usage, its wait and its attempts."""
    body = completion(7, 3)[:-1] + b', "unknown": 1.50}'
    api = ScriptedApi(Answer(body=body, after=2.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        reply = await desk.ask("a")
        assert (reply.status, reply.body, reply.usage) == (200, body, Usage(7, 3))
        assert (reply.attempts, round(reply.wait, 6)) == (1, 0.0)
        assert reply.headers["content-type"] == "application/json"
        shown = asdict(desk.of())
        assert shown["since_start"] == {"requests": 1, "answered": 1, "failed": 0}
        counts = ("attempts", "answered", "refused", "queued", "in_flight")
        assert [shown[name] for name in counts] == [1, 1, 0, 0, 0]
        assert (shown["prompt_tokens"], shown["completion_tokens"]) == (7, 3)


async def test_written_down_before_sent(virtual: LoopClock) -> None:
    """Every attempt is in the ledger before its first byte leaves, retries too."""
    known: list[tuple[str, int]] = []
    api = ScriptedApi(Answer(500, b"no"), Answer(500, b"no"))
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.ledger.slow = 0.5
        api.seen = lambda name: known.append((name, len(desk.ledger.recorded)))
        await desk.ask("a")
        ids = [attempt.id for attempt in desk.ledger.recorded]
    assert known == [("a", 1), ("a", 2), ("a", 3)]
    assert ids == ["a/1", "a/2", "a/3"]


async def test_what_is_written_down(virtual: LoopClock) -> None:
    """An attempt says whom and what it is for, when it was granted, and how long it waited."""
    async with at_work(virtual, "1 requests / minute", jitter=0.0) as desk:
        await desk.ask("a")
        await desk.ask("b", job="job-1")
        attempt, settlement = desk.ledger.settled[1]
        assert (attempt.id, attempt.traffic_class) == ("b/1", "code")
        assert (attempt.model, attempt.job) == ("grok-4.7", "job-1")
        assert attempt.granted == pytest.approx(virtual.wall(), abs=0.01)
        assert attempt.wait == pytest.approx(60.0, abs=0.01)
        assert (settlement.status, settlement.outcome) == (200, "answered")
        assert settlement.usage == Usage(10, 2)


async def test_every_attempt_is_counted(virtual: LoopClock) -> None:
    """A retry spends the quota, and is shown, like any other attempt."""
    api = ScriptedApi(Answer(500, b"no"), Answer(502, b"no"))
    async with at_work(virtual, MINUTE, api=api) as desk:
        reply = await desk.ask("a")
        assert reply.attempts == len(api.arrivals) == 3
        assert desk.broker.snapshot().quota.windows[0].used == 3
        assert desk.of().attempts == 3


async def test_an_unknown_class(virtual: LoopClock) -> None:
    """Nobody but a known role or client may ask, and the error names the known ones."""
    async with at_work(virtual, MINUTE) as desk:
        with pytest.raises(InvalidRequest, match=r"'ghost'.*known are: code"):
            await desk.ask("a", "ghost")
        assert list(desk.broker.names()) == ["code"]
        assert not desk.api.arrivals
        assert not desk.ledger.recorded


async def test_too_large_for_a_window(virtual: LoopClock) -> None:
    """A prompt that no window can ever hold is refused at once, with the numbers."""
    async with at_work(virtual, MINUTE, "16000 tokens / minute") as desk:
        with pytest.raises(RequestTooLarge, match="a whole window holds 16000"):
            await desk.ask("a", size=100_000)
        assert not desk.api.arrivals
        assert not desk.ledger.recorded
        await desk.ask("b", size=1_000)


async def test_an_estimate_locks_nobody_out(virtual: LoopClock) -> None:
    """What has been answered within the window before is not too large for it now."""
    api = ScriptedApi(default=Answer(body=completion(500, 8_500)))
    async with at_work(virtual, MINUTE, "16000 tokens / minute", api=api) as desk:
        for name in "abc":
            await desk.ask(name)
            await anyio.sleep(120)


async def test_a_rejection_is_passed_on(virtual: LoopClock) -> None:
    """What the API refuses for what it says is not sent again; its status and body come back."""
    body = flat("invalid-argument", "Argument not supported: presencePenalty")
    api = ScriptedApi(Answer(422, body))
    async with at_work(virtual, MINUTE, api=api) as desk:
        with pytest.raises(UpstreamRejected, match="presencePenalty") as caught:
            await desk.ask("a")
        assert (caught.value.status, caught.value.upstream_status) == (422, 422)
        assert (caught.value.body, caught.value.content_type) == (body, "application/json")
        assert len(api.arrivals) == 1
        assert desk.of().since_start.failed == 1


@pytest.mark.parametrize("count", [129, 260])
async def test_a_crowd_without_limits(virtual: LoopClock, count: int) -> None:
    """Without limits any number goes at once, in as many batches as it takes."""
    names = [f"n{number}" for number in range(count)]
    async with at_work(virtual) as desk:
        for name in names:
            desk.start(name)
        await desk.until(*names)
        assert sorted(desk.replies) == sorted(names)
        assert virtual.monotonic() < 1.0


async def test_concurrency_is_bounded(virtual: LoopClock) -> None:
    """A class never has more attempts in flight than it may, others go meanwhile."""
    api = ScriptedApi(default=Answer(after=10.0))
    narrow = TrafficClass("narrow", concurrency=2)
    names = [f"n{number}" for number in range(6)]
    async with at_work(virtual, MINUTE, api=api, classes=[narrow, CODE]) as desk:
        for name in names:
            desk.start(name, "narrow")
        await desk.until(*names)
        assert api.most_inside == 2
        assert [round(at) for at in api.times] == [0, 0, 10, 10, 20, 20]
        for name in ("a", "b", "c"):
            desk.start(name)
        await desk.until("a", "b", "c")
        assert api.most_inside == 3


async def test_bounds_can_change(virtual: LoopClock) -> None:
    """A class whose bounds are raised while it waits goes on at once."""
    api = ScriptedApi(default=Answer(after=10.0))
    async with at_work(
        virtual, MINUTE, api=api, classes=[TrafficClass("code", concurrency=1)]
    ) as desk:
        desk.start("a")
        desk.start("b")
        await anyio.sleep(1)
        desk.broker.set_class(TrafficClass("code", concurrency=2))
        await desk.until("a", "b")
        assert [round(at) for at in api.times] == [0, 1]


async def test_an_answered_request_is_forgotten(virtual: LoopClock) -> None:
    """Nothing of a request is left in memory once it has been answered."""
    async with at_work(virtual, MINUTE) as desk:
        for number in range(5):
            await desk.ask(f"gone-{number}", deadline=86_400.0)
        gc.collect()
        left = [one.id for one in gc.get_objects() if type(one) is Request and "gone-" in one.id]
    assert left == []
