"""The house as it changes: server-sent events for any number of pages.

One task looks and makes the bytes, once a second at most; a page only waits for them and sends
them on. A page that reads slowly finds the newest view when it comes back, not a backlog.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, NoReturn, TypeVar

import anyio
import structlog
from starlette.types import Receive, Scope, Send

from supervisor.broker.snapshot import ClassSnapshot
from supervisor.clock import Clock
from supervisor.errors import SupervisorError
from supervisor.jobs.job import Job
from supervisor.ledger.forecast import look_back
from supervisor.web.closing import Closing
from supervisor.web.document import document
from supervisor.web.hangup import until_hangup
from supervisor.web.health_api import HealthApi
from supervisor.web.history import STEP, History
from supervisor.web.hub import Hub
from supervisor.web.schedules_api import ending
from supervisor.web.view import Money, Sources, lasting, view

_log = structlog.get_logger("supervisor.web")

TICK = 1.0
"""Seconds between two views at least."""

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nobody takes the stream for dead."""

NEWEST = 20
"""Jobs that are shown."""

_STALE = 5.0
"""Seconds for which usage, and the jobs that run, may be shown as they were."""

_ANSWER = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        # nginx would collect the events otherwise.
        (b"x-accel-buffering", b"no"),
    ],
}
_COMMENT = b": still here\n\n"
_BYE = b"event: bye\ndata: {}\n\n"

T = TypeVar("T")


class _Remembered(Generic[T]):
    """Something that takes reading, read again only when what it hangs on has changed.

    Attributes:
        trouble: Why it could not be read the last time; empty when it could.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], *, first: T, every: float) -> None:
        self._read = read
        self._value = first
        self._every = every
        self._mark: object = None
        self._again = -math.inf
        self.trouble = ""

    async def at(self, mark: object, *, now: float) -> T:
        """What it is now, or was at most `every` seconds ago.

        Args:
            mark: Equal to the last one when it cannot have changed.
            now: Monotonic seconds.
        """
        if now < self._again or (mark == self._mark and not self.trouble):
            return self._value
        self._again = now + self._every
        try:
            self._value = await self._read()
        except SupervisorError as error:
            self.trouble = str(error)
        else:
            self.trouble = ""
            self._mark = mark
        return self._value


class Live:
    """`/api/events`; an ASGI endpoint, and the task that feeds it.

    Args:
        hub: What is looked at.
        health: Says what `/health` says.
        closing: Ends the streams when the server closes.
    """

    def __init__(self, hub: Hub, health: HealthApi, closing: Closing) -> None:
        self._hub = hub
        self._health = health
        self._closing = closing
        self._clock: Clock = hub.clock
        self._history = History()
        self._jobs = _Remembered[Sequence[Job]](
            lambda: hub.jobs.list(limit=NEWEST), first=(), every=TICK
        )
        self._money = _Remembered(self._read_money, first=Money((), (), 0.0), every=_STALE)
        self._endings = _Remembered[Mapping[str, str | None]](
            self._read_endings, first={}, every=TICK
        )
        self._readers = 0
        self._wanted = anyio.Event()
        self._news = anyio.Event()
        self._number = 0
        self._frame = b""
        self._shown: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<Live readers={self._readers} views={self._number}>"

    @property
    def readers(self) -> int:
        """Pages that are open."""
        return self._readers

    @property
    def views(self) -> int:
        """Views made so far."""
        return self._number

    async def run(self) -> NoReturn:
        """Look again and again until cancelled: each second while somebody reads."""
        while True:
            rest = TICK
            try:
                await self._look()
            except Exception:
                # A mistake in what is only shown must not take the door down.
                _log.exception("web.view_failed")
                rest = HEARTBEAT
            await anyio.sleep(rest)
            if self._readers:
                continue
            self._forget()
            with anyio.move_on_after(STEP - TICK):
                await self._wanted.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one page until it goes away or the server closes."""
        await send(_ANSWER)
        if scope["method"] != "HEAD":
            with self._closing.at_most(math.inf):
                await until_hangup(receive, self._relay(send))
        await send({"type": "http.response.body", "body": _BYE})

    async def _relay(self, send: Send) -> None:
        hello = {"now": self._clock.wall(), "history": self._history.table()}
        await _pass_on(send, _event(b"hello", hello))
        self._readers += 1
        self._wanted.set()
        seen = 0
        try:
            while True:
                if seen == self._number or not self._frame:
                    news = self._news
                    with anyio.move_on_after(HEARTBEAT):
                        await news.wait()
                fresh = bool(self._frame) and seen != self._number
                seen = self._number if fresh else seen
                await _pass_on(send, self._frame if fresh else _COMMENT)
        finally:
            self._readers -= 1

    async def _look(self) -> None:
        broker, wall = self._hub.broker.snapshot(), self._clock.wall()
        self._history.add(broker, now=wall)
        if not self._readers:
            return
        jobs, now = self._hub.jobs.snapshot(), self._clock.monotonic()
        # The cost of a job that runs grows without its status telling so.
        newest = await self._jobs.at((jobs.roles, now // _STALE if jobs.running else 0), now=now)
        # A forecast changes with the time as well, though slowly.
        used = [_used(one) for one in broker.classes], wall // 60
        schedules = self._hub.schedules.snapshot()
        sources = Sources(
            health=self._health.report(),
            ready=self._hub.ready(),
            jobs=newest,
            money=await self._money.at(used, now=now),
            budgets=broker.budgets,
            endings=await self._endings.at(
                (jobs.roles, [one.job for one in schedules]) if schedules else None, now=now
            ),
            trouble=(
                jobs.trouble or self._jobs.trouble or self._money.trouble or self._endings.trouble
            ),
        )
        shown = view(sources, now=self._clock.wall())
        if (kept := lasting(shown)) != self._shown:
            self._shown = kept
            self._publish(_event(b"view", shown))

    async def _read_money(self) -> Money:
        wall = self._clock.wall()
        ledger = self._hub.ledger
        return Money(await ledger.usage(), await ledger.costs_since(look_back(wall)), wall)

    async def _read_endings(self) -> Mapping[str, str | None]:
        schedules = self._hub.schedules
        return {one.name: await ending(schedules, one.name) for one in schedules.snapshot()}

    def _publish(self, frame: bytes) -> None:
        self._frame = frame
        self._number += 1
        self._news.set()
        self._news = anyio.Event()

    def _forget(self) -> None:
        """Nobody reads: the next page must not be shown what was long ago."""
        self._frame, self._shown = b"", None
        self._wanted = anyio.Event()


def _used(one: ClassSnapshot) -> tuple[object, ...]:
    """What changes whenever the ledger's sums do."""
    tokens = one.prompt_tokens, one.completion_tokens
    return one.name, one.attempts, one.answered, one.refused, *tokens, one.cost_usd


async def _pass_on(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _event(name: bytes, value: object) -> bytes:
    return b"event: " + name + b"\ndata: " + bytes(document(value).body) + b"\n\n"
