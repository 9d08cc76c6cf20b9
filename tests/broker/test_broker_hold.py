"""What may not be sent at all, whatever is said by hand."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from supervisor.clock import LoopClock
from supervisor.errors import Draining, LedgerUnavailable
from tests.broker.desk import at_work
from tests.upstream.api import BROKEN, FAKE_KEY, Answer, ScriptedApi


async def test_nothing_goes_while_it_is_held(virtual: LoopClock) -> None:
    """Requests queue; a resume by hand opens nothing, letting go does."""
    async with at_work(virtual) as desk:
        desk.broker.hold("the lock was lost")
        desk.start("a")
        await anyio.sleep(4)
        desk.broker.resume()
        await anyio.sleep(4)
        snapshot = desk.broker.snapshot()
        assert (snapshot.state, snapshot.reason) == ("halted", "the lock was lost")
        assert (desk.broker.held, desk.api.arrivals) == ("the lock was lost", [])
        desk.broker.let_go()
        await desk.until("a")
        assert desk.api.times == [8.0]
        assert desk.broker.snapshot().state == "open"


async def test_nobody_waits_for_long_for_what_may_never_end(virtual: LoopClock) -> None:
    """After a while those that wait are told, and new ones at once; afterwards all goes on."""
    async with at_work(virtual) as desk:
        desk.broker.hold("the lock was lost")
        desk.start("a")
        await anyio.sleep(6)
        desk.broker.hold("the lock was lost again")
        desk.start("b")
        await desk.until("a", "b")
        assert virtual.monotonic() == pytest.approx(10.0)
        with pytest.raises(LedgerUnavailable, match="the lock was lost again") as told:
            await desk.ask("c")
        assert virtual.monotonic() == pytest.approx(10.0)
        assert told.value.retry_after == 5.0
        assert {type(error) for error in desk.errors.values()} == {LedgerUnavailable}
        desk.broker.let_go()
        await desk.ask("d")
        desk.broker.hold("the lock was lost")
        desk.start("e")
        await anyio.sleep(9)
        desk.broker.let_go()
        await desk.until("e")
        assert desk.api.names == ["d", "e"]


async def test_nobody_waits_for_long_after_an_attempt_either(virtual: LoopClock) -> None:
    """What was under way as all others were told is told when it would be sent again."""
    api = ScriptedApi(replace(BROKEN, after=15.0), default=Answer())
    async with at_work(virtual, api=api) as desk:
        desk.start("a")
        await anyio.sleep(1)
        desk.broker.hold("the lock was lost")
        await desk.until("a")
        assert virtual.monotonic() == pytest.approx(15.0)
        assert isinstance(desk.errors["a"], LedgerUnavailable)
        desk.broker.let_go()
        await desk.ask("b")
        assert api.names == ["a", "b"]


async def test_a_stop_waits_for_nothing_that_is_not_sent(virtual: LoopClock) -> None:
    """A grant that was being written down when the stop began is not waited for any longer."""
    async with at_work(virtual) as desk:
        desk.ledger.slow = 0.05
        desk.start("a")
        await anyio.sleep(0.01)
        await desk.broker.drain(20.0)
        assert virtual.monotonic() < 1.0
        await desk.until("a")
        assert isinstance(desk.errors["a"], Draining)
        assert (desk.api.arrivals, desk.ledger.outcomes) == ([], ["stale"])


async def test_letting_go_leaves_a_pause_by_hand(virtual: LoopClock) -> None:
    """What an operator has paused stays so until the operator resumes."""
    async with at_work(virtual) as desk:
        desk.broker.pause("")
        desk.broker.hold("the lock was lost")
        desk.start("a")
        desk.broker.let_go()
        await anyio.sleep(1)
        assert (desk.broker.snapshot().reason, desk.api.arrivals) == ("by hand", [])
        desk.broker.resume()
        await desk.until("a")


async def test_what_was_granted_a_moment_ago_is_not_sent(virtual: LoopClock) -> None:
    """A grant that was being written down when the lock was lost is given up and asked for anew."""
    async with at_work(virtual) as desk:
        desk.ledger.slow = 0.05
        desk.ledger.then = lambda: desk.broker.hold("the lock was lost")
        desk.start("a")
        await anyio.sleep(1)
        assert desk.api.arrivals == []
        desk.ledger.then = None
        desk.broker.let_go()
        await desk.until("a")
    assert desk.ledger.outcomes == ["stale", "answered"]


@pytest.mark.parametrize("reason", [f"it is {FAKE_KEY}", "x" * 190 + FAKE_KEY])
async def test_a_reason_holds_no_key(virtual: LoopClock, reason: str) -> None:
    """Why it is paused is told to everybody: no key is in it, and no part of one at its end."""
    async with at_work(virtual) as desk:
        desk.broker.pause(reason)
        told = desk.broker.snapshot().reason
        assert told == reason.replace(FAKE_KEY, "***")
        desk.broker.pause(f"{reason} and more" * 50)
        assert len(desk.broker.snapshot().reason) == 200
        assert FAKE_KEY[:12] not in desk.broker.snapshot().reason
        desk.broker.resume()
