"""A house small enough for a test: the real broker and doors, a scripted API, roles on paper."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx
import orjson
from pydantic import SecretStr
from starlette.applications import Starlette

from supervisor.broker.broker import Broker
from supervisor.broker.settings import BrokerSettings
from supervisor.clock import SystemClock
from supervisor.config.secrets import Secrets
from supervisor.config.settings import Settings
from supervisor.errors import PluginInvalid, UnknownJob, UnknownRole, UnknownSchedule
from supervisor.jobs.job import Job, JobsSnapshot, JobStatus, RoleJobs
from supervisor.jobs.schedules import ScheduleSnapshot
from supervisor.ledger.memory import MemoryLedger
from supervisor.limits import Limit
from supervisor.memory.memory import Memory
from supervisor.messages import JsonValue, TrafficClass
from supervisor.team.snapshot import BrokenPlugin, RoleSnapshot, TeamSnapshot
from supervisor.upstream.client import Upstream
from supervisor.upstream.key import Key
from supervisor.upstream.reload import KeySnapshot, Reload, Result
from supervisor.web.app import create_app
from supervisor.web.hub import Hub
from supervisor.web.presence import Presence
from supervisor.web.server import serve
from tests.jobs.queued import queued
from tests.waiting import until

KEY = "xai-test-not-a-real-key"
BASE = "http://127.0.0.1:8420"
NOON = 1_800_000_000.0
CHAT = "/v1/chat/completions"
QUESTION = {"model": "grok-4.7", "messages": [{"role": "user", "content": "Hi"}]}
ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "grok-4.7",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    "a field of tomorrow": {"kept": True},
}
Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]
Ended = TypeVar("Ended")


def chunk(text: str, *, finish: str | None = None) -> bytes:
    """One event of a streamed chat completion."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    document = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "grok-4.7",
        "choices": [choice],
    }
    return b"data: " + orjson.dumps(document) + b"\n\n"


EVENTS = (chunk("Hel"), chunk("lo"), chunk("", finish="stop"), b"data: [DONE]\n\n")


class Events(httpx.AsyncByteStream):
    """A stream of events that a test can hold up, and whose end it can see.

    Args:
        events: What is sent.
        held_after: How many events come before it waits for `go_on`.
        broken: Whether the connection breaks behind them.
    """

    def __init__(
        self,
        events: Sequence[bytes] = EVENTS,
        *,
        held_after: int | None = None,
        broken: bool = False,
    ) -> None:
        self._events = events
        self._held_after = held_after
        self._broken = broken
        self.go_on = anyio.Event()
        self.closed = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, event in enumerate(self._events):
            if number == self._held_after:
                await self.go_on.wait()
            yield event
        if self._broken:
            raise httpx.ReadError("the peer hung up")

    async def aclose(self) -> None:
        self.closed.set()


class Api:
    """The scripted API.

    Attributes:
        seen: The requests that arrived.
        answer: Answers the next ones.
        cancelled: Requests whose asker went away before the answer.
    """

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []
        self.answer: Answer = self.plain
        self.cancelled = 0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Take one request."""
        self.seen.append(request)
        try:
            return await self.answer(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def plain(self, request: httpx.Request) -> httpx.Response:
        """A chat completion; streamed when asked."""
        if request.content and orjson.loads(request.content).get("stream"):
            return streamed(Events())
        return httpx.Response(200, json=ANSWER, headers={"x-request-id": "up-1"})

    def refuse(self, status: int, body: object, *, text: str = "") -> None:
        """From now on answer with an error."""

        async def answer(request: httpx.Request) -> httpx.Response:
            if text:
                return httpx.Response(status, text=text)
            return httpx.Response(status, json=body)

        self.answer = answer

    def hold(self) -> anyio.Event:
        """From now on answer only once the event is set."""
        gate = anyio.Event()

        async def answer(request: httpx.Request) -> httpx.Response:
            await gate.wait()
            return await self.plain(request)

        self.answer = answer
        return gate

    def stream(self, events: Events) -> None:
        """From now on answer with this stream."""

        async def answer(request: httpx.Request) -> httpx.Response:
            return streamed(events)

        self.answer = answer


def streamed(events: Events) -> httpx.Response:
    """A response with events."""
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=events)


def paper_role(name: str, *, state: str = "running") -> RoleSnapshot:
    """A role that exists on paper."""
    return RoleSnapshot(
        name=name,
        description=f"does {name}",
        state=state,
        since_seconds=1.0,
        restarts=2,
        last_error="ValueError: oh",
        running_jobs=1,
        priority=40,
        share=0.1,
    )


class PaperTeam:
    """A team that only remembers what was asked of it."""

    def __init__(self, *names: str) -> None:
        self.roles = {name: paper_role(name) for name in names}
        self.asked: list[tuple[str, str]] = []
        self.broken = (BrokenPlugin("roles/bad.py", 3, "expected a Role, got: none"),)

    def snapshot(self) -> TeamSnapshot:
        return TeamSnapshot(tuple(self.roles.values()), self.broken)

    async def start(self, name: str) -> None:
        self._change("start", name, "running")

    async def stop(self, name: str) -> None:
        self._change("stop", name, "stopped")

    async def restart(self, name: str) -> None:
        self._change("restart", name, "running")

    async def reload(self, name: str) -> None:
        if name == "broken":
            raise PluginInvalid("expected a Role, got: none", file="roles/broken.py", line=7)
        self._change("reload", name, "running")
        if name == "ghost":
            del self.roles[name]

    def _change(self, action: str, name: str, state: str) -> None:
        if name not in self.roles:
            raise UnknownRole(f'no role is called "{name}"', hint="known are: quality")
        self.asked.append((action, name))
        self.roles[name] = replace(self.roles[name], state=state)


class PaperJobs:
    """Jobs in memory that nobody does unless the test says so."""

    def __init__(self) -> None:
        self.kept: dict[str, Job] = {}
        self.watchers = 0
        self._changed = anyio.Event()

    async def submit(
        self, role: str, job_input: JsonValue, *, key: str = "", priority: int | None = None
    ) -> Job:
        known = [job for job in self.kept.values() if key and (job.role, job.key) == (role, key)]
        if known:
            return known[0]
        name = f"j{len(self.kept) + 1}"
        job = queued(name, role, job_input, created=NOON, key=key, priority=priority)
        self.kept[job.id] = job
        return job

    def finish(self, job_id: str, result: JsonValue, *, error: str | None = None) -> None:
        """Let a job end."""
        status = JobStatus.FAILED if error else JobStatus.DONE
        self.kept[job_id] = replace(self.kept[job_id], status=status, result=result, error=error)
        self._changed.set()
        self._changed = anyio.Event()

    async def get(self, job_id: str) -> Job:
        if job_id not in self.kept:
            raise UnknownJob(f'no job has the id "{job_id}"')
        return self.kept[job_id]

    async def list(
        self, *, role: str | None = None, status: JobStatus | None = None, limit: int = 100
    ) -> Sequence[Job]:
        fitting = [
            job
            for job in reversed(self.kept.values())
            if role in (None, job.role) and status in (None, job.status)
        ]
        return fitting[:limit]

    async def why(self, job: Job) -> str:
        return "three start before it" if job.status is JobStatus.QUEUED else ""

    async def cancel(self, job_id: str) -> Job:
        job = await self.get(job_id)
        self.kept[job_id] = replace(job, status=JobStatus.CANCELLED)
        return self.kept[job_id]

    async def retry(self, job_id: str) -> Job:
        job = self.kept[job_id]
        again = replace(job, status=JobStatus.QUEUED, error=None, retries=job.retries + 1)
        self.kept[job_id] = again
        return again

    async def retry_failed(self, *, role: str | None, poisoned: bool) -> int:
        failed = [
            job.id
            for job in self.kept.values()
            if job.status is JobStatus.FAILED
            and job.poisoned is poisoned
            and role in (None, job.role)
        ]
        for job_id in failed:
            await self.retry(job_id)
        return len(failed)

    async def wait(self, job_id: str) -> Job:
        self.watchers += 1
        try:
            while not self.kept[job_id].status.ended:
                await self._changed.wait()
            return self.kept[job_id]
        finally:
            self.watchers -= 1

    def snapshot(self) -> JobsSnapshot:
        return JobsSnapshot({"quality": RoleJobs(concurrency=4, queued=len(self.kept))})


class PaperKeys:
    """A key that changes as the test says."""

    def __init__(self) -> None:
        self.next = Reload(Result.UNCHANGED, "", "the key is the one in use")
        self.now = KeySnapshot("key.file", "0123abcd", 1_800_000_000.0, 0, None)

    def snapshot(self) -> KeySnapshot:
        return self.now

    async def reload(self, cause: str) -> Reload:
        self.now = replace(self.now, last=replace(self.next, cause=cause, at=1_800_000_060.0))
        return self.next


class PaperSchedules:
    """One schedule on paper."""

    def __init__(self, jobs: PaperJobs) -> None:
        self._jobs = jobs
        self._last = ""
        self.none = False

    def snapshot(self) -> tuple[ScheduleSnapshot, ...]:
        if self.none:
            return ()
        return (
            ScheduleSnapshot(
                name="nightly",
                cron="0 3 * * *",
                timezone="UTC",
                role="quality",
                missed="once",
                next=1_800_000_000.0,
                last=None,
                job=self._last or None,
                problem="",
            ),
        )

    async def run_now(self, name: str) -> Job:
        if name != "nightly":
            raise UnknownSchedule(f'no schedule is called "{name}"', hint="there are: nightly")
        job = await self._jobs.submit("quality", "x")
        self._last = job.id
        return job

    async def last_status(self, name: str) -> JobStatus | None:
        return (await self._jobs.get(self._last)).status if self._last else None


@dataclass(slots=True)
class House:
    """What a test works with."""

    hub: Hub
    app: Starlette
    api: Api
    broker: Broker
    team: PaperTeam
    jobs: PaperJobs
    keys: PaperKeys
    schedules: PaperSchedules
    client: httpx.AsyncClient
    reason: list[str] = field(default_factory=list[str])
    present: list[bool] = field(default_factory=list[bool])


def settings_of(
    table: Mapping[str, Any] | None = None, tokens: Mapping[str, str] | None = None
) -> Settings:
    """Settings, with the tokens of clients."""
    secrets = Secrets(
        key=None, clients={name: SecretStr(token) for name, token in (tokens or {}).items()}
    )
    return Settings.model_validate(dict(table or {}), context=secrets)


@asynccontextmanager
async def open_house(
    *,
    settings: Settings | None = None,
    limits: Sequence[str] = (),
    queue: int = 10_000,
    retries: int = 0,
    folders: Sequence[Path] = (),
) -> AsyncGenerator[House]:
    """A house with the roles quality and code and the client editor; all end with the block."""
    api, team, jobs, clock = Api(), PaperTeam("quality", "code"), PaperJobs(), SystemClock()
    ledger, keys = MemoryLedger(), PaperKeys()
    upstream = Upstream("https://api.test/v1", Key(KEY), transport=httpx.MockTransport(api.handle))
    parsed = tuple(Limit.parse(text) for text in limits)
    broker = Broker(
        BrokerSettings(parsed, jitter=0.0, max_retries=retries),
        upstream=upstream,
        ledger=ledger,
        clock=clock,
    )
    folder = await anyio.to_thread.run_sync(TemporaryDirectory)
    present: list[bool] = []
    names = ("gateway", "chat", "quality", "code", "editor")
    for name in names:
        broker.set_class(TrafficClass(name, queue=queue))
    reason: list[str] = []
    schedules = PaperSchedules(jobs)
    hub = Hub(
        settings=settings or settings_of(),
        broker=broker,
        keys=keys,
        jobs=jobs,
        schedules=schedules,
        team=team,
        ledger=ledger,
        memory=Memory(Path(folder.name, "memory.sqlite"), clock=clock, folders=folders),
        presence=Presence(present.append, clock=clock),
        clock=clock,
        started=clock.monotonic(),
        ready=lambda: "".join(reason),
        classes=lambda: names,
        models=lambda: upstream.get("/models"),
        version="1.2.3",
    )
    app = create_app(hub)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE)
    async with client, anyio.create_task_group() as tasks:
        await tasks.start(broker.run)
        yield House(hub, app, api, broker, team, jobs, keys, schedules, client, reason, present)
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(folder.cleanup)


@asynccontextmanager
async def served(house: House, *, grace: float = 0.05) -> AsyncGenerator[int]:
    """The house on a real socket; gives the port."""
    async with anyio.create_task_group() as tasks:

        async def listen(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            await serve(house.app, "127.0.0.1", 0, grace=grace, task_status=task_status)

        port: int = await tasks.start(listen)
        yield port
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def beside(work: Callable[[], Coroutine[Any, Any, object]]) -> AsyncGenerator[None]:
    """Something that runs beside the block, and is cancelled at its end if it still does."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        yield
        tasks.cancel_scope.cancel()


async def ended(found: list[Ended]) -> Ended:
    """What something that runs beside the test came to, once it has put it into the list."""
    await until(lambda: found)
    return found[0]


def waiting(house: House, name: str = "gateway") -> int:
    """How many requests of a class wait in the queue."""
    return next(one.queued for one in house.broker.snapshot().classes if one.name == name)


def in_flight(house: House, name: str = "gateway") -> int:
    """How many attempts of a class are under way."""
    return next(one.in_flight for one in house.broker.snapshot().classes if one.name == name)
