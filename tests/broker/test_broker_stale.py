"""A grant that is used late would break the window, so it is not used."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from supervisor.clock import LoopClock
from supervisor.errors import LedgerUnavailable
from supervisor.ledger.attempt import Attempt
from tests.broker.desk import at_work, most_within
from tests.broker.ledgers import FULL_DISK, LaggingLedger, WatchedLedger
from tests.upstream.api import QUOTA, Answer, ScriptedApi

MINUTE = "100 requests / minute"


class BlockedClock(LoopClock):
    """A clock on which a test can let time pass while the loop stands still."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Blocking(WatchedLedger):
    """A ledger after whose work the loop stands still for a while, some times.

    Args:
        clock: The clock that goes on.
        times: How many times.
        seconds: For how long.
    """

    def __init__(self, clock: BlockedClock, *, times: int, seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self._left = times
        self._seconds = seconds
        self.then = self._block

    def _block(self) -> None:
        if self._left:
            self._left -= 1
            self._clock.ahead += self._seconds


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.usefixtures("virtual")
async def test_a_stale_grant_is_not_sent(times: int) -> None:
    """When the loop stood still for more than J/2, the grant is given up and asked for anew."""
    clock = BlockedClock()
    ledger = Blocking(clock, times=times, seconds=0.2)
    async with at_work(clock, MINUTE, ledger=ledger) as desk:
        reply = await desk.ask("a")
        assert reply.status == 200
        assert len(desk.api.arrivals) == 1
        assert len(ledger.recorded) == times + 1
        assert ledger.outcomes[-1] == "answered"
        assert desk.broker.snapshot().quota.windows[0].used == times + 1


@pytest.mark.usefixtures("virtual")
async def test_a_fresh_grant_is_sent() -> None:
    """Up to J/2 nothing is lost: the other half of J is the network's."""
    clock = BlockedClock()
    ledger = Blocking(clock, times=1, seconds=0.12)
    async with at_work(clock, MINUTE, ledger=ledger) as desk:
        await desk.ask("a")
        assert len(ledger.recorded) == 1


@pytest.mark.usefixtures("virtual")
async def test_without_jitter_no_grant_is_stale() -> None:
    """Who says that there is no delay is taken at his word."""
    clock = BlockedClock()
    ledger = Blocking(clock, times=1, seconds=5.0)
    async with at_work(clock, MINUTE, ledger=ledger, jitter=0.0) as desk:
        await desk.ask("a")
        assert len(ledger.recorded) == 1


@pytest.mark.usefixtures("virtual")
async def test_a_stale_grant_uses_no_tokens() -> None:
    """Nothing was sent, so no token was used."""
    clock = BlockedClock()
    ledger = Blocking(clock, times=1, seconds=0.2)
    async with at_work(clock, MINUTE, "9000 tokens / minute", ledger=ledger) as desk:
        await desk.ask("a")
        assert [settlement.tokens for _, settlement in ledger.settled] == [0, 12]
        assert desk.broker.snapshot().quota.windows[1].used == 12


@pytest.mark.usefixtures("virtual")
async def test_a_stale_grant_is_no_retry() -> None:
    """It was not the API that failed: no retry is used up and the place in line is kept."""
    clock = BlockedClock()
    ledger = Blocking(clock, times=4, seconds=0.2)
    async with at_work(clock, "1 requests / 1s", ledger=ledger, max_retries=0) as desk:
        desk.start("a")
        desk.start("b")
        await desk.until("a", "b")
        assert desk.api.names == ["a", "b"]
        assert not desk.errors


@pytest.mark.usefixtures("virtual")
async def test_attempts_are_what_was_sent() -> None:
    """`attempts` is the number of HTTP requests that were sent: in reply, view and ledger."""
    clock = BlockedClock()
    ledger = Blocking(clock, times=1, seconds=0.2)
    async with at_work(clock, MINUTE, ledger=ledger) as desk:
        reply = await desk.ask("a")
        (row,) = await ledger.usage()
        assert (reply.attempts, desk.of().attempts, row.attempts) == (1, 1, 1)


@pytest.mark.usefixtures("virtual")
async def test_a_blocked_loop_breaks_no_window() -> None:
    """However often the loop stands still, the server sees no more than the limit."""
    clock = BlockedClock()
    arrived: list[float] = []
    api = ScriptedApi()
    api.seen = lambda _: arrived.append(clock.monotonic())
    ledger = Blocking(clock, times=9, seconds=0.3)
    names = [f"n{number}" for number in range(12)]
    async with at_work(clock, "2 requests / 5s", api=api, ledger=ledger) as desk:
        for name in names:
            desk.start(name)
        await desk.until(*names)
        assert most_within(arrived, 5.0) == 2


@pytest.mark.usefixtures("virtual")
async def test_a_grant_that_a_refusal_overtook_is_not_sent() -> None:
    """What was decided before a 429 and written down after it waits for the pause to end."""
    api = ScriptedApi(Answer(429, QUOTA.body, after=0.05), default=Answer())
    async with at_work(LoopClock(), MINUTE, api=api) as desk:
        desk.start("first")
        await anyio.sleep(0.01)
        desk.ledger.slow = 0.1
        desk.start("second")
        await desk.until("first", "second")
        assert api.times[1] >= 1.0
        assert "stale" in desk.ledger.outcomes
        assert desk.replies.keys() == {"first", "second"}


class Unpostponed(LaggingLedger):
    """Writes down late, and then not that it was late."""

    async def postpone(self, attempts: Sequence[Attempt]) -> None:
        raise FULL_DISK


@pytest.mark.usefixtures("virtual")
async def test_what_cannot_be_postponed_is_settled() -> None:
    """It was written down and is never sent: no attempt too many is counted, nothing reserved."""
    ledger = Unpostponed([1.0])
    async with at_work(LoopClock(), MINUTE, ledger=ledger) as desk:
        with pytest.raises(LedgerUnavailable):
            await desk.ask("a")
        assert ledger.outcomes == ["stale"]
        assert not desk.api.arrivals
        assert [one.attempts for one in await ledger.usage()] == [0]
        # It keeps its place here and for the next process, and no tokens.
        assert [one.tokens for one in await ledger.spent_since(0.0)] == [0]
        assert desk.broker.snapshot().quota.windows[0].used == 1
        await desk.ask("b")
