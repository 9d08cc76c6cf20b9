"""Laws that hold whatever is asked, cancelled, refused and paused, in any order and at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.broker.broker import Broker
from supervisor.broker.snapshot import ClassSnapshot
from supervisor.clock import LoopClock
from supervisor.errors import RequestError
from supervisor.messages import TrafficClass
from supervisor.testing import VirtualLoop
from tests.broker.deferrals import GONE, PENDING, Shelf, promised
from tests.broker.desk import broker_of, most_within, request
from tests.broker.ledgers import FULL_DISK, WatchedLedger
from tests.upstream.api import BAD_KEY, BROKEN, CAPACITY, CUT, QUOTA, Answer, ScriptedApi

T = TypeVar("T")
LIMITS = ("3 requests / 5s", "8 requests / minute", "20000 tokens / minute")
CLASSES = (
    TrafficClass("ceo", priority=0, share=0.2),
    TrafficClass("code", concurrency=2, queue=6),
    TrafficClass("low", priority=60, ceiling=("2 requests / 10s",)),
)
REJECTED = Answer(422, b"wrong types")
USUAL = [Answer(), Answer(after=3.0), BROKEN, CAPACITY, CUT, QUOTA, REJECTED]
ANSWERS = st.lists(st.sampled_from([*USUAL * 6, BAD_KEY, *[promised()] * 6]), max_size=5)
LOOKS = st.lists(st.sampled_from([*USUAL, *[PENDING] * 6, GONE, BAD_KEY]), max_size=5)
"""What becomes of looking for an answer, whoever's it is."""
LONGEST = 100_000.0
"""Seconds in which all that was asked has ended, deferred answers included."""
NAMES = st.sampled_from([one.name for one in CLASSES])
TOLD = 1e-6
"""Seconds in which everybody hears what was decided; no timer of ours is as short."""


class BrokerMachine(RuleBasedStateMachine):
    """A broker in virtual time, beside the model of it: who has asked, and how that ended."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.api = ScriptedApi()
        self.ledger = WatchedLedger()
        self.asked: dict[str, asyncio.Task[None]] = {}
        self.classes: dict[str, str] = {}
        self.ends: list[tuple[str, str]] = []
        self.broker = self.during(self._open())

    async def _open(self) -> Broker:
        broker = broker_of(self.api, LoopClock(), limits=LIMITS, ledger=self.ledger)
        for traffic_class in CLASSES:
            broker.set_class(traffic_class)
        self.dispatcher = asyncio.ensure_future(broker.run())
        return broker

    def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the loop until something is done."""
        return self.loop.run_until_complete(work)

    async def _ask(self, name: str, traffic_class: str, **fields: Any) -> None:
        try:
            await self.broker.ask(request(name, traffic_class, **fields))
        except RequestError as error:
            self.ends.append((name, error.code))
        except asyncio.CancelledError:
            self.ends.append((name, "cancelled"))
            raise
        else:
            self.ends.append((name, "answered"))

    def living(self, traffic_class: str) -> int:
        """Requests of a class that have not ended."""
        return sum(
            not task.done() and self.classes[name] == traffic_class
            for name, task in self.asked.items()
        )

    def shown(self) -> dict[str, ClassSnapshot]:
        """What the broker shows of each class."""

        async def look() -> dict[str, ClassSnapshot]:
            await asyncio.sleep(TOLD)
            return {one.name: one for one in self.broker.snapshot().classes}

        return self.during(look())

    @rule(
        traffic_class=NAMES,
        answers=ANSWERS,
        deadline=st.none() | st.sampled_from([0.5, 20.0, 200.0]),
        priority=st.none() | st.sampled_from([0, 99]),
        looks=st.none() | LOOKS,
    )
    def ask(
        self,
        traffic_class: str,
        answers: list[Answer],
        deadline: float | None,
        priority: int | None,
        looks: list[Answer] | None,
    ) -> None:
        name = f"n{len(self.asked)}"
        self.api.will(name, *answers)
        self.api.will("", *looks or ())
        self.classes[name] = traffic_class
        deferred = None if looks is None else Shelf()
        fields = {"deadline": deadline, "priority": priority, "deferred": deferred}
        asking = self._ask(name, traffic_class, **fields)
        self.asked[name] = self.loop.create_task(asking)
        self.wait(TOLD)

    @rule(which=st.integers(0, 99))
    def cancel(self, which: int) -> None:
        living = [task for task in self.asked.values() if not task.done()]
        if living:
            living[which % len(living)].cancel()
            self.wait(TOLD)

    @rule()
    def pause(self) -> None:
        self.broker.pause("a test")

    @rule()
    def resume(self) -> None:
        self.broker.resume()

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.7]))
    def writing_takes(self, seconds: float) -> None:
        self.ledger.slow = seconds

    @rule(broken=st.booleans())
    def writing_fails(self, broken: bool) -> None:  # noqa: FBT001
        self.ledger.broken = FULL_DISK if broken else None

    @rule(seconds=st.sampled_from([TOLD, 0.1, 1.0, 5.3, 31.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.during(asyncio.sleep(seconds))

    @invariant()
    def the_limits_are_kept(self) -> None:
        assert most_within(self.api.times, 5.0) <= 3
        assert most_within(self.api.times, 60.0) <= 8
        assert self.api.most_inside <= 8

    @invariant()
    def nothing_is_sent_unwritten(self) -> None:
        assert len(self.api.arrivals) <= len(self.ledger.recorded)
        assert not self.ledger.premature

    @invariant()
    def each_has_its_place(self) -> None:
        for name, shown in self.shown().items():
            assert shown.queued + shown.in_flight == self.living(name)
            assert shown.queued >= 0
            assert shown.in_flight >= 0

    @invariant()
    def nobody_ends_twice(self) -> None:
        names = [name for name, _ in self.ends]
        assert len(names) == len(set(names))

    @invariant()
    def the_dispatcher_lives(self) -> None:
        assert not self.dispatcher.done()

    def teardown(self) -> None:
        try:
            self.broker.resume()
            self.ledger.slow, self.ledger.broken = 0.0, None
            self.wait(LONGEST)
            assert all(task.done() for task in self.asked.values())
            # One that is cancelled before it ever ran has ended without a word.
            assert {name for name, _ in self.ends} == set(self.asked)
            for shown in self.shown().values():
                assert (shown.queued, shown.in_flight, shown.why) == (0, 0, "")
            assert not self.api.open
            assert [window.used for window in self._windows()] == [0, 0, 0]
        finally:
            self._close()

    def _windows(self) -> Any:
        async def look() -> Any:
            return self.broker.snapshot().quota.windows

        return self.during(look())

    def _close(self) -> None:
        async def close() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.during(close())
        self.loop.close()


TestBroker = pytest.mark.slow(BrokerMachine.TestCase)
TestBroker.settings = settings(max_examples=30, stateful_step_count=30)
