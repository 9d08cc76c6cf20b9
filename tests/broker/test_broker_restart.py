"""Over restarts: the windows are read back, so nobody ever has a fresh burst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.broker.snapshot import RequestsSnapshot
from supervisor.clock import LoopClock
from supervisor.messages import TrafficClass
from supervisor.reading import Reading
from supervisor.testing import run_virtual
from tests.broker.desk import CODE, at_work, broker_of, most_within, request
from tests.broker.ledgers import LaggingLedger, WatchedLedger
from tests.upstream.api import BROKEN, Answer, ScriptedApi, completion

TEN = "10 requests / minute"


class ShiftedClock(LoopClock):
    """A wall clock that is wrong by so many seconds.

    Args:
        shift: Seconds added to the wall clock; a test may change it.
        boot: Names this start of the system.
    """

    def __init__(self, shift: float, *, boot: int = 1) -> None:
        super().__init__()
        self.shift = shift
        self._boot = boot

    def wall(self) -> float:
        return super().wall() + self.shift

    def reading(self) -> Reading:
        return replace(super().reading(), boot=self._boot)


async def live(
    limits: Sequence[str],
    lives: Sequence[float],
    *,
    api: ScriptedApi,
    classes: Sequence[TrafficClass] = (CODE,),
    clocks: Sequence[ShiftedClock] = (),
    ledger: WatchedLedger | None = None,
    **bounds: Any,
) -> None:
    """Several processes after each other on one ledger, each killed with a backlog."""
    ledger = WatchedLedger() if ledger is None else ledger
    for number, seconds in enumerate(lives):
        clock = clocks[number] if clocks else LoopClock()
        broker = broker_of(api, clock, limits=limits, ledger=ledger, **bounds)
        for traffic_class in classes:
            broker.set_class(traffic_class)
        async with anyio.create_task_group() as process:
            await process.start(broker.run)
            for index in range(25):
                process.start_soon(broker.ask, request(f"{number}-{index}", classes[0].name))
            await anyio.sleep(seconds)
            process.cancel_scope.cancel()


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.floats(0.01, 90.0), min_size=2, max_size=5))
def test_exact_over_restarts(lives: list[float]) -> None:
    """However often a process is killed, no window holds more attempts than its limit."""
    api = ScriptedApi(default=Answer(after=1.0))
    run_virtual(lambda: live(["5 requests / 10s", TEN], lives, api=api))
    assert most_within(api.times, 10.0) <= 5
    assert most_within(api.times, 60.0) <= 10
    assert api.arrivals


DELAYS = st.sampled_from([0.0, 0.0005, 0.004, 0.05, 0.4, 3.0])


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.lists(st.floats(0.01, 40.0), min_size=2, max_size=4),
    st.lists(DELAYS, min_size=1, max_size=12),
    st.sampled_from([0.0, 1.0, 20.0]),
)
def test_exact_over_restarts_with_slow_writes(
    lives: list[float], delays: list[float], latency: float
) -> None:
    """However long it takes to write down and whenever it is killed, no limit is exceeded."""
    api, ledger = ScriptedApi(default=Answer(after=latency)), LaggingLedger(delays)
    limits = ["5 requests / 10s", TEN]
    run_virtual(lambda: live(limits, lives, api=api, ledger=ledger, jitter=0.01))
    assert most_within(api.times, 10.0) <= 5
    assert most_within(api.times, 60.0) <= 10


@pytest.mark.parametrize(("latency", "most"), [(0.0, 0.0), (30.0, 1.0)])
@pytest.mark.parametrize("boot", [1, 2])
async def test_a_slow_write_costs_a_restart_little(
    virtual: LoopClock, latency: float, most: float, boot: int
) -> None:
    """What has ended is free when it would have been; what was under way a moment later."""
    ledger, api = WatchedLedger(), ScriptedApi(default=Answer(after=latency))
    ledger.slow = 1.0
    await live([TEN], [20.0], api=api, ledger=ledger)
    assert len(api.times) == 10
    ledger.slow = 0.0
    async with at_work(ShiftedClock(0.0, boot=boot), TEN, ledger=ledger, api=api) as desk:
        await desk.ask("a")
    # By wall time the grace stays, whatever became of it.
    late = api.times[10] - api.times[0] - 60.25
    assert -0.001 <= late <= (most if boot == 1 else 1.0) + 0.001
    assert virtual.monotonic() > 60.0


STEPS = st.sampled_from([0.0, 10_800.0, -3_600.0, 30.0, -30.0])


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0.01, 70.0), STEPS), min_size=2, max_size=4))
def test_exact_where_the_clock_is_set_between(lives: list[tuple[float, float]]) -> None:
    """Whatever the wall clock is set to between two processes, the windows go on unchanged."""
    api, straight = ScriptedApi(), ScriptedApi()
    seconds = [life for life, _ in lives]
    clocks = [ShiftedClock(shift) for _, shift in lives]
    limits = ["5 requests / 10s", TEN]
    run_virtual(lambda: live(limits, seconds, api=api, clocks=clocks))
    run_virtual(lambda: live(limits, seconds, api=straight))
    assert most_within(api.times, 10.0) <= 5
    assert most_within(api.times, 60.0) <= 10
    assert api.times == pytest.approx(straight.times, abs=0.01)


@pytest.mark.usefixtures("virtual")
async def test_the_clock_is_set_while_it_runs() -> None:
    """What was sent before and after the step comes back with its own age."""
    ledger, api, clock = WatchedLedger(), ScriptedApi(), ShiftedClock(0.0)
    async with at_work(clock, TEN, ledger=ledger, api=api) as desk:
        await desk.ask("a")
        await anyio.sleep(20)
        clock.shift = -3_600.0
        await desk.ask("b")
        await anyio.sleep(20)
        clock.shift = 7_200.0
        for number in range(8):
            await desk.ask(f"n{number}")
    async with at_work(clock, TEN, ledger=ledger, api=api) as desk:
        for name in "cde":
            await desk.ask(name)
    assert api.times[10:] == pytest.approx([at + 60.25 for at in api.times[:3]], abs=0.01)


@pytest.mark.usefixtures("virtual")
async def test_a_restart_waits_no_longer_than_it_must() -> None:
    """The first attempt of the next process goes when the window has room again."""
    api = ScriptedApi()
    await live([TEN], [20.0, 60.0], api=api, jitter=0.0)
    assert len(api.arrivals) == 20
    assert min(api.times[10:]) == pytest.approx(60.0, abs=0.01)


async def test_attempts_of_unknown_classes_count(virtual: LoopClock) -> None:
    """A role that no longer exists has spent the quota all the same."""
    ledger = WatchedLedger()
    async with at_work(virtual, TEN, ledger=ledger) as desk:
        for number in range(10):
            await desk.ask(f"n{number}")
    started = virtual.monotonic()
    other = TrafficClass("other")
    async with at_work(virtual, TEN, ledger=ledger, classes=[other]) as desk:
        assert desk.broker.snapshot().quota.windows[0].used == 10
        assert [one.name for one in desk.broker.snapshot().classes] == ["other"]
        reply = await desk.ask("a", "other")
        assert started + reply.wait == pytest.approx(60.25, abs=0.1)


async def test_a_class_that_comes_later_finds_its_attempts(virtual: LoopClock) -> None:
    """What a role has spent is its own again when it is loaded after the broker has started."""
    ledger = WatchedLedger()
    async with at_work(virtual, TEN, ledger=ledger) as desk:
        await desk.ask("a")
    async with at_work(virtual, TEN, ledger=ledger, classes=[]) as desk:
        desk.broker.set_class(CODE)
        assert desk.broker.snapshot().quota.windows[0].spent == {"code": 1}


async def test_what_was_used_goes_on(virtual: LoopClock) -> None:
    """A class has used after a restart what it had used before, also where it is loaded later."""
    ledger, priced = WatchedLedger(), Answer(body=completion(30, 5, cost_in_usd_ticks=7))
    api = ScriptedApi(priced, BROKEN, default=priced)
    async with at_work(virtual, TEN, ledger=ledger, api=api) as desk:
        await desk.ask("a")
        await desk.ask("b")
        before = desk.of()
    assert (before.attempts, before.answered, before.prompt_tokens) == (3, 2, 60)
    async with at_work(virtual, TEN, ledger=ledger, api=api, classes=[]) as desk:
        desk.broker.set_class(CODE)
        after = desk.of()
        assert replace(after, since_start=before.since_start) == replace(
            before, wait_p50=after.wait_p50, wait_p99=after.wait_p99
        )
        assert after.since_start == RequestsSnapshot(0, 0, 0)
        await desk.ask("c")
        (row,) = await ledger.usage()
        assert (desk.of().attempts, desk.of().cost_usd) == (row.attempts, float(row.cost))


@pytest.mark.parametrize("boot", [1, 2])
@pytest.mark.parametrize("shift", [-3_600.0, -1.0, 0.0])
async def test_a_clock_that_was_set_back(virtual: LoopClock, shift: float, boot: int) -> None:
    """An attempt of the future happened just now: a clock set back never frees room early."""
    ledger, api = WatchedLedger(), ScriptedApi()
    async with at_work(virtual, TEN, ledger=ledger, api=api) as desk:
        for number in range(10):
            await desk.ask(f"n{number}")
    await anyio.sleep(10)
    async with at_work(ShiftedClock(shift, boot=boot), TEN, ledger=ledger, api=api) as desk:
        await desk.ask("a")
    assert most_within(api.times, 60.0) == 10
    assert api.times[-1] < 75.0


async def test_tokens_are_read_back(virtual: LoopClock) -> None:
    """Tokens count over a restart: those used, and the reservation of what was never settled."""
    limits = "100 requests / minute", "9000 tokens / minute"
    reserved = 0
    ledger = WatchedLedger()
    api = ScriptedApi(Answer(body=completion(300, 50)), default=Answer(after=30.0))
    broker = broker_of(api, virtual, limits=limits, ledger=ledger)
    broker.set_class(CODE)
    async with anyio.create_task_group() as process:
        await process.start(broker.run)
        await broker.ask(request("a"))
        process.start_soon(broker.ask, request("b"))
        await anyio.sleep(1)
        reserved = ledger.recorded[1].tokens
        # A kill -9 settles nothing: this ledger drops what it does not know.
        ledger.recorded = []
        process.cancel_scope.cancel()
    async with at_work(virtual, *limits, ledger=ledger) as desk:
        used = desk.broker.snapshot().quota.windows[1].used
        assert used == 350 + reserved


@pytest.mark.usefixtures("virtual")
async def test_a_stated_burst_is_kept_over_restarts() -> None:
    """A server that lets 5 in at once does so once, not once for each process."""
    api = ScriptedApi()
    await live(["60 requests / minute burst 5"], [0.5, 0.5], api=api)
    # A full bucket of 5 and one a second: within one second no more than 6 can conform.
    assert most_within(api.times, 1.0) <= 6


async def test_a_ceiling_on_tokens_is_kept_over_restarts(virtual: LoopClock) -> None:
    """A class that has used up its own tokens has used them up after a restart too."""
    narrow = TrafficClass("code", ceiling=("3000 tokens / minute",))
    limits = "100 requests / minute", "90000 tokens / minute"
    ledger = WatchedLedger()
    api = ScriptedApi(Answer(body=completion(2_000, 900)))
    async with at_work(virtual, *limits, ledger=ledger, api=api, classes=[narrow]) as desk:
        await desk.ask("a")
    async with at_work(virtual, *limits, ledger=ledger, api=api, classes=[narrow]) as desk:
        assert (await desk.ask("b")).wait > 30.0


@pytest.mark.parametrize(("period", "seconds"), [("minute", 60), ("hour", 3_600)])
async def test_a_ceiling_on_requests_is_kept_over_restarts(
    virtual: LoopClock, period: str, seconds: float
) -> None:
    """A class that has had its part of a period, which may be longer than the key's, has had it."""
    narrow = TrafficClass("code", ceiling=(f"1 requests / {period}",))
    limit = "100 requests / minute"
    ledger = WatchedLedger()
    async with at_work(virtual, limit, ledger=ledger, classes=[narrow]) as desk:
        await desk.ask("a")
    await anyio.sleep(seconds / 6)
    async with at_work(virtual, limit, ledger=ledger, classes=[narrow]) as desk:
        assert (await desk.ask("b")).wait == pytest.approx(seconds * 5 / 6, abs=0.3)


async def test_long_answers_count_over_restarts(virtual: LoopClock) -> None:
    """Tokens of an answer count for W + J from its end, with a restart in between or without."""
    limits = "100 requests / minute", "9000 tokens / minute"
    ledger = WatchedLedger()
    api = ScriptedApi(Answer(body=completion(2_000, 6_000), after=90.0))
    async with at_work(virtual, *limits, ledger=ledger, api=api) as desk:
        await desk.ask("a")
        await anyio.sleep(1)
        assert desk.broker.snapshot().quota.windows[1].used == 8_000
    async with at_work(virtual, *limits, ledger=ledger, api=api) as desk:
        assert desk.broker.snapshot().quota.windows[1].used == 8_000


async def test_run_again(virtual: LoopClock) -> None:
    """A dispatcher that is restarted within the process counts every attempt once."""
    broker = broker_of(ScriptedApi(), virtual, limits=[TEN])
    broker.set_class(CODE)
    used: list[int] = []
    for life in range(2):
        async with anyio.create_task_group() as tasks:
            await tasks.start(broker.run)
            await broker.ask(request(f"a{life}"))
            used.append(broker.snapshot().quota.windows[0].used)
            tasks.cancel_scope.cancel()
    assert used == [1, 2]
