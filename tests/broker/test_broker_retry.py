"""After a failure: what is repeated, when, how often, and who pauses for it."""

from __future__ import annotations

import anyio
import httpx
import pytest

from supervisor.clock import LoopClock
from supervisor.errors import QuotaRefused, UpstreamUnavailable
from supervisor.messages import TrafficClass
from tests.broker.desk import CODE, at_work, most_within
from tests.upstream.api import BROKEN, CAPACITY, CUT, JSON, QUOTA, Answer, ScriptedApi, flat

MINUTE = "100 requests / minute"
SLOW = Answer(cut=httpx.ReadTimeout("slow"))
EMPTY = Answer(body=b"")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (CAPACITY, 429),
        (BROKEN, 500),
        (Answer(524, b"<html>"), 524),
        (CUT, None),
        (SLOW, None),
        (EMPTY, 200),
    ],
    ids=["capacity", "500", "cloudflare", "cut", "time-out", "empty"],
)
@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_it_is_retried_and_then_given_up(
    virtual: LoopClock, answer: Answer, status: int | None, retries: int
) -> None:
    """What may pass is tried `max_retries` times more, after 1, 2 and 4 s, then it is an error."""
    async with at_work(
        virtual, MINUTE, api=ScriptedApi(default=answer), max_retries=retries
    ) as desk:
        with pytest.raises(UpstreamUnavailable) as caught:
            await desk.ask("a")
        assert caught.value.upstream_status == status
        assert caught.value.status == 502
        assert desk.api.times == pytest.approx([0, 1, 3, 7][: retries + 1], abs=0.01)
        shown = desk.of()
        assert (shown.attempts, shown.since_start.failed, shown.refused) == (retries + 1, 1, 0)


@pytest.mark.parametrize("answer", [CAPACITY, BROKEN, CUT, SLOW, EMPTY])
async def test_a_retry_can_succeed(virtual: LoopClock, answer: Answer) -> None:
    """Whoever asks does not notice a failure that passes, but for the time."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(answer)) as desk:
        reply = await desk.ask("a")
        assert (reply.status, reply.attempts) == (200, 2)
        assert reply.wait == pytest.approx(1.0, abs=0.01)


async def test_the_apis_word_wins(virtual: LoopClock) -> None:
    """Retry-After says when to come back; believed in vain, it only lengthens our own delays."""
    api = ScriptedApi(
        Answer(503, b"no", {**JSON, "retry-after": "30"}),
        Answer(503, b"no", {**JSON, "retry-after-ms": "500"}),
        BROKEN,
    )
    async with at_work(virtual, MINUTE, api=api) as desk:
        await desk.ask("a")
        assert api.times == pytest.approx([0, 30, 32, 36], abs=0.01)


async def test_a_retry_waits_for_room(virtual: LoopClock) -> None:
    """A retry spends quota, so it waits for it like everybody."""
    api = ScriptedApi(default=BROKEN)
    async with at_work(virtual, "1 requests / 10s", api=api, jitter=0.0) as desk:
        desk.start("a")
        await desk.until("a")
        assert api.times == pytest.approx([0, 10, 20, 30], abs=0.01)


async def test_the_api_says_do_not(virtual: LoopClock) -> None:
    """With `x-should-retry: false` the first attempt is the last."""
    api = ScriptedApi(default=Answer(503, b"no", {**JSON, "x-should-retry": "false"}))
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await desk.until("a")
        assert len(api.arrivals) == 1


async def test_one_refusal_teaches_everybody(virtual: LoopClock) -> None:
    """After a 429 for quota nobody sends, then one probe goes, then the rest; all are answered."""
    names = [f"n{number}" for number in range(6)]
    api = ScriptedApi(Answer(429, QUOTA.body, after=0.1), default=Answer(after=0.5))
    async with at_work(
        virtual, MINUTE, api=api, classes=[TrafficClass("code", concurrency=None)]
    ) as desk:
        desk.start("first")
        await anyio.sleep(0.2)
        for name in names:
            desk.start(name)
        await desk.until("first", *names)
        assert not desk.errors
        assert api.times[:2] == pytest.approx([0, 1.1], abs=0.01)
        assert api.names[1] == "first"
        assert min(api.times[2:]) > 1.59
        assert desk.of().refused == 1


async def test_refusals_that_were_under_way(virtual: LoopClock) -> None:
    """Attempts that were sent before the pause belong to the same refusal: one step of back-off."""
    refused = Answer(429, QUOTA.body, after=0.4)
    names = [f"n{number}" for number in range(5)]
    api = ScriptedApi(*[refused] * 5)
    async with at_work(virtual, MINUTE, api=api) as desk:
        for name in names:
            desk.start(name)
        await desk.until(*names)
        assert not desk.errors
        assert len(api.arrivals) == 10
        assert api.times[5] == pytest.approx(1.4, abs=0.02)
        assert desk.of().refused == 5


async def test_the_back_off_doubles(virtual: LoopClock) -> None:
    """Each refused probe doubles the pause up to eight seconds, and Retry-After wins."""
    api = ScriptedApi(*[QUOTA] * 5, Answer(429, QUOTA.body, {**JSON, "retry-after": "20"}))
    async with at_work(virtual, MINUTE, api=api) as desk:
        await desk.ask("a")
        assert api.times == pytest.approx([0, 1, 3, 7, 15, 23, 43], abs=0.01)


async def test_a_refusal_is_no_retry(virtual: LoopClock) -> None:
    """Waiting for quota uses up no retries."""
    api = ScriptedApi(*[QUOTA] * 4, BROKEN)
    async with at_work(virtual, MINUTE, api=api, max_retries=1) as desk:
        assert (await desk.ask("a")).attempts == 6


async def test_refused_for_ever(virtual: LoopClock) -> None:
    """A server that never lets anybody in is an error in the end, with its words."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(default=QUOTA)) as desk:
        with pytest.raises(QuotaRefused, match="Requests per Minute") as caught:
            await desk.ask("a")
        assert (caught.value.status, caught.value.upstream_status) == (429, 429)
        assert caught.value.body == QUOTA.body
        assert len(desk.api.arrivals) == 20


async def test_a_probe_that_fails_otherwise(virtual: LoopClock) -> None:
    """A probe that says nothing about quota is followed by another probe, not by everybody."""
    names = ["a", "b", "c"]
    api = ScriptedApi(QUOTA, BROKEN, default=Answer(after=0.5))
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(0.1)
        desk.start("b")
        desk.start("c")
        await desk.until(*names)
        assert len(api.arrivals) == 5
        assert api.times[1] == pytest.approx(1.0, abs=0.01)
        assert api.times[3] - api.times[2] > 0.49


async def test_a_probe_that_thinks_long(virtual: LoopClock) -> None:
    """An answer may take minutes, a refusal never does: after two silent seconds the rest goes."""
    api = ScriptedApi(QUOTA, default=Answer(after=300.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(0.1)
        desk.start("b")
        await desk.until("a", "b")
        assert api.times == pytest.approx([0, 1, 3], abs=0.02)


async def test_a_cancelled_probe(virtual: LoopClock) -> None:
    """Cancelling the probe leaves the way free for another one."""
    api = ScriptedApi(QUOTA, Answer(after=300.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        scope = desk.start("a")
        await anyio.sleep(0.1)
        desk.start("b")
        await anyio.sleep(1.4)
        scope.cancel()
        await desk.until("a", "b")
        assert api.names == ["a", "a", "b"]
        assert 1.49 < api.times[2] < 2.0


async def test_a_failing_api_gets_no_more_than_its_limits(virtual: LoopClock) -> None:
    """Whatever fails and is retried, no window holds more attempts than its limit."""
    bad = [BROKEN, CAPACITY, CUT, QUOTA, EMPTY, SLOW]
    api = ScriptedApi(*bad * 8)
    names = [f"n{number}" for number in range(40)]
    async with at_work(virtual, "5 requests / 10s", "20 requests / minute", api=api) as desk:
        for name in names:
            desk.start(name)
        await desk.until(*names)
        assert most_within(api.times, 10.0) <= 5
        assert most_within(api.times, 60.0) <= 20
        assert len(desk.replies) + len(desk.errors) == 40
        assert len(desk.ledger.recorded) == len(api.arrivals)


async def test_one_closed_model_halts_nobody(virtual: LoopClock) -> None:
    """A model that is not open to the team is its asker's error, and nobody else's."""
    closed = Answer(429, flat("resource-exhausted", "Requests per Minute (actual/limit): 0/0"))
    async with at_work(virtual, MINUTE, api=ScriptedApi(closed), classes=[CODE]) as desk:
        desk.start("a")
        await desk.until("a")
        assert desk.errors["a"].code == "key_unusable"
        assert "not open" in desk.errors["a"].hint
        await desk.ask("b")
        assert desk.api.names == ["a", "b"]
