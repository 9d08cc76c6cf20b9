"""Why am I waiting? Each obstacle has its name, and the forecast comes true."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from supervisor.broker.snapshot import Why
from supervisor.clock import LoopClock
from supervisor.messages import Priority, TrafficClass
from tests.broker.desk import CODE, Desk, at_work
from tests.upstream.api import BROKEN, QUOTA, Answer, ScriptedApi, completion

LOW = TrafficClass("low", priority=Priority.LOW)
CEO = TrafficClass("ceo", priority=Priority.HIGH, share=0.5)


async def why(desk: Desk, name: str, traffic_class: str = "code", **fields: int) -> Why:
    """Ask, and look half a second later why it waits."""
    desk.start(name, traffic_class, **fields)
    await anyio.sleep(0.5)
    answer = desk.broker.why(name)
    assert answer is not None
    return answer


async def test_nobody_waits(virtual: LoopClock) -> None:
    """Who is unknown, in flight or answered does not wait."""
    async with at_work(
        virtual, "100 requests / minute", api=ScriptedApi(Answer(after=5.0))
    ) as desk:
        assert desk.broker.why("a") is None
        desk.start("a")
        await anyio.sleep(1)
        assert desk.broker.why("a") is None
        await desk.until("a")
        assert desk.broker.why("a") is None
        assert desk.of().why == ""


async def test_a_full_window(virtual: LoopClock) -> None:
    """The limit that is full is named, and when it has room again."""
    async with at_work(virtual, "1 requests / 10s", "50 requests / hour") as desk:
        await desk.ask("x")
        answer = await why(desk, "a")
        assert (answer.obstacle, answer.place, answer.urgent_ahead) == ("window", 1, 0)
        assert answer.detail == "1 of 1 requests / 10s used"
        assert answer.waited == pytest.approx(0.5, abs=0.01)
        assert answer.expected == pytest.approx(9.75, abs=0.01)
        text = "first in line; 1 of 1 requests / 10s used; expected to go in 9."
        assert str(answer).startswith(text)
        assert desk.of().why == str(answer)


async def test_the_turn(virtual: LoopClock) -> None:
    """Who stands further back sees how many go first, and how many of them are more urgent."""
    async with at_work(virtual, "2 requests / 10s", classes=[CODE, LOW]) as desk:
        await desk.ask("x")
        await desk.ask("y")
        await why(desk, "urgent")
        await why(desk, "first", "low")
        answer = await why(desk, "second", "low")
        assert (answer.place, answer.urgent_ahead) == (3, 1)
        assert "2 ahead, 1 more urgent" in str(answer)


async def test_before_the_dispatcher_has_looked(virtual: LoopClock) -> None:
    """A request with nothing in its way waits for its turn, first or behind others."""
    async with at_work(virtual, "100 requests / minute") as desk:
        desk.start("a")
        desk.start("b")
        await anyio.lowlevel.checkpoint()
        first, second = desk.broker.why("a"), desk.broker.why("b")
        assert first is not None
        assert second is not None
        assert (first.obstacle, first.detail) == ("turn", "it is its turn")
        assert (second.obstacle, second.detail) == ("turn", "others go first")
        assert first.expected == second.expected == 0.0
        await desk.until("a", "b")


async def test_a_reserve(virtual: LoopClock) -> None:
    """Room that is kept for another class is named with that class."""
    names = "wxyz"
    async with at_work(virtual, "4 requests / minute", classes=[CEO, LOW]) as desk:
        for name in names:
            desk.start(name, "low")
        await anyio.sleep(5)
        answer = desk.broker.why("z")
        assert answer is not None
        assert answer.obstacle == "reserve"
        assert answer.detail.endswith("of 4 requests / minute kept for ceo")
        await desk.until(*names)


async def test_a_ceiling(virtual: LoopClock) -> None:
    """A class that has had its own part hears that it is its ceiling."""
    narrow = TrafficClass("code", ceiling=("1 requests / 10s",))
    async with at_work(virtual, "100 requests / minute", classes=[narrow]) as desk:
        await desk.ask("x")
        answer = await why(desk, "a")
        assert answer.obstacle == "ceiling"
        assert answer.detail == "its ceiling of 1 requests / 10s is reached"
        assert answer.expected == pytest.approx(9.5, abs=0.01)


async def test_concurrency(virtual: LoopClock) -> None:
    """A class with as many in flight as it may have hears so."""
    narrow = TrafficClass("code", concurrency=1)
    api = ScriptedApi(Answer(after=30.0))
    async with at_work(virtual, "100 requests / minute", api=api, classes=[narrow]) as desk:
        desk.start("x")
        await anyio.lowlevel.checkpoint()
        answer = await why(desk, "a")
        assert answer.obstacle == "concurrency"
        assert answer.detail == "1 of its requests are in flight"


async def test_concurrency_has_no_forecast(virtual: LoopClock) -> None:
    """When an answer comes is anybody's guess: there is no forecast (Why: None)."""
    narrow = TrafficClass("code", concurrency=1)
    api = ScriptedApi(Answer(after=30.0))
    async with at_work(virtual, "100 requests / minute", api=api, classes=[narrow]) as desk:
        desk.start("x")
        await anyio.lowlevel.checkpoint()
        assert (await why(desk, "a")).expected is None


async def test_a_pause(virtual: LoopClock) -> None:
    """After a refusal everybody hears of the pause, and until when it lasts."""
    api = ScriptedApi(QUOTA, default=Answer(after=0.5))
    async with at_work(virtual, "100 requests / minute", api=api) as desk:
        desk.start("x")
        await anyio.sleep(0.1)
        answer = await why(desk, "a")
        assert (answer.obstacle, answer.detail) == ("pause", "the server refused for quota")
        assert answer.expected is not None
        assert 0.39 < answer.expected < 2.0


async def test_a_probe(virtual: LoopClock) -> None:
    """While one attempt finds out whether the server lets us in, the others hear so."""
    api = ScriptedApi(QUOTA, default=Answer(after=1.0))
    async with at_work(virtual, "100 requests / minute", api=api) as desk:
        desk.start("x")
        await anyio.sleep(0.9)
        answer = await why(desk, "a")
        assert (answer.obstacle, answer.detail) == ("pause", "one probe is under way")


async def test_paused_by_hand(virtual: LoopClock) -> None:
    """A pause by hand is a pause."""
    async with at_work(virtual, "100 requests / minute") as desk:
        desk.broker.pause("maintenance")
        assert (await why(desk, "a")).obstacle == "pause"
        desk.broker.resume()


async def test_paused_by_hand_is_told_from_a_refusal(virtual: LoopClock) -> None:
    """Nobody blames the server for what an operator did, and nobody knows when he resumes."""
    async with at_work(virtual, "100 requests / minute") as desk:
        desk.broker.pause("maintenance")
        answer = await why(desk, "a")
        desk.broker.resume()
        assert "refused" not in answer.detail
        assert answer.expected is None


async def test_a_back_off(virtual: LoopClock) -> None:
    """A request that waits for its retry hears which one and when."""
    async with at_work(virtual, "100 requests / minute", api=ScriptedApi(BROKEN, BROKEN)) as desk:
        answer = await why(desk, "a")
        assert (answer.obstacle, answer.detail) == ("retry", "retry 1 waits for its turn")
        assert answer.expected == pytest.approx(0.5, abs=0.01)
        assert desk.of().queued == 1


async def test_a_back_off_is_shown(virtual: LoopClock) -> None:
    """A class with somebody waiting always shows why."""
    async with at_work(virtual, "100 requests / minute", api=ScriptedApi(BROKEN)) as desk:
        answer = await why(desk, "a")
        assert desk.of().queued == 1
        assert desk.of().why == str(answer)


async def test_a_burst(virtual: LoopClock) -> None:
    """A server that bounds how much may come at once is named as what it is."""
    async with at_work(virtual, "60 requests / minute burst 2", jitter=0.0) as desk:
        await desk.ask("x")
        await desk.ask("y")
        answer = await why(desk, "a")
        assert answer.obstacle == "burst"
        assert answer.detail == "burst of 60 requests / minute burst 2"
        assert answer.expected == pytest.approx(0.5, abs=0.01)


async def test_the_pace(virtual: LoopClock) -> None:
    """What does not fit into the window is paced, and hears at which rate."""
    classes = [TrafficClass("ceo", priority=Priority.HIGH, share=0.1), LOW]
    limits = "10 requests / minute", "100 requests / hour"
    async with at_work(virtual, *limits, classes=classes) as desk:
        names = [f"n{number}" for number in range(200)]
        scopes = [desk.start(name, "low") for name in names]
        await anyio.sleep(600.0)
        first = desk.broker.why(next(name for name in names if name not in desk.ended))
        for scope in scopes:
            scope.cancel()
        assert first is not None
        assert first.obstacle == "pace"
        assert "a minute, for more is wanted than the window holds" in first.detail


async def test_tokens(virtual: LoopClock) -> None:
    """A full token window is named like any other."""
    api = ScriptedApi(default=Answer(body=completion(100, 1_700)))
    async with at_work(virtual, "100 requests / minute", "2000 tokens / minute", api=api) as desk:
        desk.start("x")
        await anyio.lowlevel.checkpoint()
        answer = await why(desk, "a")
        assert answer.obstacle == "window"
        assert answer.detail == "1800 of 2000 tokens / minute used"


async def test_tokens_have_a_forecast(virtual: LoopClock) -> None:
    """The window knows when the tokens return, so the forecast does too."""
    api = ScriptedApi(default=Answer(body=completion(100, 1_700)))
    async with at_work(virtual, "100 requests / minute", "2000 tokens / minute", api=api) as desk:
        desk.start("x")
        await anyio.lowlevel.checkpoint()
        assert (await why(desk, "a")).expected == pytest.approx(59.75, abs=0.1)


async def test_the_forecast_comes_true(virtual: LoopClock) -> None:
    """For a lone class on an exact window each one's forecast is the moment it really goes."""
    async with at_work(virtual, "5 requests / 10s") as desk:
        # Three windows' worth, so that the limit is believed and nothing trickles any more.
        early = [f"e{number}" for number in range(20)]
        for name in early:
            desk.start(name)
        await desk.until(*early)
        names = [f"n{number}" for number in range(13)]
        for name in names:
            desk.start(name)
            await anyio.sleep(0.1)
        now = virtual.monotonic()
        forecasts = {name: answer.expected for name in names if (answer := desk.broker.why(name))}
        assert len(forecasts) > 5
        await desk.until(*names)
        went = dict(zip(desk.api.names, desk.api.times, strict=True))
        for name, expected in forecasts.items():
            assert expected is not None
            assert went[name] - now == pytest.approx(expected, abs=0.02)


@pytest.mark.slow
async def test_the_forecast_of_a_window_that_fills(virtual: LoopClock) -> None:
    """A window that is not full yet takes a whole window's worth each time round."""
    names = [f"n{number}" for number in range(250)]
    async with at_work(virtual, "100 requests / minute") as desk:
        for name in names:
            desk.start(name)
        await anyio.sleep(0.01)
        answer = desk.broker.why(names[-1])
        assert answer is not None
        assert answer.expected is not None
        now = virtual.monotonic()
        await desk.until(*names)
        assert desk.api.times[-1] - now == pytest.approx(answer.expected, rel=0.1)
