"""What a role is: a class with `handle`, and the context through which it acts.

A role author subclasses `Role`, annotates what `handle` takes and returns, and drops the file
into `roles/`. Everything a role may do goes through its `Context`; it owns no client, no key, no
limiter and no retry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, overload

from pydantic import BaseModel

from supervisor.memory.words import Hit, Index
from supervisor.messages import Cost, JsonValue, Priority, Usage
from supervisor.workspace.words import Sandbox

Input = TypeVar("Input")
Output = TypeVar("Output")
Model = TypeVar("Model", bound=BaseModel)

Message = Mapping[str, Any]
"""One message in the API's own form: `{"role": "user", "content": "…"}`."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call in an answer; `arguments` is the JSON text that the model wrote."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said.

    Attributes:
        text: The content; empty when it only called tools.
        tool_calls: Calls the model wants made.
        finish_reason: The API's word: `stop`, `length`, `tool_calls` …
        usage: Tokens and price, None when the API did not say.
        message: The assistant's message in the API's own form, for the next turn.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    usage: Usage | None
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Colleague:
    """A role of the team, for those that delegate.

    Attributes:
        name: What `delegate` calls it.
        description: Its own line about itself.
        schema: JSON schema of what it takes.
    """

    name: str
    description: str
    schema: Mapping[str, Any]


class Log(Protocol):
    """A bound structlog logger; `event` is a dotted name, the rest are fields."""

    def debug(self, event: str, **fields: Any) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...


class Context(Protocol):
    """One job's way to the outside."""

    @property
    def job_id(self) -> str:
        """The job that is being handled."""
        ...

    @property
    def role(self) -> str:
        """The name of the role that handles it."""
        ...

    @property
    def log(self) -> Log:
        """A logger that already knows role and job."""
        ...

    @property
    def state(self) -> MutableMapping[str, JsonValue]:
        """The role's memory over jobs, reloads and restarts; written down when a job ends."""
        ...

    @property
    def folder(self) -> Path:
        """An absolute folder of this role's own, for files; it is there."""
        ...

    @property
    def team(self) -> Sequence[Colleague]:
        """All roles that are there, this one included, by name."""
        ...

    @property
    def index(self) -> Index:
        """The index of all that is known; to find something, `search` is enough."""
        ...

    @property
    def sandbox(self) -> Sandbox:
        """Runs commands away from the key."""
        ...

    async def search(self, query: str, *, source: str = "", limit: int = 10) -> list[Hit]:
        """Find passages of the indexed folders, best first; asks no model and waits for no quota.

        Args:
            query: Words; nothing in it is syntax.
            source: Only this folder; all when empty.
            limit: Most to return.
        """
        ...

    async def record(self, name: str, call: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Do something once: what it returns is durable, and a later run of the job gets that.

        Args:
            name: What it is. Equal names in one run are recorded once each, in their order.
            call: Does it; awaited only when nothing is on record. When it raises, nothing is
                recorded, and a later run does it again.

        Raises:
            TypeError: The result is no JSON value.
        """
        ...

    async def cost(self) -> Cost:
        """What this job, and all that it has delegated, has cost so far."""
        ...

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
        """Ask the model; the answer is recorded, and after a crash not paid for again.

        Args:
            prompt: The user's text, or a whole conversation.
            schema: Answer with this pydantic model, by structured output.
            system: Instructions put in front.
            model: Another model than the configured one.
            options: Further fields of the chat-completions body (`tools`, `temperature` …);
                `deferred` goes before the role's own.

        Raises:
            RequestError: No answer; its class says why.
            JobFailed: The answer does not conform to `schema`, twice.
        """
        ...

    def stream(
        self,
        prompt: str | Sequence[Message],
        *,
        system: str = "",
        model: str = "",
        **options: Any,
    ) -> AsyncIterator[str]:
        """Like `ask`, yielding the text as it comes; recorded when complete."""
        ...

    async def delegate(self, role: str, job_input: Any, *, key: str = "") -> JsonValue:
        """Give a job to another role and wait for its result, without holding a slot.

        The job waits with this job's priority where that is more urgent than its own.

        Args:
            role: Who is to do it.
            job_input: A JSON value or a pydantic model that the role takes.
            key: Tells two otherwise equal jobs apart; equal jobs are one job.

        Raises:
            UnknownRole: No such role.
            InvalidJobInput: The role does not take this input.
            JobError: The job failed or was cancelled.
        """
        ...


class Role(ABC, Generic[Input, Output]):
    """A supervised worker that does jobs.

    Class attributes are defaults; `[roles.NAME]` of config.toml overrides them.

    Attributes:
        name: Name of the role; the file's or folder's name when left empty.
        description: One line for people and for roles that delegate.
        priority: 0 (most urgent) to 99.
        share: Guaranteed part of every quota window, 0 to 1.
        concurrency: Most jobs at once.
        deferred: Whether `ask` may let the API answer later, where it can; for work that nobody
            waits for.
    """

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    priority: ClassVar[int] = Priority.MEDIUM
    share: ClassVar[float] = 0.0
    concurrency: ClassVar[int] = 4
    deferred: ClassVar[bool] = False

    async def start(self) -> None:
        """Called once before the first job; a hook for opening what jobs share."""

    async def stop(self) -> None:
        """Called once after the last job; a hook for closing it."""

    @abstractmethod
    async def handle(self, job: Input, ctx: Context) -> Output:
        """Do one job.

        The annotation of the first parameter is what the role takes: `str`, a pydantic model, or
        any type pydantic can validate. The result is stored as JSON.

        Raises:
            JobFailed: The job cannot be done; the role goes on. Any other exception counts as a
                crash of the role: its supervisor restarts it and the job runs again, with the
                recorded answers.
        """
        ...
