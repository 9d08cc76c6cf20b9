"""Waits for a job's end as the commands that submit one do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from supervisor.cli.connection import Connection
from supervisor.cli.output import talk
from supervisor.terminal.job_text import ENDED, ending

_FIRST_POLL, _POLL = 2, 30
"""Seconds of the first long poll, and of the others."""


def ended(connection: Connection, job: dict[str, Any]) -> dict[str, Any]:
    """The job as it is when it has ended.

    Args:
        connection: The way to the supervisor.
        job: The job as it was submitted.

    Raises:
        SupervisorError: The supervisor refuses, or has gone.
    """
    path = f"/api/jobs/{quote(job['id'], safe='')}?wait="
    poll, told = _FIRST_POLL, False
    try:
        while job["status"] not in ENDED:
            job = connection.get(f"{path}{poll}s", patience=poll)
            poll = _POLL
            told = told or (job["status"] not in ENDED and _tell_halted(connection, job["id"]))
    except KeyboardInterrupt:
        talk(f"job {job['id']} goes on; see it with `python -m supervisor jobs show {job['id']}`")
        raise
    return job


def _tell_halted(connection: Connection, job: str) -> bool:
    """Say that the key is refused, if it is: the job may wait for long; whether it was said."""
    health = connection.get("/health")
    if health["status"] != "halted":
        return False
    talk(f"job {job} waits until the key is mended: {health.get('reason', '')}")
    return True


def failure(job: dict[str, Any]) -> str:
    """Why a job has no result, for people."""
    return f"error: {ending(job)}"
