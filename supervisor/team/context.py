"""One job's way to the outside: asks through the broker, recorded in the job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, overload
from uuid import uuid4

import anyio
import structlog
from pydantic import BaseModel, ValidationError

from supervisor.broker.broker import Broker
from supervisor.broker.patience import Patience
from supervisor.errors import (
    Draining,
    JobCancelled,
    JobError,
    JobFailed,
    KeyUnusable,
    RequestError,
)
from supervisor.jobs.job import Job, JobStatus
from supervisor.jobs.run import JobRun
from supervisor.memory.words import Hit, Index
from supervisor.messages import Cost, Deferral, JsonValue, Reply, Request, Usage
from supervisor.role import Answer, Colleague, Log, Message
from supervisor.team.conversation import answer_of, chat_body, delta_text, digest, usage_in
from supervisor.upstream.document import max_output, write_exact
from supervisor.upstream.sse import EventSplitter
from supervisor.upstream.usage import usage_of
from supervisor.workspace.words import Sandbox

Model = TypeVar("Model", bound=BaseModel)
Result = TypeVar("Result")

_log = structlog.get_logger("supervisor.team")

_UNDONE = (JobStatus.FAILED, JobStatus.CANCELLED)


class Accounts(Protocol):
    """Keeps what jobs have cost; see `jobs.Jobs`."""

    async def set_cost(self, job_id: str, cost: Cost) -> None: ...
    async def cost_below(self, job_id: str) -> Cost: ...


class Submit(Protocol):
    """Hands a delegated job in."""

    def __call__(
        self, role: str, value: Any, *, key: str, parent: str, priority: int
    ) -> Awaitable[Job]: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a context needs of the house.

    Attributes:
        broker: The way to the key.
        patience: Waits for a refused key.
        model: The configured model.
        submit: Hands a delegated job in.
        wait: Waits until a job has ended.
        retry: Puts a delegated job back into the queue that ended badly before its parent was
            retried.
        accounts: Keeps what jobs have cost.
        index: What is known; None where nothing is.
        team: Tells who is there.
        sandbox: Runs commands; None where nothing is to be run.
    """

    broker: Broker
    patience: Patience
    model: str
    submit: Submit
    wait: Callable[[str], Awaitable[Job]]
    retry: Callable[[str], Awaitable[Job]]
    accounts: Accounts
    index: Index | None
    team: Callable[[], Sequence[Colleague]]
    sandbox: Sandbox | None = None


class JobContext:
    """The context of one run of a job; implements `supervisor.Context`.

    Args:
        run: The run, which keeps the record.
        means: What it works with.
        priority: 0 (most urgent) to 99, own or inherited.
        state: The role's memory.
        folder: The role's own folder.
        deferred: Whether its answers may be fetched later.
    """

    def __init__(
        self,
        run: JobRun,
        means: Means,
        *,
        priority: int,
        state: MutableMapping[str, JsonValue],
        folder: Path,
        deferred: bool = False,
    ) -> None:
        self._deferred = deferred
        self._run = run
        self._means = means
        self._priority = priority
        self._state = state
        self._folder = folder
        self._cost = Cost()
        self._log: Log = structlog.get_logger("supervisor.role").bind(role=run.role, job=run.id)

    @property
    def job_id(self) -> str:
        """The job that is being handled."""
        return self._run.id

    @property
    def role(self) -> str:
        """The name of the role that handles it."""
        return self._run.role

    @property
    def log(self) -> Log:
        """A logger that already knows role and job."""
        return self._log

    @property
    def state(self) -> MutableMapping[str, JsonValue]:
        """The role's memory."""
        return self._state

    @property
    def folder(self) -> Path:
        """The role's own folder."""
        return self._folder

    @property
    def team(self) -> Sequence[Colleague]:
        """All roles that are there."""
        return self._means.team()

    @property
    def index(self) -> Index:
        """The index of all that is known.

        Raises:
            JobFailed: There is none here.
        """
        if self._means.index is None:
            raise JobFailed(
                "there is no index here", hint="it comes with `python -m supervisor run`"
            )
        return self._means.index

    @property
    def sandbox(self) -> Sandbox:
        """Runs commands away from the key.

        Raises:
            JobFailed: There is none here.
        """
        if self._means.sandbox is None:
            raise JobFailed(
                "there is no sandbox here", hint="it comes with `python -m supervisor run`"
            )
        return self._means.sandbox

    async def search(self, query: str, *, source: str = "", limit: int = 10) -> list[Hit]:
        """Find passages; see `supervisor.Context.search`."""
        return await self.index.search(query, source=source, limit=limit)

    async def record(self, name: str, call: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Do something once; see `supervisor.Context.record`."""
        return await self._run.record(digest("record", name), call)

    async def cost(self) -> Cost:
        """What this job and all that it has delegated has cost so far."""
        return self._cost + await self._means.accounts.cost_below(self._run.id)

    @overload
    async def ask(
        self,
        prompt: str | Sequence[Message],
        *,
        schema: type[Model],
        system: str = ...,
        model: str = ...,
        **options: Any,
    ) -> Model: ...
    @overload
    async def ask(
        self,
        prompt: str | Sequence[Message],
        *,
        schema: None = None,
        system: str = ...,
        model: str = ...,
        **options: Any,
    ) -> Answer: ...
    async def ask(
        self,
        prompt: str | Sequence[Message],
        *,
        schema: type[Model] | None = None,
        system: str = "",
        model: str = "",
        **options: Any,
    ) -> Answer | Model:
        """Ask the model; see `supervisor.Context.ask`."""
        # How the answer comes is no part of the question: what is on record is found either way.
        deferred = bool(options.pop("deferred", self._deferred))
        body = chat_body(
            prompt, model=model or self._means.model, system=system, schema=schema, options=options
        )
        answer = await self._send(body, deferred=deferred)
        if schema is None:
            return answer
        try:
            return schema.model_validate_json(answer.text)
        except ValidationError as error:
            again = [*body["messages"], answer.message, _correction(error)]
        answer = await self._send({**body, "messages": again}, deferred=deferred)
        try:
            return schema.model_validate_json(answer.text)
        except ValidationError as error:
            raise JobFailed(
                f"the answer does not conform to {schema.__name__}, twice: {_brief(error)}",
                hint="simplify the schema or ask for less at once",
            ) from error

    async def _send(self, body: dict[str, Any], *, deferred: bool) -> Answer:
        asked = False

        async def call(claim: Deferral) -> JsonValue:
            nonlocal asked
            # What was promised once is fetched, also where nothing is deferred any more.
            deferral = claim if deferred or claim.promise is not None else None
            reply = await self._patiently(partial(self._ask_once, body, deferral))
            asked = True
            return reply.json()

        with self._run.under_way.one():
            document = cast("dict[str, Any]", await self._run.claim(digest(body), call))
        answer = answer_of(document)
        await self._charge(answer.usage, str(body["model"]), asked=asked)
        return answer

    async def _ask_once(self, body: dict[str, Any], deferral: Deferral | None) -> Reply:
        return await self._means.broker.ask(self._request(body, stream=False, deferred=deferral))

    async def _patiently(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask, and wait while the key is refused or the ledger away: no job fails of that."""
        async with self._run.asking():
            try:
                return await self._means.patience.ask(ask, on_wait=self._say_that_it_waits)
            except Draining:
                # It would end the handler, and what that has asked beside this with it.
                await self._run.under_way.others_ended()
                raise

    def _say_that_it_waits(self, error: RequestError) -> None:
        job, role, text = self.job_id, self.role, str(error)
        if isinstance(error, KeyUnusable):
            _log.warning("team.job_waits_for_key", job=job, role=role, error=text)
        else:
            _log.warning("team.job_waits_for_ledger", job=job, role=role, error=text)

    async def _charge(self, usage: Usage | None, model: str, *, asked: bool) -> None:
        """Count one answer; what came from the record was written down when it was asked."""
        usage = self._means.broker.priced(usage, model) if usage else Usage()
        self._cost += Cost(1, usage.total, usage.cost)
        if asked:
            await self._means.accounts.set_cost(self._run.id, self._cost)

    def _request(
        self, body: dict[str, Any], *, stream: bool, deferred: Deferral | None = None
    ) -> Request:
        return Request(
            id=f"{self._run.id}-{uuid4().hex[:8]}",
            traffic_class=self._run.role,
            body=write_exact({**body, "stream": True} if stream else body),
            model=str(body["model"]),
            stream=stream,
            max_output=max_output(body),
            priority=self._priority,
            headers={"x-grok-conv-id": self._run.id},
            job=self._run.id,
            deferred=deferred,
        )

    async def stream(
        self,
        prompt: str | Sequence[Message],
        *,
        system: str = "",
        model: str = "",
        **options: Any,
    ) -> AsyncGenerator[str, None]:
        """Like `ask`, yielding the text as it comes; recorded when complete."""
        body = chat_body(prompt, model=model or self._means.model, system=system, options=options)
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        async def call() -> JsonValue:
            return await self._patiently(partial(self._stream_once, pieces, body))

        # A task of its own, since the record is complete only after the last piece was yielded.
        recorded = asyncio.create_task(self._record_stream(digest("stream", body), call))
        recorded.add_done_callback(lambda _: pieces.put_nowait(None))
        streamed = False
        try:
            while (piece := await pieces.get()) is not None:
                streamed = True
                if piece:
                    yield piece
            whole = cast("dict[str, Any]", await recorded)
            await self._charge(usage_of(whole), str(body["model"]), asked=streamed)
            if not streamed:
                yield str(whole["text"])
        finally:
            if not recorded.done():
                recorded.cancel()
                # What is whole is being written down, for which nobody else would wait.
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([recorded])

    async def _record_stream(
        self, name: str, call: Callable[[], Awaitable[JsonValue]]
    ) -> JsonValue:
        with self._run.under_way.one():
            return await self._run.record(name, call)

    async def _stream_once(
        self, pieces: asyncio.Queue[str | None], body: dict[str, Any]
    ) -> JsonValue:
        splitter, whole, usage = EventSplitter(), "", None
        try:
            async with self._means.broker.stream(self._request(body, stream=True)) as reply:
                async for raw in reply:
                    for event in splitter.feed(raw):
                        piece = delta_text(event.data)
                        usage = usage_in(event.data) or usage
                        whole += piece
                        pieces.put_nowait(piece)
        except KeyUnusable as error:
            if whole:
                # What was handed out cannot be taken back, so it is not asked for once more.
                raise JobFailed(
                    f"the key was refused in the middle of a stream: {error}"
                ) from error
            raise
        return {"text": whole, "usage": usage}

    async def delegate(self, role: str, job_input: Any, *, key: str = "") -> JsonValue:
        """Give a job to another role and wait for its result; see `supervisor.Context`."""
        value = job_input.model_dump(mode="json") if isinstance(job_input, BaseModel) else job_input
        name = f"{self._run.id}/{digest(role, value, key)}"
        job = await self._means.submit(
            role, value, key=name, parent=self._run.id, priority=self._priority
        )
        if job.status in _UNDONE:
            # Who has asked for this job once more since it ended has asked for it too.
            await self._means.retry(job.id)
        async with self._run.released():
            job = await self._means.wait(job.id)
        if job.status is JobStatus.DONE:
            return job.result
        if job.status is JobStatus.CANCELLED:
            raise JobCancelled(f"job {job.id} of {role} was cancelled")
        raise JobError(f"job {job.id} of {role} failed: {job.error}")


def _correction(error: ValidationError) -> Message:
    text = f"That does not conform to the schema: {_brief(error)}. Answer again, with JSON only."
    return {"role": "user", "content": text}


def _brief(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False)[:5]
    return "; ".join(
        f"{'.'.join(str(step) for step in one['loc']) or 'the document'}: {one['msg']}"
        for one in problems
    ) or json.dumps(None)
