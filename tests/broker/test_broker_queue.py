"""Waiting: who goes first, who is refused, who gives up, and what that costs."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from supervisor.clock import LoopClock
from supervisor.errors import DeadlineExceeded, QueueFull
from supervisor.messages import Priority, TrafficClass
from tests.broker.desk import CODE, PatientClock, at_work, most_within
from tests.upstream.api import BROKEN, Answer, ScriptedApi

ONE = "1 requests / 10s"
URGENT = TrafficClass("urgent", priority=Priority.URGENT)
LOW = TrafficClass("low", priority=Priority.LOW)
TEAM = (URGENT, CODE, LOW)


async def test_first_come_first_served(virtual: LoopClock) -> None:
    """Within a class the order of asking is the order of going, at the pace of the window."""
    names = list("abcdef")
    async with at_work(virtual, ONE, jitter=0.5) as desk:
        for name in names:
            desk.start(name)
            await anyio.lowlevel.checkpoint()
        await desk.until(*names)
        assert desk.api.names == names
        assert desk.api.times == pytest.approx([0, 10.5, 21, 31.5, 42, 52.5], abs=0.01)
        waits = [desk.replies[name].wait for name in names]
        assert waits == pytest.approx([0, 10.5, 21, 31.5, 42, 52.5], abs=0.01)


async def test_the_urgent_go_first(virtual: LoopClock) -> None:
    """Who goes is decided when there is room, and then the most urgent goes."""
    async with at_work(virtual, ONE, classes=TEAM) as desk:
        for name, traffic_class in [("x", "low"), ("a", "low"), ("b", "code"), ("c", "urgent")]:
            desk.start(name, traffic_class)
            await anyio.sleep(1)
        await desk.until("x", "a", "b", "c")
        assert desk.api.names == ["x", "c", "b", "a"]


async def test_priority_is_inherited(virtual: LoopClock) -> None:
    """What an urgent job delegates waits as urgent work does, and never as less than its own."""
    async with at_work(virtual, ONE, classes=TEAM) as desk:
        await desk.ask("x")
        desk.start("own", "code")
        desk.start("delegated", "low", priority=int(Priority.URGENT))
        desk.start("less", "urgent", priority=int(Priority.LOWEST))
        await desk.until("own", "delegated", "less")
        assert set(desk.api.names[1:3]) == {"delegated", "less"}
        assert desk.api.names[3] == "own"


async def test_a_retry_keeps_its_age(virtual: LoopClock) -> None:
    """Who has waited longest is not put at the end for the API's fault."""
    api = ScriptedApi(BROKEN)
    async with at_work(virtual, ONE, api=api) as desk:
        for name in "abc":
            desk.start(name)
            await anyio.lowlevel.checkpoint()
        await desk.until("a", "b", "c")
        assert api.names == ["a", "a", "b", "c"]


async def test_a_retry_that_is_not_due_lets_others_go(virtual: LoopClock) -> None:
    """A back-off holds up nobody else."""
    api = ScriptedApi(BROKEN)
    async with at_work(virtual, "100 requests / minute", api=api) as desk:
        desk.start("a")
        await anyio.sleep(0.5)
        await desk.ask("b")
        await desk.until("a")
        assert api.names == ["a", "b", "a"]
        assert api.times == pytest.approx([0, 0.5, 1.0], abs=0.01)


async def test_cancelled_in_the_queue(virtual: LoopClock) -> None:
    """Leaving the queue costs nothing and frees the place at once."""
    narrow = TrafficClass("code", queue=2)
    async with at_work(virtual, ONE, classes=[narrow]) as desk:
        await desk.ask("x")
        scope = desk.start("a")
        desk.start("b")
        await anyio.sleep(1)
        with pytest.raises(QueueFull):
            await desk.ask("c")
        scope.cancel()
        await desk.until("a")
        assert desk.of().queued == 1
        desk.start("c")
        await desk.until("b", "c")
        assert desk.api.names == ["x", "b", "c"]
        assert [one.id for one in desk.ledger.recorded] == ["x/1", "b/1", "c/1"]
        assert desk.api.times == pytest.approx([0, 10.25, 20.5], abs=0.1)


async def test_cancelled_in_a_back_off(virtual: LoopClock) -> None:
    """A request that waits for its retry can be cancelled like one that waits for room."""
    api = ScriptedApi(BROKEN)
    async with at_work(virtual, ONE, api=api) as desk:
        scope = desk.start("a")
        await anyio.sleep(0.5)
        assert desk.of().queued == 1
        scope.cancel()
        await desk.until("a")
        assert desk.of().queued == 0
        await anyio.sleep(60)
        assert len(api.arrivals) == 1


async def test_cancelled_in_flight(virtual: LoopClock) -> None:
    """What was sent stays counted, and its connection is closed."""
    api = ScriptedApi(Answer(after=60.0))
    async with at_work(virtual, "1 requests / minute", "9000 tokens / minute", api=api) as desk:
        scope = desk.start("a")
        await anyio.sleep(1)
        scope.cancel()
        await desk.until("a")
        assert api.arrivals[0].given_up
        requests, tokens = desk.broker.snapshot().quota.windows
        assert requests.used == 1
        assert tokens.used > 1_000
        assert desk.of().in_flight == 0
        await desk.ask("b")
        assert api.times[1] == pytest.approx(60.25, abs=0.01)


async def test_a_cancelled_attempt_is_called_that(virtual: LoopClock) -> None:
    """The ledger tells what was cancelled from what failed."""
    api = ScriptedApi(Answer(after=60.0))
    async with at_work(virtual, ONE, api=api) as desk:
        scope = desk.start("a")
        await anyio.sleep(1)
        scope.cancel()
        await desk.until("a")
        assert desk.ledger.outcomes == ["cancelled"]


async def test_cancelled_while_being_written_down(virtual: LoopClock) -> None:
    """An attempt is settled after it was written down, never before."""
    async with at_work(virtual, ONE) as desk:
        desk.ledger.slow = 1.0
        scope = desk.start("a")
        await anyio.sleep(0.5)
        scope.cancel()
        await anyio.sleep(2)
        assert not desk.api.arrivals
        assert desk.ledger.premature == []


async def test_a_full_queue(virtual: LoopClock) -> None:
    """A queue at its bound refuses at once and says how long the wait would be; others are free."""
    narrow = TrafficClass("narrow", queue=3)
    async with at_work(virtual, ONE, classes=[narrow, CODE]) as desk:
        await desk.ask("x")
        for name in "abc":
            desk.start(name, "narrow")
        await anyio.sleep(0.25)
        with pytest.raises(QueueFull, match=r"3 requests of narrow wait already.* 4\d s") as caught:
            await desk.ask("d", "narrow")
        assert caught.value.status == 429
        assert caught.value.retry_after is not None
        assert 1.0 <= caught.value.retry_after <= 41.0
        desk.start("e")
        assert desk.of("narrow").since_start.requests == 3
        await desk.until("a", "b", "c", "e")
        assert "d" not in desk.api.names


async def test_a_full_queue_of_a_paused_key(virtual: LoopClock) -> None:
    """While nothing is sent, a full queue says so and why, and promises no wait."""
    narrow = TrafficClass("narrow", queue=1)
    async with at_work(virtual, ONE, classes=[narrow]) as desk:
        desk.broker.pause("lunch")
        desk.start("a", "narrow")
        await anyio.sleep(1)
        with pytest.raises(QueueFull, match="nothing is sent now: paused: lunch ") as caught:
            await desk.ask("b", "narrow")
        assert "would wait" not in str(caught.value)
        assert caught.value.retry_after == 30.0
        desk.broker.resume()
        await desk.until("a")


async def test_a_full_queue_of_a_refused_quota(virtual: LoopClock) -> None:
    """A pause whose end is known counts into the wait that a full queue tells."""
    narrow = TrafficClass("narrow", queue=1)
    refused = Answer(429, headers={"retry-after": "50"})
    limits = "100 requests / minute"
    async with at_work(virtual, limits, api=ScriptedApi(refused), classes=[narrow]) as desk:
        desk.start("a", "narrow")
        await anyio.sleep(1)
        with pytest.raises(QueueFull, match="a new one would wait about 49 s "):
            await desk.ask("b", "narrow")
        await desk.until("a")


async def test_a_deadline_in_the_queue(virtual: LoopClock) -> None:
    """A request that cannot be sent in time is given up at its deadline and costs nothing."""
    async with at_work(virtual, ONE) as desk:
        await desk.ask("x")
        desk.start("a")
        await anyio.sleep(0.25)
        started = virtual.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"given up after 15\.0 s.* passed; 1 of 1 req"):
            await desk.ask("late", deadline=15.0)
        assert virtual.monotonic() - started == pytest.approx(15.0, abs=0.01)
        await desk.until("a")
        assert desk.api.names == ["x", "a"]
        assert [one.id for one in desk.ledger.recorded] == ["x/1", "a/1"]


async def test_a_deadline_that_cannot_be_met(virtual: LoopClock) -> None:
    """What even an empty queue could not send in time is refused at once, with the numbers."""
    async with at_work(virtual, ONE) as desk:
        await desk.ask("x")
        started = virtual.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"10\.\d s at the soonest.* 5 s") as caught:
            await desk.ask("a", deadline=5.0)
        assert virtual.monotonic() - started < 0.001
        assert caught.value.retry_after == pytest.approx(5.25, abs=0.05)
        assert (await desk.ask("b", deadline=11.0)).attempts == 1


async def test_a_deadline_in_a_back_off(virtual: LoopClock) -> None:
    """A retry is not sent after the deadline either."""
    api = ScriptedApi(default=BROKEN)
    async with at_work(virtual, "100 requests / minute", api=api) as desk:
        with pytest.raises(DeadlineExceeded):
            await desk.ask("a", deadline=2.5)
        assert api.times == pytest.approx([0, 1], abs=0.01)


async def test_a_deadline_that_passes_in_flight(virtual: LoopClock) -> None:
    """An attempt may outlive the deadline, but no further one is sent after it."""
    api = ScriptedApi(Answer(500, b"no", after=11.0))
    async with at_work(virtual, "100 requests / minute", api=api) as desk:
        desk.start("a", deadline=10.0)
        await desk.until("a")
        assert len(api.arrivals) == 1
        assert isinstance(desk.errors["a"], DeadlineExceeded)


async def test_failures_are_failures_of_requests(virtual: LoopClock) -> None:
    """No class has more failed requests than requests."""
    async with at_work(virtual, ONE) as desk:
        await desk.ask("x")
        with pytest.raises(DeadlineExceeded):
            await desk.ask("a", deadline=5.0)
        counted = desk.of().since_start
        assert counted.answered + counted.failed <= counted.requests


async def test_the_window_is_exact(virtual: LoopClock) -> None:
    """However many wait, no window holds more attempts than its limit."""
    limits = "5 requests / 10s", "20 requests / minute"
    names = [f"n{number}" for number in range(60)]
    async with at_work(virtual, *limits) as desk:
        for name in names:
            desk.start(name)
        await desk.until(*names)
        assert most_within(desk.api.times, 10.0) == 5
        assert most_within(desk.api.times, 60.0) == 20


IDLE = (
    TrafficClass("ceo", priority=Priority.HIGH, share=0.5),
    TrafficClass("quality", priority=Priority.HIGH, share=0.5),
    LOW,
)


@pytest.mark.parametrize(
    "limits", [("100 requests / minute",), ("100 requests / minute", "3000 requests / hour")]
)
@pytest.mark.usefixtures("virtual")
async def test_what_is_not_needed_is_lent(limits: tuple[str, ...]) -> None:
    """Shares of classes that want nothing are nobody's obstacle."""
    async with at_work(PatientClock(3_000), *limits, classes=IDLE) as desk:
        for name in "abc":
            reply = await desk.ask(name, "low", deadline=600.0)
            assert reply.wait < 5.0


@pytest.mark.usefixtures("virtual")
async def test_idle_tokens_are_lent() -> None:
    """A request that fits into the window goes, even if it needs what others do not."""
    clock = PatientClock(3_000)
    limits = "100 requests / minute", "3000 tokens / minute"
    async with at_work(clock, *limits, classes=[IDLE[0], LOW]) as desk:
        for name in "abc":
            await desk.ask(name, "low", size=3_000, deadline=600.0)
            await anyio.sleep(120.0)
