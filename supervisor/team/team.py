"""The roles that are there: loaded, supervised, reloaded, and given their jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskStatus

from supervisor.broker.broker import Broker
from supervisor.broker.patience import Patience
from supervisor.clock import Clock
from supervisor.config.consistency import check_shares
from supervisor.config.settings import Settings
from supervisor.errors import (
    ConfigError,
    InvalidJobInput,
    PluginInvalid,
    RoleUnavailable,
    SupervisorError,
    UnknownRole,
)
from supervisor.jobs import Job, JobRun, Jobs, JobStatus
from supervisor.jobs.job import JobsSnapshot
from supervisor.loading.inventory import Inventory, load_all
from supervisor.loading.plugin import LoadedRole
from supervisor.loading.watch import watch
from supervisor.memory.words import Index
from supervisor.messages import JsonValue, TrafficClass
from supervisor.role import Colleague
from supervisor.stats import Stats, provider
from supervisor.supervision.child import ChildSnapshot
from supervisor.supervision.crash import traceback_text
from supervisor.supervision.spec import ChildSpec, Policy
from supervisor.supervision.supervisor import Supervisor
from supervisor.team.context import JobContext, Means
from supervisor.team.member import Member, parse_input
from supervisor.team.redaction import without_key
from supervisor.team.snapshot import BrokenPlugin, RoleSnapshot, TeamSnapshot
from supervisor.team.state import RoleState
from supervisor.workspace.words import Sandbox

_log = structlog.get_logger("supervisor.team")

_ALIVE = frozenset({"starting", "running", "backing_off"})
_LOOK = 0.5
"""Seconds between looks at which roles can take jobs."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the team keeps what outlives the process.

    Attributes:
        jobs: URL of the jobs' database.
        states: Folder of the roles' states and files.
        index: What is known; None for nothing.
    """

    jobs: str
    states: Path
    index: Index | None = None


class Team:
    """All roles.

    Args:
        settings: The settings.
        broker: The way to the key.
        clock: Tells the time.
        stats: What `get_stats()` answers.
        stores: Where it keeps what outlives the process.
        sandbox: Runs the roles' commands; None where they are to run none.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        broker: Broker,
        clock: Clock,
        stats: Callable[[], Stats],
        stores: Stores,
        sandbox: Sandbox | None = None,
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._clock = clock
        self._stats = stats
        self._states = stores.states.absolute()
        self._directory = settings.roles.directory
        self._inventory: Inventory | None = None
        self._members: dict[str, Member] = {}
        self._lock = anyio.Lock()
        self._supervisor = self._supervise()
        self.jobs = Jobs(url=stores.jobs, execute=self._execute, clock=clock)
        self._means = Means(
            broker,
            Patience(broker.halt, clock),
            settings.model,
            self._delegated,
            self.jobs.wait,
            partial(self.jobs.retry, delegated=True),
            accounts=self.jobs,
            index=stores.index,
            team=self._colleagues,
            sandbox=sandbox,
        )

    # -- life -------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read the roles directory; broken plugins are shown, not raised.

        Raises:
            ConfigError: The directory cannot be read, or the shares sum to more than 1.
        """
        inventory = await anyio.to_thread.run_sync(load_all, self._directory)
        classes = {name: self._class_of(role) for name, role in inventory.roles.items()}
        clients = [self._settings.traffic_class(name, "client") for name in self._settings.clients]
        check_shares([*classes.values(), *clients])
        self._inventory = inventory
        for name, loaded in inventory.roles.items():
            await self._add(loaded, classes[name])
        self._supervisor = self._supervise()

    def _supervise(self) -> Supervisor:
        policy = Policy(on_exhausted="fail_child")
        specs = [self._spec(name) for name in self._members]
        return Supervisor("roles", specs, policy=policy, clock=self._clock)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the roles alive until cancelled."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._supervisor.run)
            tasks.start_soon(self._look)
            task_status.started()

    async def watch(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Reload roles whose files change, until cancelled."""
        assert self._inventory is not None
        task_status.started()
        async with aclosing(watch(self._directory, known=self._inventory.digests)) as changes:
            async for names in changes:
                _log.info("team.files_changed", plugins=sorted(names))
                try:
                    await self.refresh()
                except ConfigError as error:
                    _log.error("team.reload_failed", error=str(error))

    async def _look(self) -> None:
        """Tell jobs which roles can take some: those that are alive or soon will be."""
        while True:
            self._tell_jobs()
            await anyio.sleep(_LOOK)

    def _tell_jobs(self) -> None:
        alive = [one.name for one in self._supervisor.which_children() if one.state in _ALIVE]
        members = {name: self._members[name] for name in alive if name in self._members}
        self.jobs.set_roles(
            {name: self._concurrency(one.loaded) for name, one in members.items()},
            priority={name: self._class_of(one.loaded).priority for name, one in members.items()},
        )

    # -- reload -----------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read the directory again: validate, build, swap. What is broken leaves the old in place.

        Raises:
            ConfigError: The directory cannot be read.
        """
        async with self._lock:
            before = self._inventory
            assert before is not None
            after = await anyio.to_thread.run_sync(
                lambda: load_all(self._directory, previous=before)
            )
            kept = {
                name: role
                for name, role in before.roles.items()
                if name not in after.roles and role.plugin in after.present
            }
            self._inventory = replace(after, roles={**kept, **after.roles})
            for name, loaded in after.roles.items():
                if name not in self._members:
                    await self._join(loaded)
                elif loaded is not before.roles.get(name):
                    await self._swap(name, loaded)
            for name in set(self._members) - set(self._inventory.roles):
                await self._part(name)

    async def _join(self, loaded: LoadedRole) -> None:
        await self._add(loaded, self._class_of(loaded))
        await self._supervisor.start_child(self._spec(loaded.name))
        _log.info("team.role_joined", role=loaded.name)

    async def _swap(self, name: str, loaded: LoadedRole) -> None:
        member = self._members[name]
        try:
            await member.swap(loaded)
        except Exception as error:
            _log.error("team.reload_failed", role=name, error=traceback_text(error))
            return
        self._broker.set_class(self._class_of(loaded))
        if self._child(name).state not in _ALIVE:
            await self._supervisor.restart_child(name)
        _log.info("team.role_reloaded", role=name)

    async def _part(self, name: str) -> None:
        await self._supervisor.terminate_child(name)
        await self._supervisor.delete_child(name)
        del self._members[name]
        self._tell_jobs()
        _log.info("team.role_left", role=name)

    async def _add(self, loaded: LoadedRole, traffic_class: TrafficClass) -> None:
        await anyio.Path(self._states, loaded.name).mkdir(mode=0o700, parents=True, exist_ok=True)
        state = RoleState(self._states / f"{loaded.name}.json")
        await state.load()
        self._broker.set_class(traffic_class)
        self._members[loaded.name] = Member(loaded, state)

    def _spec(self, name: str) -> ChildSpec:
        return ChildSpec(name, self._members[name].run, shutdown=10.0, start_timeout=60.0)

    def _class_of(self, loaded: LoadedRole) -> TrafficClass:
        role = loaded.role_class
        defaults = TrafficClass(loaded.name, priority=role.priority, share=role.share)
        traffic_class = self._settings.traffic_class(loaded.name, "role", defaults=defaults)
        # A role's concurrency bounds its jobs; what its jobs ask is bounded by quota alone.
        return replace(traffic_class, concurrency=None)

    def _concurrency(self, loaded: LoadedRole) -> int:
        table = self._settings.roles.named.get(loaded.name)
        configured = None if table is None else table.concurrency
        return configured or loaded.role_class.concurrency

    def _is_deferred(self, loaded: LoadedRole) -> bool:
        """Whether answers of a role's jobs may be fetched later."""
        table = self._settings.roles.named.get(loaded.name)
        configured = None if table is None else table.deferred
        return loaded.role_class.deferred if configured is None else configured

    # -- by hand ----------------------------------------------------------------------------------

    async def start(self, name: str) -> None:
        """Start a stopped or failed role, with a fresh restart budget."""
        if self._child(name).state not in _ALIVE:
            await self._supervisor.restart_child(name)
        self._tell_jobs()

    async def stop(self, name: str) -> None:
        """Stop a role; its jobs wait."""
        self._child(name)
        await self._supervisor.terminate_child(name)
        self._tell_jobs()

    async def restart(self, name: str) -> None:
        """Stop a role and start it, with a fresh restart budget."""
        self._child(name)
        await self._supervisor.restart_child(name)
        self._tell_jobs()

    async def reload(self, name: str) -> None:
        """Read its file again.

        Raises:
            UnknownRole: No such role.
            PluginInvalid: The file is no usable role; the old one goes on.
        """
        plugin = self._member(name).loaded.path.name
        await self.refresh()
        assert self._inventory is not None
        for problem in self._inventory.broken:
            if Path(problem.file).name == plugin or plugin in Path(problem.file).parts:
                raise problem

    def _member(self, name: str) -> Member:
        member = self._members.get(name)
        if member is None:
            raise UnknownRole(
                f'no role is called "{name}"',
                hint=f"there are: {', '.join(sorted(self._members)) or 'none'}",
            )
        return member

    def _child(self, name: str) -> ChildSnapshot:
        self._member(name)
        for child in self._supervisor.which_children():
            if child.name == name:
                return child
        raise RoleUnavailable(f'the role "{name}" is not running yet')

    # -- jobs -------------------------------------------------------------------------------------

    async def submit(
        self, role: str, job_input: Any, *, key: str = "", priority: int | None = None
    ) -> Job:
        """Accept a job for a role that is there and takes this input.

        Raises:
            UnknownRole: No such role.
            InvalidJobInput: The role does not take this input, or the key holds an API key.
        """
        if self._broker.redact(key) != key:
            # It is kept and shown as it is; with the API key taken out it would be another's.
            raise InvalidJobInput(
                "expected key to name the job, got: a text with an API key in it",
                hint="the key of a job is any text that is the same when it is handed in again",
            )
        return await self.jobs.submit(role, self.check(role, job_input), key=key, priority=priority)

    def check(self, role: str, job_input: Any) -> JsonValue:
        """What a role would get for this input.

        Raises:
            UnknownRole: No such role.
            InvalidJobInput: The role does not take this input.
        """
        return self._member(role).check_input(job_input)

    async def _delegated(
        self, role: str, value: Any, *, key: str, parent: str, priority: int
    ) -> Job:
        member = self._member(role)
        checked = member.check_input(value)
        own = self._class_of(member.loaded).priority
        return await self.jobs.submit(
            role, checked, key=key, parent=parent, priority=min(own, priority)
        )

    async def _execute(self, run: JobRun) -> JsonValue:
        """Do one run of a job."""
        member = self._member(run.role)
        own = self._class_of(member.loaded).priority
        provider.set(self._stats)
        async with member.at_work() as instance:
            context = JobContext(
                run,
                self._means,
                priority=own if run.priority is None else run.priority,
                state=member.state,
                folder=self._states / run.role,
                deferred=self._is_deferred(member.loaded),
            )
            job = parse_input(instance.loaded, run.input)
            try:
                result = await instance.role.handle(job, context)
                value: JsonValue = instance.loaded.gives.dump_python(result, mode="json")
                return value
            except Exception as error:
                clean = without_key(error, self._broker.redact)
                # Told to several tasks of the handler at once, that the process stops say.
                ours = only_ours(clean)
                if ours is None:
                    member.crashed(instance, clean)
                told = ours or clean
                if told is error:
                    raise
                raise told from (error if clean is error else None)
            except (SystemExit, KeyboardInterrupt, BaseExceptionGroup) as ended:
                shown = without_key(ended, self._broker.redact)
                if shown is ended:
                    raise
                raise shown from None
            finally:
                with anyio.CancelScope(shield=True):
                    await member.state.save()

    # -- views ------------------------------------------------------------------------------------

    def _colleagues(self) -> tuple[Colleague, ...]:
        return tuple(
            Colleague(name, member.loaded.role_class.description, member.input_schema)
            for name, member in sorted(self._members.items())
        )

    def names(self) -> Mapping[str, Member]:
        """The roles by name."""
        return self._members

    def snapshot(self) -> TeamSnapshot:
        """How every role stands, and what could not be loaded."""
        now = self._clock.monotonic()
        children = {child.name: child for child in self._supervisor.which_children()}
        roles = tuple(
            self._role_snapshot(name, children[name], now)
            for name in sorted(self._members)
            if name in children
        )
        broken = () if self._inventory is None else self._inventory.broken
        return TeamSnapshot(roles, tuple(map(self._broken, broken)))

    def _role_snapshot(self, name: str, child: ChildSnapshot, now: float) -> RoleSnapshot:
        member = self._members[name]
        traffic_class = self._class_of(member.loaded)
        return RoleSnapshot(
            name=name,
            description=member.loaded.role_class.description,
            state=child.state,
            since_seconds=now - child.since,
            restarts=child.restarts,
            last_error=self._broker.redact(child.last_error),
            running_jobs=member.jobs,
            priority=traffic_class.priority,
            share=traffic_class.share,
        )

    def _broken(self, error: PluginInvalid) -> BrokenPlugin:
        return BrokenPlugin(error.file, error.line, self._broker.redact(error.reason))


def only_ours(error: BaseException) -> SupervisorError | None:
    """The first error of a group that holds nothing but ours; None for any other error."""
    if isinstance(error, SupervisorError):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    group = cast("BaseExceptionGroup[BaseException]", error)
    leaves = [only_ours(one) for one in group.exceptions]
    return None if None in leaves else leaves[0]


class Desk:
    """Where jobs are handed in: like `Jobs`, but for roles that are there and take the input.

    Args:
        team: The roles.
    """

    def __init__(self, team: Team) -> None:
        self._team = team

    async def submit(
        self, role: str, job_input: JsonValue, *, key: str = "", priority: int | None = None
    ) -> Job:
        """See `Team.submit`."""
        return await self._team.submit(role, job_input, key=key, priority=priority)

    def check(self, role: str, job_input: JsonValue) -> None:
        """See `Team.check`."""
        self._team.check(role, job_input)

    async def get(self, job_id: str) -> Job:
        """See `Jobs.get`."""
        return await self._team.jobs.get(job_id)

    async def why(self, job: Job) -> str:
        """See `Jobs.why`."""
        return await self._team.jobs.why(job)

    async def list(
        self, *, role: str | None = None, status: JobStatus | None = None, limit: int = 100
    ) -> list[Job]:
        """See `Jobs.list`."""
        return await self._team.jobs.list(role=role, status=status, limit=limit)

    async def cancel(self, job_id: str) -> Job:
        """See `Jobs.cancel`."""
        return await self._team.jobs.cancel(job_id)

    async def retry(self, job_id: str) -> Job:
        """See `Jobs.retry`."""
        return await self._team.jobs.retry(job_id)

    async def retry_failed(self, *, role: str | None, poisoned: bool) -> int:
        """See `Jobs.retry_failed`."""
        return await self._team.jobs.retry_failed(role=role, poisoned=poisoned)

    async def wait(self, job_id: str) -> Job:
        """See `Jobs.wait`."""
        return await self._team.jobs.wait(job_id)

    def snapshot(self) -> JobsSnapshot:
        """See `Jobs.snapshot`."""
        return self._team.jobs.snapshot()
