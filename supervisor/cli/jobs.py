"""`jobs`: list them, show one, cancel one."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from cyclopts import App

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson, Flag
from supervisor.cli.look import look
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.errors import ConfigError
from supervisor.terminal.job_text import jobs_table

jobs = App(name="jobs", help="List jobs; show, cancel or retry one.", result_action="return_value")


@jobs.default
@jobs.command(name="list")
def list_jobs(
    *,
    role: str | None = None,
    status: str | None = None,
    limit: int = 20,
    as_json: AsJson = False,
    place: Place = HERE,
) -> None:
    """List jobs, newest first.

    Args:
        role: Only those of this role.
        status: Only those that are queued, running, done, failed or cancelled.
        limit: Most to list.
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    wanted = {"role": role, "status": status, "limit": limit}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    path, empty = f"/api/jobs?{query}", "there are no such jobs"
    look(path, _rendered, empty=empty, as_json=as_json, place=place)


@jobs.command
def show(job: str, /, *, place: Place = HERE) -> None:
    """Show a job with what it was given and what came out, as JSON.

    Args:
        job: Its id.
        place: Which supervisor.
    """
    print_json(Connection(place.settings()).get(f"/api/jobs/{quote(job, safe='')}"))


@jobs.command
def cancel(job: str, /, *, place: Place = HERE) -> None:
    """Cancel a job and what it has delegated.

    Args:
        job: Its id.
        place: Which supervisor.
    """
    _act(job, "cancel", place=place)


@jobs.command
def retry(
    job: str | None = None,
    /,
    *,
    failed: Flag = False,
    poisoned: Flag = False,
    role: str | None = None,
    place: Place = HERE,
) -> None:
    """Run a failed or cancelled job again, or all failed; what was answered is not asked again.

    Args:
        job: Its id.
        failed: All that have failed, but for those that made their role crash each time.
        poisoned: All that made their role crash each time.
        role: Of all those only this role's.
        place: Which supervisor.
    """
    if (job is None) != (failed or poisoned) or (job is not None and role is not None):
        raise ConfigError("expected a job's id, or --failed or --poisoned, perhaps with --role")
    if job is not None:
        _act(job, "retry", place=place)
        return
    connection, count = Connection(place.settings()), 0
    for kind in [False] * failed + [True] * poisoned:
        wanted = {"poisoned": kind} | ({} if role is None else {"role": role})
        count += connection.post("/api/jobs/retry", wanted)["retried"]
    talk(f"{count} jobs are queued again")


def _rendered(document: dict[str, Any]) -> str:
    return jobs_table(document["jobs"]) if document["jobs"] else ""


def _act(job: str, action: str, *, place: Place) -> None:
    answer = Connection(place.settings()).post(f"/api/jobs/{quote(job, safe='')}/{action}")
    talk(f"{answer['id']} is {answer['status']}")
