"""One job's way to the outside: asks through the broker, recorded in the job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, overload
from uuid import uuid4

import orjson
import structlog
from pydantic import BaseModel, ValidationError

from supervisor.broker.broker import Broker
from supervisor.errors import JobCancelled, JobError, JobFailed
from supervisor.jobs.job import Job, JobStatus
from supervisor.jobs.run import JobRun
from supervisor.messages import JsonValue, Request
from supervisor.role import Answer, Log, Message
from supervisor.team.conversation import answer_of, chat_body, delta_text, digest
from supervisor.upstream.sse import EventSplitter

Model = TypeVar("Model", bound=BaseModel)


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
        model: The configured model.
        submit: Hands a delegated job in.
        wait: Waits until a job has ended.
    """

    broker: Broker
    model: str
    submit: Submit
    wait: Callable[[str], Awaitable[Job]]


class JobContext:
    """The context of one run of a job; implements `supervisor.Context`.

    Args:
        run: The run, which keeps the record.
        means: What it works with.
        priority: 0 (most urgent) to 99, own or inherited.
        state: The role's memory.
    """

    def __init__(
        self,
        run: JobRun,
        means: Means,
        *,
        priority: int,
        state: MutableMapping[str, JsonValue],
    ) -> None:
        self._run = run
        self._means = means
        self._priority = priority
        self._state = state
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
        body = chat_body(
            prompt, model=model or self._means.model, system=system, schema=schema, options=options
        )
        answer = answer_of(await self._send(body))
        if schema is None:
            return answer
        try:
            return schema.model_validate_json(answer.text)
        except ValidationError as error:
            again = [*body["messages"], answer.message, _correction(error)]
        answer = answer_of(await self._send({**body, "messages": again}))
        try:
            return schema.model_validate_json(answer.text)
        except ValidationError as error:
            raise JobFailed(
                f"the answer does not conform to {schema.__name__}, twice: {_brief(error)}",
                hint="simplify the schema or ask for less at once",
            ) from error

    async def _send(self, body: dict[str, Any]) -> dict[str, Any]:
        async def call() -> JsonValue:
            reply = await self._means.broker.ask(self._request(body, stream=False))
            return reply.json()

        return cast("dict[str, Any]", await self._run.record(digest(body), call))

    def _request(self, body: dict[str, Any], *, stream: bool) -> Request:
        return Request(
            id=f"{self._run.id}-{uuid4().hex[:8]}",
            traffic_class=self._run.role,
            body=orjson.dumps({**body, "stream": True} if stream else body),
            model=str(body["model"]),
            stream=stream,
            priority=self._priority,
            headers={"x-grok-conv-id": self._run.id},
            job=self._run.id,
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
            splitter, whole = EventSplitter(), ""
            async with self._means.broker.stream(self._request(body, stream=True)) as reply:
                async for raw in reply:
                    for event in splitter.feed(raw):
                        piece = delta_text(event.data)
                        whole += piece
                        pieces.put_nowait(piece)
            return whole

        # A task of its own, since the record is complete only after the last piece was yielded.
        recorded = asyncio.create_task(self._run.record(digest("stream", body), call))
        recorded.add_done_callback(lambda _: pieces.put_nowait(None))
        streamed = False
        try:
            while (piece := await pieces.get()) is not None:
                streamed = True
                if piece:
                    yield piece
            whole = await recorded
            if not streamed:
                yield str(whole)
        finally:
            if not recorded.done():
                recorded.cancel()

    async def delegate(self, role: str, job_input: Any, *, key: str = "") -> JsonValue:
        """Give a job to another role and wait for its result; see `supervisor.Context`."""
        value = job_input.model_dump(mode="json") if isinstance(job_input, BaseModel) else job_input
        name = f"{self._run.id}/{digest(role, value, key)}"
        job = await self._means.submit(
            role, value, key=name, parent=self._run.id, priority=self._priority
        )
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
