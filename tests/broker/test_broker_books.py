"""The broker and its ledger: nothing unwritten is sent, and the books agree with the view."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal

import anyio
import httpx
import pytest

from supervisor.clock import LoopClock
from supervisor.errors import LedgerUnavailable, RequestError
from supervisor.messages import TrafficClass
from tests.broker.desk import CODE, at_work, broker_of, most_within, request
from tests.broker.ledgers import FULL_DISK, WatchedLedger
from tests.upstream.api import BROKEN, QUOTA, Answer, ScriptedApi, completion

MINUTE = "100 requests / minute"
TOKENS = "9000 tokens / minute"


async def test_a_ledger_that_fails(virtual: LoopClock) -> None:
    """What cannot be written down is not sent, and whoever asked is told why."""
    async with at_work(virtual, MINUTE) as desk:
        desk.ledger.broken = FULL_DISK
        for name in "abc":
            desk.start(name)
        await desk.until("a", "b", "c")
        assert not desk.api.arrivals
        for error in desk.errors.values():
            assert "not sent, for it could not be written down" in str(error)
            assert "disk is full" in str(error)
        assert desk.of().since_start.failed == 3
        desk.ledger.broken = None
        await desk.ask("d")
        assert desk.api.names == ["d"]


async def test_a_ledger_that_fails_costs_no_tokens(virtual: LoopClock) -> None:
    """Tokens reserved for what was never sent come free again."""
    async with at_work(virtual, MINUTE, TOKENS) as desk:
        desk.ledger.broken = FULL_DISK
        for name in "abcdefgh":
            desk.start(name)
        await desk.until(*"abcdefgh")
        desk.ledger.broken = None
        await anyio.sleep(600)
        assert desk.broker.snapshot().quota.windows[1].used == 0
        await desk.ask("i", deadline=600.0)


async def test_a_ledger_that_fails_costs_no_places(virtual: LoopClock) -> None:
    """However often it is tried in vain, all that the limits allow can be sent afterwards."""
    ledger = WatchedLedger()
    low = TrafficClass("low", ceiling=("2 requests / minute",))
    async with at_work(virtual, "3 requests / hour", ledger=ledger, classes=(CODE, low)) as desk:
        await desk.ask("a")
        ledger.broken, ledger.slow = FULL_DISK, 61.0
        for name in "bcdef":
            with pytest.raises(LedgerUnavailable):
                await desk.ask(name, "low")
        assert desk.broker.snapshot().quota.windows[0].used == 1
        ledger.broken, ledger.slow = None, 0.0
        began = virtual.monotonic()
        await desk.ask("g", "low")
        await desk.ask("h", "low")
        assert virtual.monotonic() - began < 60.0
        assert desk.broker.snapshot().quota.windows[0].used == 3
        assert most_within(desk.api.times, 3_600.0) == 3


async def test_a_probe_that_cannot_be_written_down_tells_nothing(virtual: LoopClock) -> None:
    """After a refusal the next to be sent is the probe, at once, and still it goes alone."""
    api = ScriptedApi(QUOTA, Answer(after=1.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(0.5)
        desk.ledger.broken = FULL_DISK
        for name in "bcd":
            desk.start(name)
        await desk.moved.wait()
        failed = virtual.monotonic()
        desk.ledger.broken = None
        await anyio.sleep(0.5)
        assert len(desk.api.arrivals) == 2
        assert desk.api.times[1] == pytest.approx(failed, abs=0.3)


async def test_a_crash_while_writing_down(virtual: LoopClock) -> None:
    """When the dispatcher is started again, everybody who asked is answered or told."""
    ledger = WatchedLedger()
    ledger.broken = OSError("a bug in the ledger")
    broker = broker_of(ScriptedApi(), virtual, limits=[MINUTE], ledger=ledger)
    broker.set_class(CODE)
    ended = anyio.Event()

    async def ask() -> None:
        with suppress(RequestError):
            await broker.ask(request("a"))
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        with pytest.raises(ExceptionGroup):
            await broker.run()
        ledger.broken = None
        await tasks.start(broker.run)
        with anyio.move_on_after(600.0):
            await ended.wait()
        tasks.cancel_scope.cancel()
    assert ended.is_set()


async def test_tokens_are_reserved_and_settled(virtual: LoopClock) -> None:
    """An estimate is held while an attempt is in flight, then the real number takes its place."""
    api = ScriptedApi(Answer(body=completion(300, 50), after=5.0))
    async with at_work(virtual, MINUTE, TOKENS, api=api) as desk:
        desk.start("a", size=1_000)
        await anyio.sleep(1)
        reserved = desk.broker.snapshot().quota.windows[1].used
        assert reserved > 1_000
        assert desk.ledger.recorded[0].tokens == reserved
        await desk.until("a")
        assert desk.broker.snapshot().quota.windows[1].used == 350
        assert desk.ledger.settled[0][1].tokens == 350
        await anyio.sleep(61)
        assert desk.broker.snapshot().quota.windows[1].used == 0


async def test_reasoning_and_cached_tokens_count(virtual: LoopClock) -> None:
    """The window counts prompt, cached prompt, answer and reasoning; the views show them all."""
    body = completion(
        300,
        50,
        total_tokens=450,
        prompt_tokens_details={"cached_tokens": 200},
        completion_tokens_details={"reasoning_tokens": 100},
        cost_in_usd_ticks=12_000_000,
    )
    async with at_work(virtual, MINUTE, TOKENS, api=ScriptedApi(Answer(body=body))) as desk:
        await desk.ask("a")
        assert desk.broker.snapshot().quota.windows[1].used == 450
        (row,) = await desk.ledger.usage()
        assert (row.prompt, row.completion, row.reasoning, row.cached) == (300, 50, 100, 200)
        assert row.cost == Decimal("0.0012")
        shown = desk.of()
        assert (shown.prompt_tokens, shown.completion_tokens, shown.cost_usd) == (300, 150, 0.0012)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (Answer(422, b"wrong types"), False),
        (Answer(cut=httpx.ReadTimeout("slow")), True),
        (BROKEN, True),
        (Answer(body=b'{"choices":[]}'), True),
    ],
    ids=["rejected", "time-out", "500", "no usage"],
)
async def test_what_counts_without_usage(virtual: LoopClock, answer: Answer, *, kept: bool) -> None:
    """The reservation stands wherever tokens may have been used; a refusal used none."""
    async with at_work(virtual, MINUTE, TOKENS, api=ScriptedApi(answer), max_retries=0) as desk:
        desk.start("a")
        await desk.until("a")
        reserved = desk.ledger.recorded[0].tokens
        used = desk.broker.snapshot().quota.windows[1].used
        assert used == (reserved if kept else 0)
        assert desk.ledger.settled[0][1].tokens == used


async def test_tokens_make_wait(virtual: LoopClock) -> None:
    """A full token window holds requests back until the tokens return, W + J after the answer."""
    api = ScriptedApi(Answer(body=completion(100, 700), after=5.0))
    async with at_work(virtual, MINUTE, "2000 tokens / minute", api=api) as desk:
        await desk.ask("a")
        await desk.ask("b", deadline=300.0)
        assert desk.api.times[1] == pytest.approx(65.25, abs=0.01)


async def test_the_estimate_is_learned(virtual: LoopClock) -> None:
    """Small answers make small reservations, so that more fits into the window."""
    async with at_work(virtual, MINUTE, TOKENS) as desk:
        for number in range(60):
            await desk.ask(f"n{number}")
        tokens = [attempt.tokens for attempt in desk.ledger.recorded]
        assert tokens[0] > 1_000
        assert tokens[-1] < 30


async def test_the_view_agrees_with_the_books(virtual: LoopClock) -> None:
    """Attempts, answers, refusals and tokens are the same in the snapshot and in the ledger."""
    script = [BROKEN, QUOTA, Answer(422, b"no"), BROKEN, BROKEN, QUOTA]
    classes = [CODE, TrafficClass("low", priority=60)]
    names = [f"n{number}" for number in range(20)]
    async with at_work(
        virtual, "20 requests / 10s", api=ScriptedApi(*script), classes=classes
    ) as desk:
        for number, name in enumerate(names):
            desk.start(name, "low" if number % 3 else "code")
        await desk.until(*names)
        rows = {row.traffic_class: row for row in await desk.ledger.usage()}
        for name, row in rows.items():
            shown = desk.of(name)
            assert (shown.attempts, shown.answered) == (row.attempts, row.answered)
            assert (shown.refused, shown.prompt_tokens) == (row.refused, row.prompt)
            counted = shown.since_start
            assert counted.answered + counted.failed == counted.requests
            assert counted.answered == shown.answered
        assert sum(row.attempts for row in rows.values()) == len(desk.api.arrivals)


async def test_a_slow_ledger_breaks_no_window(virtual: LoopClock) -> None:
    """An attempt counts from when it is let go, however long it took to write it down."""
    names = [f"n{number}" for number in range(12)]
    async with at_work(virtual, "3 requests / 5s") as desk:
        for name in names:
            desk.ledger.slow = 0.0 if desk.api.arrivals else 3.0
            desk.start(name)
            await anyio.sleep(0.5)
        await desk.until(*names)
        assert most_within(desk.api.times, 5.0) == 3


async def test_looking_breaks_no_window(virtual: LoopClock) -> None:
    """Looking at the windows while an attempt is being written down changes nothing."""
    names = list("abcd")
    async with at_work(virtual, "2 requests / 1s") as desk:
        desk.ledger.slow = 1.5
        for name in names:
            desk.start(name)
        await anyio.sleep(1.4)
        desk.ledger.slow = 0.0
        desk.broker.snapshot()
        await desk.until(*names)
        assert most_within(desk.api.times, 1.0) == 2


async def test_cancelled_at_the_moment_of_the_grant(virtual: LoopClock) -> None:
    """What was written down and never sent counts neither in the ledger nor in the view."""
    async with at_work(virtual, MINUTE) as desk:
        # Not a cancel scope: those wait for the grant to be taken, `asyncio.timeout` does not.
        task = asyncio.create_task(desk.ask("a"))
        desk.ledger.then = task.cancel
        with pytest.raises(asyncio.CancelledError):
            await task
        (row,) = await desk.ledger.usage()
        assert not desk.api.arrivals
        assert desk.of().attempts == row.attempts == 0
        assert desk.ledger.outcomes == ["gone"]
