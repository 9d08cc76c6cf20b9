"""A broker at work on a scripted API, with everything a test needs to watch it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import orjson
from anyio.abc import TaskGroup

from supervisor.broker.broker import Broker
from supervisor.broker.settings import BrokerSettings
from supervisor.broker.snapshot import ClassSnapshot
from supervisor.clock import LastingClock, LoopClock
from supervisor.errors import RequestError
from supervisor.limits import Limit
from supervisor.messages import Reply, Request, TrafficClass
from tests.broker.ledgers import WatchedLedger
from tests.upstream.api import ScriptedApi, upstream_of

CODE = TrafficClass("code")
A_WEEK = 7 * 86_400.0


def request(name: str, traffic_class: str = "code", *, size: int = 0, **fields: Any) -> Request:
    """A request that the API can tell by its name.

    Args:
        name: Its id, and the `user` of its document.
        traffic_class: Whom it counts for.
        size: Bytes of prompt.
        fields: Further fields of `Request`.
    """
    document = {"model": "grok-4.7", "user": name, "messages": ["x" * size]}
    fields = {"model": "grok-4.7", **fields}
    return Request(id=name, traffic_class=traffic_class, body=orjson.dumps(document), **fields)


@dataclass(slots=True)
class Desk:
    """A broker and what stands around it.

    Attributes:
        broker: The broker.
        api: The API it sends to.
        ledger: The ledger it writes to.
        tasks: Asks that run beside the test.
        replies: What was answered, by name.
        errors: What was refused, by name.
        beside: How many of these asks have not ended.
        ended: Names in the order in which they ended.
        moved: Set when the next one ends.
    """

    broker: Broker
    api: ScriptedApi
    ledger: WatchedLedger
    tasks: TaskGroup
    replies: dict[str, Reply] = field(default_factory=dict[str, Reply])
    errors: dict[str, RequestError] = field(default_factory=dict[str, RequestError])
    beside: int = 0
    ended: list[str] = field(default_factory=list[str])
    moved: anyio.Event = field(default_factory=anyio.Event)

    async def ask(self, name: str, traffic_class: str = "code", **fields: Any) -> Reply:
        """Ask and wait for the answer."""
        return await self.broker.ask(request(name, traffic_class, **fields))

    def start(self, name: str, traffic_class: str = "code", **fields: Any) -> anyio.CancelScope:
        """Ask beside the test; the end is noted.

        Returns:
            What cancels it.
        """
        scope = anyio.CancelScope()
        self.beside += 1
        self.tasks.start_soon(self._note, request(name, traffic_class, **fields), scope)
        return scope

    async def _note(self, asked: Request, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                self.replies[asked.id] = await self.broker.ask(asked)
            except RequestError as error:
                self.errors[asked.id] = error
        self.ended.append(asked.id)
        self.beside -= 1
        self.moved.set()
        self.moved = anyio.Event()

    async def until(self, *names: str) -> None:
        """Wait until these have ended."""
        while not set(names) <= set(self.ended):
            await self.moved.wait()

    def of(self, name: str = "code") -> ClassSnapshot:
        """What the broker shows of a class."""
        return next(one for one in self.broker.snapshot().classes if one.name == name)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is in flight, as far as anybody can see."""
        classes = self.broker.snapshot().classes
        return not any(one.queued or one.in_flight or one.why for one in classes)


def most_within(times: Sequence[float], period: float) -> int:
    """Most of these moments in any half-open window of this length: what a server would count."""
    ordered = sorted(times)
    return max((sum(t <= x < t + period for x in ordered) for t in ordered), default=0)


class PatientClock(LoopClock):
    """Loop time for a bounded number of looks: a task that spins is found at once.

    Args:
        looks: Most times that anybody may look at it.
    """

    def __init__(self, looks: int = 20_000) -> None:
        super().__init__()
        self._looks = looks

    def monotonic(self) -> float:
        self._looks -= 1
        assert self._looks > 0, "somebody looks at the clock without end"
        return super().monotonic()


def broker_of(
    api: ScriptedApi,
    clock: LastingClock,
    *,
    limits: Sequence[str] = (),
    ledger: WatchedLedger | None = None,
    jitter: float = 0.25,
    max_retries: int = 3,
    **more: Any,
) -> Broker:
    """A broker without classes that does not run yet."""
    settings = BrokerSettings(
        tuple(Limit.parse(text) for text in limits), jitter, max_retries, **more
    )
    return Broker(
        settings,
        upstream=upstream_of(api),
        ledger=WatchedLedger() if ledger is None else ledger,
        clock=clock,
        spread=lambda: 0.0,
    )


@asynccontextmanager
async def at_work(
    clock: LastingClock,
    *limits: str,
    api: ScriptedApi | None = None,
    classes: Sequence[TrafficClass] = (CODE,),
    ledger: WatchedLedger | None = None,
    **settings: Any,
) -> AsyncGenerator[Desk]:
    """Run a broker; at the end everything asked must have ended and nothing may be left of it.

    Args:
        clock: Tells the time.
        limits: The key's limits.
        api: The API; one that answers everything when None.
        classes: Roles and clients.
        ledger: The ledger; an empty one when None.
        settings: `jitter`, `max_retries`, `budgets` and `prices`.
    """
    api = ScriptedApi() if api is None else api
    ledger = WatchedLedger() if ledger is None else ledger
    broker = broker_of(api, clock, limits=limits, ledger=ledger, **settings)
    for traffic_class in classes:
        broker.set_class(traffic_class)
    try:
        with anyio.fail_after(A_WEEK):
            async with anyio.create_task_group() as house:
                await house.start(broker.run)
                async with _seated(broker, api, ledger) as desk:
                    yield desk
                house.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # What went wrong first is what a test wants to name; the groups are ours.
        raise _first(group) from None


@asynccontextmanager
async def _seated(broker: Broker, api: ScriptedApi, ledger: WatchedLedger) -> AsyncGenerator[Desk]:
    async with anyio.create_task_group() as tasks:
        desk = Desk(broker, api, ledger, tasks)
        yield desk
        while desk.beside:
            await desk.moved.wait()
        assert desk.idle, "something is left in the broker"
        assert not api.open, f"not closed: {api.open}"


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
