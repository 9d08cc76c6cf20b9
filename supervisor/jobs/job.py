"""A job as everybody sees it: what was asked, how it stands, what came out. All frozen.

These are the words of this package's public face; nothing here knows how jobs are kept or run.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from supervisor.errors import JobPoisoned
from supervisor.messages import Cost, JsonValue

POISONED = f"{JobPoisoned.__name__}: "
"""What the error of a job begins with that was set aside."""


class JobStatus(StrEnum):
    """How a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the job unless somebody retries it."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One durable piece of work given to a role, as it stood when it was read.

    Attributes:
        id: Unique id; equal (role, key) pairs have equal ids.
        role: Who is to do it.
        input: What it was given.
        status: How it stands.
        result: What the role returned; None unless it is done.
        error: Why it failed, with the error's class in front; None unless it failed.
        detail: Traceback of the last crash; None when it never crashed.
        created: Unix time, in seconds, at which it was accepted.
        started: Unix time of its first run; None while it has not run.
        ended: Unix time of its end; None while it has not ended.
        key: The submitter's idempotency key; empty when there was none.
        parent: Id of the job that delegated it; empty when nobody did.
        priority: 0 (most urgent) to 99; None for its role's own.
        runs: How often its role has been set to work on it, over all restarts.
        retries: How often somebody asked for it again after its end.
        cost: What its own answers have cost so far, those of delegated jobs left out.
    """

    id: str
    role: str
    input: JsonValue
    status: JobStatus
    result: JsonValue
    error: str | None
    detail: str | None
    created: float
    started: float | None
    ended: float | None
    key: str
    parent: str
    priority: int | None
    runs: int
    retries: int
    cost: Cost

    @property
    def poisoned(self) -> bool:
        """Whether it was set aside because it made its role crash each time it ran."""
        return self.status is JobStatus.FAILED and (self.error or "").startswith(POISONED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleJobs:
    """The jobs of one role.

    Attributes:
        concurrency: Most that may run at once; 0 when the role is not there.
        queued: Waiting to start.
        running: Started and not ended, those that wait for a delegated job included.
        waiting: Of the running, those that gave their slot back while they wait.
        done: Ends since `run` began, by kind; a retried job can have several.
        failed: See `done`.
        cancelled: See `done`.
    """

    concurrency: int = 0
    queued: int = 0
    running: int = 0
    waiting: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class JobsSnapshot:
    """All roles' jobs at one moment, from memory alone.

    Attributes:
        roles: By role name; every role that is there or has jobs in this process.
        trouble: Why none of them runs: the store has failed; empty when it works.
    """

    roles: Mapping[str, RoleJobs]
    trouble: str = ""

    @property
    def queued(self) -> int:
        """Jobs of all roles that wait to start."""
        return sum(role.queued for role in self.roles.values())

    @property
    def running(self) -> int:
        """Jobs of all roles that have started and not ended."""
        return sum(role.running for role in self.roles.values())


def new_job_id(role: str, key: str) -> str:
    """The id of a new job.

    Args:
        role: Who is to do it.
        key: Idempotency key; with one, the id follows from role and key, so that the store's
            primary key itself makes a repeated submission the same job, over any restart.
    """
    if not key:
        return uuid.uuid4().hex
    return hashlib.sha256(f"{role}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
