"""One role at work: its instance, kept alive by the supervisor, swapped on reload.

The supervised task is the role's life; the jobs run in tasks of their own, each with the instance
it began with. A job that crashes ends the role's life, so that the supervisor's restart budget
and back-off apply to it; a reload puts a new instance in place and lets the old one finish.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus
from pydantic import ValidationError

from supervisor.loading.plugin import LoadedRole, unload
from supervisor.messages import JsonValue
from supervisor.role import Role
from supervisor.team.complaint import complaint, schema_of
from supervisor.team.state import RoleState

_PATIENCE = 5.0
"""Seconds for which an ending role waits for its jobs and its `stop` hook."""

_log = structlog.get_logger("supervisor.team")


@dataclass(slots=True, eq=False)
class Instance:
    """A built role and the jobs that use it.

    Attributes:
        loaded: The version it was built from.
        role: The instance.
        jobs: Jobs it works on.
        idle: Set while it works on none.
    """

    loaded: LoadedRole
    role: Role[Any, Any]
    jobs: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()


class Member:
    """A role of the team.

    Args:
        loaded: Its plugin.
        state: Its memory.

    Attributes:
        loaded: The version new jobs get.
        state: Its memory.
    """

    def __init__(self, loaded: LoadedRole, state: RoleState) -> None:
        self.loaded = loaded
        self.state = state
        self._current: Instance | None = None
        self._ready = asyncio.Event()
        self._crash: asyncio.Future[BaseException] | None = None
        self._jobs = 0
        self._retiring: TaskGroup

    @property
    def jobs(self) -> int:
        """Jobs it works on, whichever instance they began with."""
        return self._jobs

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Be alive until cancelled or until a job crashes.

        Raises:
            Exception: Whatever crashed the role.
        """
        self._crash = asyncio.get_running_loop().create_future()
        try:
            self._current = await self._build(self.loaded)
            async with anyio.create_task_group() as self._retiring:
                self._ready.set()
                task_status.started()
                await self._crash
                self._retiring.cancel_scope.cancel()
        finally:
            self._ready.clear()
            instance, self._current = self._current, None
            if instance is not None:
                await self._retire(instance, patience=_PATIENCE)
        raise self._crash.result()

    async def swap(self, loaded: LoadedRole) -> None:
        """Put another version in place; jobs in flight finish on the old one.

        Raises:
            Exception: The new version's `start` failed; the old one goes on.
        """
        if self._current is None:
            self.loaded = loaded
            return
        instance = await self._build(loaded)
        self.loaded = loaded
        if self._ended():
            # Building took its time, and the role has ended meanwhile: nobody would ever stop this.
            await instance.role.stop()
            return
        self._retiring.start_soon(self._retire, self._current)
        self._current = instance

    def _ended(self) -> bool:
        return self._current is None

    async def _build(self, loaded: LoadedRole) -> Instance:
        role = loaded.role_class()
        await role.start()
        return Instance(loaded, role)

    async def _retire(self, instance: Instance, patience: float | None = None) -> None:
        """Close an instance once its jobs are done; with `patience`, soon in any case."""
        with anyio.CancelScope(shield=patience is not None):
            try:
                with anyio.move_on_after(patience):
                    await instance.idle.wait()
            finally:
                with anyio.move_on_after(_PATIENCE, shield=True):
                    await instance.role.stop()
        if self.loaded is not instance.loaded:
            unload(instance.loaded)

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[Instance, None]:
        """An instance for one job; waits while the role is being restarted.

        An exception that is not one of ours is a crash of the role and ends its life.
        """
        await self._ready.wait()
        instance = self._current
        assert instance is not None
        instance.jobs += 1
        self._jobs += 1
        instance.idle.clear()
        try:
            yield instance
        finally:
            self._jobs -= 1
            instance.jobs -= 1
            if not instance.jobs:
                instance.idle.set()

    def crashed(self, instance: Instance, error: BaseException) -> None:
        """A job of `instance` raised what a role should not raise."""
        if instance is not self._current:
            _log.error("team.retired_role_crashed", role=self.loaded.name, error=repr(error))
        elif self._crash is not None and not self._crash.done():
            self._crash.set_result(error)

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """JSON schema of what it takes; empty where its type has none."""
        return schema_of(self.loaded.takes)

    def check_input(self, value: Any) -> JsonValue:
        """A job's input as the JSON value that is stored.

        Raises:
            InvalidJobInput: The role does not take it.
        """
        parsed = parse_input(self.loaded, value)
        checked: JsonValue = self.loaded.takes.dump_python(parsed, mode="json")
        return checked


def parse_input(loaded: LoadedRole, value: Any) -> Any:
    """A job's input as the role takes it.

    Raises:
        InvalidJobInput: The role does not take it.
    """
    try:
        return loaded.takes.validate_python(value)
    except ValidationError as error:
        raise complaint(loaded.name, loaded.takes, given=value, error=error) from error
