"""`jobs`: list them, show one, cancel one."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from cyclopts import App

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
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
    document = Connection(place.settings()).get(f"/api/jobs?{query}")
    if as_json:
        print_json(document)
    elif document["jobs"]:
        print(jobs_table(document["jobs"]))
    else:
        talk("there are no such jobs")


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
def retry(job: str, /, *, place: Place = HERE) -> None:
    """Run a failed or cancelled job again; what it was answered is not asked again.

    Args:
        job: Its id.
        place: Which supervisor.
    """
    _act(job, "retry", place=place)


def _act(job: str, action: str, *, place: Place) -> None:
    answer = Connection(place.settings()).post(f"/api/jobs/{quote(job, safe='')}/{action}")
    talk(f"{answer['id']} is {answer['status']}")
