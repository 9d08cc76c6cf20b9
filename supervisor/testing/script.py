"""A context that answers from a script, for trying a role by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints, overload

import structlog
from pydantic import BaseModel, TypeAdapter

from supervisor.errors import JobFailed
from supervisor.memory.words import Hit, Index
from supervisor.messages import Cost, JsonValue
from supervisor.role import Answer, Colleague, Log, Message, Role
from supervisor.workspace.words import Sandbox

Model = TypeVar("Model", bound=BaseModel)
Input = TypeVar("Input")
Output = TypeVar("Output")

Scripted = str | BaseModel | Mapping[str, Any] | Answer | Exception
"""What the model "says": text, an object for structured output, a whole answer, or a failure."""

Delegated = Sequence[JsonValue | Exception] | Callable[[Any], Awaitable[JsonValue]]
"""What becomes of a role's delegated jobs: results or failures in this order, or an async function
that makes a result from a job's input, for jobs that are delegated side by side."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a role asked.

    Attributes:
        prompt: Text or conversation.
        system: Instructions.
        schema: Model class that was asked for, None for text.
        options: Further fields.
    """

    prompt: str | Sequence[Message]
    system: str
    schema: type[BaseModel] | None
    options: Mapping[str, Any]


class ScriptedContext:
    """Implements `supervisor.Context` without a supervisor.

    Args:
        answers: What the model says, in this order.
        delegated: Results of delegated jobs, by role: a list of them in this order, or an async
            function from a job's input to its result.
        state: What the role remembers at first.
        index: What is known; nothing when left out.
        team: Who is there.
        folder: The role's own folder.
        sandbox: Runs commands.
        role: What the role is called.

    Attributes:
        asked: What was asked so far.
        jobs: (role, input) of what was delegated so far.
    """

    def __init__(  # noqa: PLR0913 - a script says it all
        self,
        answers: Sequence[Scripted] = (),
        *,
        delegated: Mapping[str, Delegated] | None = None,
        state: MutableMapping[str, JsonValue] | None = None,
        index: Index | None = None,
        team: Sequence[Colleague] = (),
        folder: Path | None = None,
        sandbox: Sandbox | None = None,
        role: str = "scripted",
    ) -> None:
        self._answers = list(answers)
        self._delegated = {
            name: results if callable(results) else list(results)
            for name, results in (delegated or {}).items()
        }
        self._state: MutableMapping[str, JsonValue] = {} if state is None else state
        self._index = index
        self._team = tuple(team)
        self._folder = folder
        self._sandbox = sandbox
        self._role = role
        self._cost = Cost()
        self._log: Log = structlog.get_logger("supervisor.role")
        self.asked: list[Asked] = []
        self.jobs: list[tuple[str, Any]] = []

    @property
    def job_id(self) -> str:
        """Always `scripted`."""
        return "scripted"

    @property
    def role(self) -> str:
        """The name given."""
        return self._role

    @property
    def log(self) -> Log:
        """A logger."""
        return self._log

    @property
    def state(self) -> MutableMapping[str, JsonValue]:
        """The mapping given."""
        return self._state

    @property
    def folder(self) -> Path:
        """The folder given.

        Raises:
            JobFailed: None was given.
        """
        if self._folder is None:
            raise JobFailed("the script has no folder", hint="ScriptedContext(folder=tmp_path)")
        return self._folder

    @property
    def team(self) -> Sequence[Colleague]:
        """The team given."""
        return self._team

    @property
    def index(self) -> Index:
        """The index given.

        Raises:
            JobFailed: None was given.
        """
        if self._index is None:
            raise JobFailed("the script has no index", hint="ScriptedContext(index=...)")
        return self._index

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox given.

        Raises:
            JobFailed: None was given.
        """
        if self._sandbox is None:
            hint = "ScriptedContext(sandbox=LocalSandbox())"
            raise JobFailed("the script has no sandbox", hint=hint)
        return self._sandbox

    async def search(self, query: str, *, source: str = "", limit: int = 10) -> list[Hit]:
        """What the index given finds; nothing without one."""
        if self._index is None:
            return []
        return await self._index.search(query, source=source, limit=limit)

    async def record(self, name: str, call: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Do it; a script has only one run."""
        return await call()

    async def cost(self) -> Cost:
        """What the answers so far have cost, by their usage."""
        return self._cost

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
        """The next scripted answer.

        Raises:
            JobFailed: The script has no more.
            Exception: The script says so.
        """
        self.asked.append(Asked(prompt, system, schema, options))
        if not self._answers:
            raise JobFailed(f"the script has no answer number {len(self.asked)}")
        said = self._answers.pop(0)
        if isinstance(said, Exception):
            raise said
        answer = _answer(said)
        usage = answer.usage
        self._cost += Cost(1, usage.total, usage.cost) if usage else Cost(1)
        return answer if schema is None else schema.model_validate_json(answer.text)

    async def stream(
        self,
        prompt: str | Sequence[Message],
        *,
        system: str = "",
        model: str = "",
        **options: Any,
    ) -> AsyncGenerator[str, None]:
        """The next scripted answer, word by word."""
        answer = await self.ask(prompt, system=system, model=model, **options)
        for word in answer.text.split(" "):
            yield f"{word} "

    async def delegate(self, role: str, job_input: Any, *, key: str = "") -> JsonValue:
        """The next scripted result of that role.

        Raises:
            JobFailed: The script has none.
            Exception: The script says so.
        """
        self.jobs.append((role, job_input))
        results = self._delegated.get(role)
        if callable(results):
            return await results(job_input)
        if not results:
            raise JobFailed(f'the script has no result for a job of "{role}"')
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


async def run_role(
    role: type[Role[Input, Output]],
    job: Any,
    *,
    context: ScriptedContext,
) -> Output:
    """Do one job as the supervisor would: validate the input, start, handle, stop.

    Args:
        role: The role's class.
        job: What `handle` takes, or a value pydantic can make that of.
        context: The script.

    Raises:
        ValidationError: The role does not take this input.
    """
    hints = get_type_hints(role.handle, include_extras=True)
    annotations = [hint for name, hint in hints.items() if name not in {"return", "ctx"}]
    adapter: TypeAdapter[Input] = TypeAdapter(annotations[0])
    worker = role()
    await worker.start()
    try:
        return await worker.handle(adapter.validate_python(job), context)
    finally:
        await worker.stop()


def _answer(said: str | BaseModel | Mapping[str, Any] | Answer) -> Answer:
    if isinstance(said, Answer):
        return said
    if isinstance(said, BaseModel):
        text = said.model_dump_json()
    else:
        text = said if isinstance(said, str) else json.dumps(said)
    return Answer(text, (), "stop", None, {"role": "assistant", "content": text})
