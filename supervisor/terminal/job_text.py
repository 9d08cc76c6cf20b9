"""Jobs as people write and read them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from supervisor.errors import ConfigError
from supervisor.terminal.text import local_time, shortened, table
from supervisor.terminal.waiting import one_line

ENDED = frozenset({"done", "failed", "cancelled"})
_ERROR = 60
_NEAR = 30


def as_value(text: str, *, hint: str) -> Any:
    """A JSON object or array as such; anything else stays text.

    Args:
        text: The input as given.
        hint: How to give a text that begins like JSON.

    Raises:
        ConfigError: It begins like one of the two and is none: a role that takes a text as well
            would be paid for a slip of the pen.
    """
    begin = text.lstrip()[:1]
    if begin not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        rest = error.doc[error.pos :].split("\n", 1)[0][:_NEAR]
        raise ConfigError(
            f'the input begins with "{begin}" and is not JSON: {error.msg.lower()} at {place},'
            f" {f'before: {rest}' if rest else 'where it ends'}",
            hint=hint,
        ) from error
    except (ValueError, RecursionError) as error:
        # Well written JSON that Python does not take.
        raise ConfigError(f"the input cannot be read: {error}", hint=hint) from error


def jobs_table(jobs: Sequence[Mapping[str, Any]]) -> str:
    """Jobs in columns.

    Args:
        jobs: As `/api/jobs` lists them.
    """
    rows = [
        (
            job["id"],
            job["role"],
            "poisoned" if job.get("poisoned") else job["status"],
            local_time(job["created"]),
            job["runs"],
            _short(job["error"] or ""),
        )
        for job in jobs
    ]
    return table(("id", "role", "status", "created", "runs", "error"), rows)


def ending(job: Mapping[str, Any]) -> str:
    """Why a job that has ended has no result."""
    return f"job {job['id']} {job['status']}: {job['error'] or 'by somebody'}"


def objection(job: Mapping[str, Any]) -> str:
    """What a job's result says against itself; empty when it says nothing.

    One rule for all roles: a result that is an object with `"status": "failed"` or
    `"passed": false` says that what the job was for was not reached.

    Args:
        job: One that is done.
    """
    if not isinstance(job["result"], Mapping):
        return ""
    result = cast("Mapping[str, Any]", job["result"])
    if result.get("status") == "failed":
        said = '"status": "failed"'
    elif result.get("passed") is False:
        said = '"passed": false'
    else:
        return ""
    summary = one_line(str(result.get("summary") or ""))
    return f"job {job['id']} is done, but its result says {said}{': ' if summary else ''}{summary}"


def result_markdown(result: object) -> str:
    """A job's result as markdown: a text as it is, anything else as JSON."""
    if isinstance(result, str):
        return result
    return f"```json\n{json.dumps(result, indent=2, ensure_ascii=False)}\n```"


def _short(text: str) -> str:
    return shortened(" ".join(text.split()), _ERROR)
