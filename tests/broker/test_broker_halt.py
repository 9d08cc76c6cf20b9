"""When nobody's requests can succeed, and when an operator stops sending."""

from __future__ import annotations

import traceback
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from supervisor.clock import LoopClock
from supervisor.errors import Draining, KeyUnusable, RequestError
from tests.broker.desk import at_work
from tests.upstream.api import BAD_KEY, BROKEN, FAKE_KEY, Answer, ScriptedApi, flat

MINUTE = "100 requests / minute"
NO_CREDITS = Answer(429, flat("x", "Your team has used all available credits"))
NO_KEY = Answer(401, b"")
BLOCKED = Answer(403, flat("personal-team-blocked:spending-limit", "Blocked."))


@pytest.mark.parametrize("answer", [BAD_KEY, NO_CREDITS, NO_KEY, BLOCKED])
async def test_all_are_told_at_once(virtual: LoopClock, answer: Answer) -> None:
    """When the key is unusable everybody who waits hears it now, with what to do about it."""
    names = list("abcdef")
    async with at_work(virtual, "2 requests / minute", api=ScriptedApi(default=answer)) as desk:
        for name in names:
            desk.start(name)
        await desk.until(*names)
        assert virtual.monotonic() < 0.1
        for error in desk.errors.values():
            assert isinstance(error, KeyUnusable)
            assert error.status == 503
            assert error.hint
            assert FAKE_KEY not in f"{error} {error!r} {error.body!r}"
        assert len(desk.api.arrivals) == 2
        snapshot = desk.broker.snapshot()
        assert snapshot.state == "halted"
        assert "console.x.ai" in snapshot.reason


async def test_those_in_a_back_off_are_told_too(virtual: LoopClock) -> None:
    """A request that waits for its retry need not wait any longer."""
    api = ScriptedApi(Answer(503, b"no", {"retry-after": "60"}), BAD_KEY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(1)
        desk.start("b")
        await desk.until("a", "b")
        assert virtual.monotonic() < 2
        assert isinstance(desk.errors["a"], KeyUnusable)


async def test_nothing_is_sent_for_thirty_seconds(virtual: LoopClock) -> None:
    """A halted broker refuses at once, and after half a minute it tries again."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(BAD_KEY)) as desk:
        for _ in range(3):
            with pytest.raises(KeyUnusable, match="Incorrect API key provided"):
                await desk.ask("a")
            await anyio.sleep(9.9)
        assert len(desk.api.arrivals) == 1
        await anyio.sleep(0.5)
        assert desk.broker.snapshot().state == "open"
        await desk.ask("b")
        assert desk.api.names == ["a", "b"]


async def test_those_in_flight_are_answered(virtual: LoopClock) -> None:
    """What was sent before the halt may well be answered, and is."""
    api = ScriptedApi(Answer(after=5.0), BAD_KEY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(1)
        desk.start("b")
        await desk.until("a", "b")
        assert list(desk.replies) == ["a"]
        assert list(desk.errors) == ["b"]


async def test_no_retry_is_sent_during_a_halt(virtual: LoopClock) -> None:
    """An attempt that fails during the halt is told the reason instead of being sent again."""
    api = ScriptedApi(Answer(500, b"no", after=5.0), BAD_KEY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(1)
        desk.start("b")
        await desk.until("a", "b")
        assert api.names == ["a", "b"]
        assert isinstance(desk.errors["a"], KeyUnusable)


async def test_after_a_halt_one_tries(virtual: LoopClock) -> None:
    """After the halt one request finds out whether the key is good again; the rest wait for it."""
    api = ScriptedApi(BAD_KEY, default=Answer(400, BAD_KEY.body, after=1.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(31)
        names = [f"n{number}" for number in range(5)]
        for name in names:
            desk.start(name)
        await desk.until(*names)
        assert len(api.arrivals) == 2


async def test_each_gets_an_error_of_its_own(virtual: LoopClock) -> None:
    """An error tells of one request only, however many were refused before."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(BAD_KEY)) as desk:
        lengths: list[int] = []
        for number in range(10):
            try:
                await desk.ask(f"n{number}")
            except KeyUnusable as error:
                lengths.append(len(traceback.extract_tb(error.__traceback__)))
        assert lengths[-1] == lengths[1]


async def test_an_answer_from_before_does_not_end_a_halt(virtual: LoopClock) -> None:
    """What was let in before the key was refused says nothing of the key as it is now."""
    api = ScriptedApi(Answer(after=5.0), BAD_KEY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(1)
        desk.start("b")
        await desk.until("a", "b")
        with pytest.raises(KeyUnusable):
            await desk.ask("c")
        assert api.names == ["a", "b"]


@pytest.mark.parametrize("fields", [{"size": 100_000}, {"deadline": 0.1}], ids=["large", "late"])
async def test_a_refused_request_does_not_try(virtual: LoopClock, fields: dict[str, Any]) -> None:
    """Only a request that really gets in is the one that tries after a halt."""
    limits = "1 requests / minute", "16000 tokens / minute"
    async with at_work(virtual, *limits, api=ScriptedApi(BAD_KEY)) as desk:
        with pytest.raises(KeyUnusable):
            await desk.ask("a")
        await anyio.sleep(31)
        with pytest.raises(RequestError):
            await desk.ask("b", **fields)
        assert (await desk.ask("c")).status == 200


async def test_paused_by_hand(virtual: LoopClock) -> None:
    """A pause holds everything back until it is over, and queues go on growing."""
    async with at_work(virtual, MINUTE) as desk:
        desk.broker.pause("maintenance")
        desk.start("a")
        desk.start("b")
        await anyio.sleep(3_600)
        assert not desk.api.arrivals
        assert desk.of().queued == 2
        snapshot = desk.broker.snapshot()
        assert (snapshot.state, snapshot.reason) == ("paused", "maintenance")
        desk.broker.resume()
        await desk.until("a", "b")
        assert desk.api.times == pytest.approx([3_600, 3_600], abs=0.1)
        assert desk.broker.snapshot().state == "open"


async def test_a_deadline_during_a_pause_by_hand(virtual: LoopClock) -> None:
    """Nobody is refused for a pause that may be over in time."""
    async with at_work(virtual, MINUTE) as desk:
        desk.broker.pause("maintenance")
        desk.start("a", deadline=30.0)
        await anyio.sleep(5)
        desk.broker.resume()
        await desk.until("a")
        assert list(desk.replies) == ["a"]


async def test_a_pause_lets_those_in_flight_end(virtual: LoopClock) -> None:
    """What is under way is answered during a pause; what must be repeated waits."""
    api = ScriptedApi(Answer(after=5.0), Answer(500, b"no", after=5.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.lowlevel.checkpoint()
        desk.start("b")
        await anyio.sleep(1)
        desk.broker.pause("maintenance")
        await anyio.sleep(60)
        assert desk.ended == ["a"]
        assert api.names == ["a", "b"]
        desk.broker.resume()
        await desk.until("b")


async def test_draining(virtual: LoopClock) -> None:
    """A draining broker takes nobody in, tells those who wait, and ends with the last answer."""
    api = ScriptedApi(Answer(after=5.0))
    async with at_work(virtual, "1 requests / minute", api=api) as desk:
        desk.start("a")
        await anyio.sleep(1)
        desk.start("b")
        await anyio.sleep(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.broker.drain, 60.0)
            await anyio.sleep(0.1)
            assert isinstance(desk.errors["b"], Draining)
            with pytest.raises(Draining) as caught:
                await desk.ask("c")
            assert caught.value.status == 503
            assert caught.value.retry_after is not None
        assert virtual.monotonic() == pytest.approx(5.0, abs=0.1)
        assert list(desk.replies) == ["a"]
        assert desk.broker.snapshot().state == "draining"
        assert api.names == ["a"]


async def test_a_drain_does_not_wait_for_ever(virtual: LoopClock) -> None:
    """Who is not answered within the patience is left to whoever ends the process."""
    api = ScriptedApi(Answer(after=500.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        scope = desk.start("a")
        await anyio.sleep(1)
        await desk.broker.drain(10.0)
        assert virtual.monotonic() == pytest.approx(11.0, abs=0.1)
        scope.cancel()


async def test_a_failure_during_a_drain_is_final(virtual: LoopClock) -> None:
    """Nothing is repeated while the process stops: it is told at once, and the drain goes on."""
    api = ScriptedApi(Answer(500, b"no", after=5.0), default=BROKEN)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(1)
        await desk.broker.drain(60.0)
        assert virtual.monotonic() == pytest.approx(5.0, abs=0.1)
        assert isinstance(desk.errors["a"], RequestError)
        assert api.names == ["a"]


# -- another key ----------------------------------------------------------------------------------


async def test_another_key_ends_a_halt(virtual: LoopClock) -> None:
    """Once the API has taken another key nobody has to wait for the halt to pass."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(BAD_KEY)) as desk:
        with pytest.raises(KeyUnusable):
            await desk.ask("a")
        assert desk.broker.snapshot().state == "halted"
        await anyio.sleep(1)
        desk.broker.key_changed()
        assert desk.broker.snapshot().state == "open"
        assert (await desk.ask("b")).status == 200
        assert virtual.monotonic() < 2


@pytest.mark.parametrize("answer", [BAD_KEY, NO_CREDITS, NO_KEY, BLOCKED])
async def test_what_the_old_key_is_refused_for_is_asked_with_the_new_one(
    virtual: LoopClock, answer: Answer
) -> None:
    """An attempt under way while the key changes is no reason to halt, nor to fail."""
    late = Answer(answer.status, answer.body, answer.headers, after=2.0)
    async with at_work(virtual, MINUTE, api=ScriptedApi(late), max_retries=0) as desk:
        desk.start("a")
        await anyio.sleep(1)
        desk.broker.key_changed()
        await desk.until("a")
        assert desk.replies["a"].attempts == 2
        assert desk.broker.snapshot().state == "open"


async def test_a_new_key_that_is_refused_later_halts(virtual: LoopClock) -> None:
    """Only what went before the change is forgiven: the new key can be refused too."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(default=BAD_KEY)) as desk:
        desk.broker.key_changed()
        await anyio.sleep(1)
        with pytest.raises(KeyUnusable):
            await desk.ask("a")
        assert desk.broker.snapshot().state == "halted"


async def test_a_pause_by_hand_outlives_the_key(virtual: LoopClock) -> None:
    """Another key is no reason to send where somebody has said that nothing is to be sent."""
    async with at_work(virtual, MINUTE, api=ScriptedApi()) as desk:
        desk.broker.pause("lunch")
        desk.broker.key_changed()
        assert desk.broker.snapshot().state == "paused"
