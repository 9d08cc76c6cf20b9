"""The key was another process's for a while: what that has sent and spent counts here too."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from supervisor.clock import LoopClock
from supervisor.errors import StoreError
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.ledger import HourlyCost, UsageRow
from supervisor.ledger.prices import KNOWN, Prices
from supervisor.messages import TrafficClass, Usage
from tests.broker.desk import CODE, at_work, most_within
from tests.broker.ledgers import WatchedLedger
from tests.upstream.api import Answer, ScriptedApi, completion

TEN = "10 requests / minute"
TOKENS = "9000 tokens / minute"
CENT = 100_000_000


def theirs(name: str, at: float, *, traffic_class: str = "code", cost: int = 0) -> Attempt:
    """An attempt of another process."""
    return Attempt(f"{name}/1", traffic_class, "grok-4.7", "", at, 0.0, 1_000, cost)


@pytest.mark.parametrize("ago", [0.0, 5.0, 25.0])
async def test_what_another_has_sent_fills_the_windows(virtual: LoopClock, ago: float) -> None:
    """Together they never exceed a limit, and nobody waits longer than he must."""
    async with at_work(virtual, TEN, jitter=0.1) as desk:
        for name in "abcd":
            await desk.ask(name)
        await anyio.sleep(21)
        desk.broker.hold("the lock was lost")
        for number in range(8):
            desk.start(f"n{number}")
        await anyio.sleep(9)
        moments = [virtual.monotonic() - ago] * 4
        wall = virtual.wall() - ago
        desk.ledger.elsewhere = [theirs(f"x{number}", wall) for number in range(4)]
        await desk.broker.catch_up()
        assert desk.broker.snapshot().quota.windows[0].used == 8
        await desk.broker.catch_up()
        assert desk.broker.snapshot().quota.windows[0].used == 8
        desk.broker.let_go()
        await desk.until(*(f"n{number}" for number in range(8)))
        assert most_within([*desk.api.times, *moments], 60.0) == 10
        # Four find room where the first four were, the last two where the other's were.
        assert desk.api.times[-3] == pytest.approx(60.6, abs=0.1)
        assert desk.api.times[-1] == pytest.approx(moments[0] + 60.1, abs=0.1)


async def test_their_tokens_and_classes_count(virtual: LoopClock) -> None:
    """Also of a class that this process does not know, and beside what is under way here."""
    api = ScriptedApi(Answer(body=completion(2_000, 100)), default=Answer(after=30.0))
    async with at_work(virtual, TEN, TOKENS, api=api) as desk:
        await desk.ask("a")
        desk.start("b")
        await anyio.sleep(1)
        reserved = desk.broker.snapshot().quota.windows[1].used - 2_100
        desk.broker.hold("the lock was lost")
        desk.ledger.elsewhere = [theirs("x", virtual.wall(), traffic_class="stranger")]
        await desk.broker.catch_up()
        window = desk.broker.snapshot().quota.windows[1]
        assert window.used == 2_100 + reserved + 1_000
        assert window.spent["stranger"] == 1_000
        desk.broker.let_go()
        await desk.until("b")


async def test_their_money_counts(virtual: LoopClock) -> None:
    """What they spent and had under way is gone from the budget; our own reservations stay once."""
    role = TrafficClass("code", budget=("1 usd / day",))
    api = ScriptedApi(default=Answer(after=30.0))
    async with at_work(virtual, api=api, classes=[role], prices=Prices(KNOWN)) as desk:
        desk.start("a")
        await anyio.sleep(1)
        (before,) = desk.broker.snapshot().budgets
        desk.broker.hold("the lock was lost")
        one, other = (theirs(name, virtual.wall(), cost=20 * CENT) for name in "xy")
        await desk.ledger.record([one, other])
        desk.ledger.settle(
            one, Settlement(200, "answered", Usage(1, 1, cost=KNOWN["grok-4.7"].input / 10), 1.0, 2)
        )
        for _ in range(2):
            await desk.broker.catch_up()
            (after,) = desk.broker.snapshot().budgets
            assert (after.spent, after.unpriced) == (20 * CENT, 20 * CENT)
            assert after.reserved == before.reserved > 0
            assert desk.of().attempts == 3
        desk.broker.let_go()
        await desk.until("a")
        (row,) = await desk.ledger.usage()
        assert (desk.of().attempts, desk.of().answered) == (row.attempts, row.answered) == (3, 2)


class Busy(WatchedLedger):
    """An answer of ours comes while it is read."""

    async def usage(self) -> list[UsageRow]:
        rows = await super().usage()
        await anyio.sleep(1.0)
        return list(rows)


async def test_what_is_answered_meanwhile_counts_once(virtual: LoopClock) -> None:
    """An answer that comes while the ledger is read is neither lost nor counted twice."""
    api = ScriptedApi(default=Answer(after=1.5))
    async with at_work(virtual, TEN, api=api, ledger=Busy()) as desk:
        desk.start("a")
        await anyio.sleep(1.0)
        desk.broker.hold("the lock was lost")
        await desk.broker.catch_up()
        assert (desk.of().attempts, desk.of().answered) == (1, 1)
        desk.broker.let_go()


class Away(WatchedLedger):
    """Cannot be read a first time."""

    troubles = 0

    async def reserved_since(self, moment: float) -> Sequence[HourlyCost]:
        self.troubles -= 1
        if self.troubles >= 0:
            raise StoreError("the store is away")
        return await super().reserved_since(moment)


async def test_trying_again_counts_nothing_twice(virtual: LoopClock) -> None:
    """When the ledger cannot be read, nothing was counted yet."""
    async with at_work(virtual, TEN, ledger=(ledger := Away()), classes=[CODE]) as desk:
        await desk.ask("a")
        ledger.elsewhere = [theirs("x", virtual.wall())]
        ledger.troubles = 1
        with pytest.raises(StoreError):
            await desk.broker.catch_up()
        await desk.broker.catch_up()
        assert desk.broker.snapshot().quota.windows[0].used == 2
