"""`review`: have the role `quality` look at a change, and print what it finds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote

from cyclopts import Parameter

from supervisor.cli.connection import Connection
from supervisor.cli.exits import FAILURE, OK
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.cli.sarif import sarif
from supervisor.cli.waiting import ended, failure
from supervisor.errors import ConfigError, SupervisorError
from supervisor.terminal.review_text import review_text
from supervisor.terminal.text import painter_for
from supervisor.web.version import version

_SEVERITIES = ("error", "warning", "note")
_LARGE = ("diff", "steps", "files")
"""What a code job's result has and a review of it does not need."""
_NOTHING: dict[str, Any] = {
    "findings": [],
    "files": 0,
    "changed_lines": 0,
    "linted": [],
    "left_out": [],
    "summary": "nothing has changed",
    "base": "",
    "head": "",
}


def review(  # noqa: PLR0913 - every one is an option of the command line
    commits: Annotated[str | None, Parameter(name="RANGE")] = None,
    /,
    *,
    repository: Path = Path(),
    diff: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    job: str = "",
    form: Annotated[Literal["text", "json", "sarif"], Parameter(name="--format")] = "text",
    fail_on: Literal["error", "warning", "never"] = "never",
    place: Place = HERE,
) -> int:
    """Review a change and print at most five findings, the worst first.

    RANGE is `A..B`, `A...B` (what B has that A has not), or `A` alone, which is `A...HEAD`. The
    last commit is reviewed when nothing is given.

    Args:
        commits: A range of commits.
        repository: The git repository; the supervisor must be able to read it.
        diff: Review this file, a unified diff; - reads stdin.
        job: Review the branch that this job of the role `code` has made.
        form: For people, as JSON, or as SARIF 2.1.0.
        fail_on: Exit with 1 when something this bad or worse was found.
        place: Which supervisor.
    """
    if sum(map(bool, (commits, diff, job))) > 1:
        raise ConfigError("expected one of RANGE, --diff and --job, got: several")
    connection = Connection(place.settings())
    given = _given(connection, commits=commits, repository=repository, diff=diff, job=job)
    found = _NOTHING
    if given:
        document = {"role": "quality", "input": given}
        done = ended(connection, connection.post("/api/jobs", document))
        if done["status"] != "done":
            talk(failure(done))
            return FAILURE
        found = done["result"]
    _print(found, form)
    return FAILURE if _is_bad(found, fail_on) else OK


def _given(
    connection: Connection, *, commits: str | None, repository: Path, diff: str, job: str
) -> dict[str, Any]:
    """The job's input; empty where there is nothing to review."""
    if diff:
        text = _read(diff)
        return {"diff": text} if text.strip() else {}
    if job:
        return {"job": _code_result(connection, job)}
    given = {"repository": str(repository.absolute())}
    return given if commits is None else {**given, "range": commits}


def _read(name: str) -> str:
    """A diff; files may be written in anything, so what is no UTF-8 must not stop it."""
    if name == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        return Path(name).read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error}") from error


def _code_result(connection: Connection, job: str) -> dict[str, Any]:
    done = connection.get(f"/api/jobs/{quote(job, safe='')}")
    if done["status"] != "done":
        raise SupervisorError(f"expected a job that is done, got: {job}, {done['status']}")
    result: Any = done["result"]
    if not isinstance(result, dict) or "branch" not in result:
        raise SupervisorError(
            f"expected a job that has made a branch, got: {job} of the role {done['role']}",
            hint="`python -m supervisor jobs --role code` lists those",
        )
    fields = cast("dict[str, Any]", result)
    return {name: value for name, value in fields.items() if name not in _LARGE}


def _print(found: dict[str, Any], form: str) -> None:
    if form == "sarif":
        # Escaped: whoever reads it may take it for anything but UTF-8.
        print(json.dumps(sarif(found, version=version()), indent=2))
    elif form == "json":
        print_json(found)
    else:
        print(review_text(found, painter_for(sys.stdout)))


def _is_bad(found: dict[str, Any], fail_on: str) -> bool:
    if fail_on == "never":
        return False
    bad = _SEVERITIES[: _SEVERITIES.index(fail_on) + 1]
    return any(one["severity"] in bad for one in found["findings"])
