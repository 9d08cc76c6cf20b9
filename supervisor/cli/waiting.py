"""Waits for a job's end as the commands that submit one do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from supervisor.cli.connection import Connection
from supervisor.cli.output import talk
from supervisor.terminal.job_text import ENDED, ending

_POLL = 30
"""Seconds of one long poll."""


def ended(connection: Connection, job: dict[str, Any]) -> dict[str, Any]:
    """The job as it is when it has ended.

    Args:
        connection: The way to the supervisor.
        job: The job as it was submitted.

    Raises:
        SupervisorError: The supervisor refuses, or has gone.
    """
    path = f"/api/jobs/{quote(job['id'], safe='')}?wait={_POLL}s"
    try:
        while job["status"] not in ENDED:
            job = connection.get(path, patience=_POLL)
    except KeyboardInterrupt:
        talk(f"job {job['id']} goes on; see it with `python -m supervisor jobs show {job['id']}`")
        raise
    return job


def failure(job: dict[str, Any]) -> str:
    """Why a job has no result, for people."""
    return f"error: {ending(job)}"
