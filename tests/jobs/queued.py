"""A job as it is when it was just handed in."""

from __future__ import annotations

from supervisor.jobs.job import Job, JobStatus
from supervisor.messages import Cost, JsonValue


def queued(
    id: str,
    role: str,
    job_input: JsonValue,
    *,
    created: float,
    key: str = "",
    priority: int | None = None,
) -> Job:
    """A job that nothing has happened to yet.

    Args:
        id: Its id.
        role: Whose it is.
        job_input: What is to be done.
        created: Wall time.
        key: Its idempotency key.
        priority: Its own, if it has one.
    """
    return Job(
        id=id,
        role=role,
        input=job_input,
        status=JobStatus.QUEUED,
        result=None,
        error=None,
        detail=None,
        created=created,
        started=None,
        ended=None,
        key=key,
        parent="",
        priority=priority,
        runs=0,
        retries=0,
        cost=Cost(),
    )
