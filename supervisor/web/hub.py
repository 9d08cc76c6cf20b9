"""What the doors need of the house, in one frozen value that the composition root fills.

The protocols name exactly what is used here, so that a test can put something smaller in place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from supervisor.broker.broker import Broker
from supervisor.clock import Clock
from supervisor.config.settings import Settings
from supervisor.jobs.job import Job, JobsSnapshot, JobStatus
from supervisor.jobs.schedules import ScheduleSnapshot
from supervisor.ledger.ledger import Ledger
from supervisor.memory.words import Index
from supervisor.messages import JsonValue
from supervisor.team.snapshot import TeamSnapshot
from supervisor.upstream.outcome import Outcome
from supervisor.upstream.reload import KeySnapshot, Reload
from supervisor.web.presence import Presence


class JobDesk(Protocol):
    """Where jobs are handed in and asked after; see `jobs.Jobs` for what each call promises."""

    async def submit(
        self, role: str, job_input: JsonValue, *, key: str = "", priority: int | None = None
    ) -> Job: ...
    async def get(self, job_id: str) -> Job: ...
    async def why(self, job: Job) -> str: ...
    async def list(
        self, *, role: str | None = None, status: JobStatus | None = None, limit: int = 100
    ) -> Sequence[Job]: ...
    async def cancel(self, job_id: str) -> Job: ...
    async def retry(self, job_id: str) -> Job: ...
    async def retry_failed(self, *, role: str | None, poisoned: bool) -> int: ...
    async def wait(self, job_id: str) -> Job: ...
    def snapshot(self) -> JobsSnapshot: ...


class Schedules(Protocol):
    """Jobs that the clock hands in; see `jobs.schedules.Schedules`."""

    def snapshot(self) -> Sequence[ScheduleSnapshot]: ...
    async def run_now(self, name: str) -> Job: ...
    async def last_status(self, name: str) -> JobStatus | None: ...


class Team(Protocol):
    """The roles at work."""

    def snapshot(self) -> TeamSnapshot:
        """How every role stands; from memory."""
        ...

    async def start(self, name: str) -> None:
        """Start a stopped or failed role.

        Raises:
            UnknownRole: No such role.
        """
        ...

    async def stop(self, name: str) -> None:
        """Stop a role; its jobs wait.

        Raises:
            UnknownRole: No such role.
        """
        ...

    async def restart(self, name: str) -> None:
        """Stop a role and start it, with a fresh restart budget.

        Raises:
            UnknownRole: No such role.
        """
        ...

    async def reload(self, name: str) -> None:
        """Read its file again; the old one goes on where the new one is no usable role.

        Raises:
            UnknownRole: No such role.
            PluginInvalid: The file is no usable role.
        """
        ...


class Keys(Protocol):
    """The key: looked at, and looked for anew."""

    def snapshot(self) -> KeySnapshot:
        """How it stands; from memory."""
        ...

    async def reload(self, cause: str) -> Reload:
        """Look for a new key, and use it if the API takes it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Everything behind the doors.

    Attributes:
        settings: The settings as loaded.
        broker: The only way to the key.
        keys: The key itself, of which nothing is shown.
        jobs: Durable jobs.
        schedules: Jobs that the clock hands in.
        team: Roles at work.
        ledger: What was used.
        memory: What is indexed.
        presence: Whether somebody sits at a terminal.
        clock: Tells the time.
        started: Monotonic seconds at which the process began.
        ready: Says why the process is not ready yet or any more; empty when it is.
        classes: Names of all traffic classes there are now. Asked for every gateway request, so
            it has to be as cheap as the keys of a dict.
        models: Fetches the API's list of models.
        version: What `/health` reports.
    """

    settings: Settings
    broker: Broker
    keys: Keys
    jobs: JobDesk
    schedules: Schedules
    team: Team
    ledger: Ledger
    memory: Index
    presence: Presence
    clock: Clock
    started: float
    ready: Callable[[], str]
    classes: Callable[[], Collection[str]]
    models: Callable[[], Awaitable[Outcome]]
    version: str
