"""`submit`: give a job to a role, and print what comes out."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from supervisor.cli.connection import Connection
from supervisor.cli.exits import FAILURE, OK
from supervisor.cli.flag import AsJson, Flag
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.cli.waiting import ended
from supervisor.errors import ConfigError
from supervisor.terminal.job_text import as_value, ending, objection

_OPTION = re.compile(r"--?\w[\w-]*(=.*)?", re.DOTALL)


def submit(  # noqa: PLR0913 - every one is an option of the command line
    role: str,
    text: Annotated[str | None, Parameter(name="INPUT", allow_leading_hyphen=True)] = None,
    /,
    *,
    file: Path | None = None,
    key: str = "",
    priority: str | None = None,
    wait: bool = True,
    as_text: Annotated[Flag, Parameter(name="--text")] = False,
    as_json: AsJson = False,
    place: Place = HERE,
) -> int:
    """Give a job to a role and print its result as JSON.

    The input is the argument, else the file, else what comes on stdin. A JSON object or array is
    sent as such, anything else as text; what begins like one and is none is an error.

    Exit code 1 when the job has no result, or one that says `"status": "failed"` or
    `"passed": false`.

    Args:
        role: Who is to do it.
        text: The input; - reads stdin.
        file: Read the input from this file.
        key: The same key twice is the same job.
        priority: 0 (most urgent) to 99, or urgent, high, medium, low, lowest.
        wait: Wait for the end; otherwise print the job at once.
        as_text: Send the input as text, even if it looks like JSON.
        as_json: Print the whole job instead of its result alone.
        place: Which supervisor.
    """
    settings = place.settings()
    given = _read(text, file)
    document: dict[str, Any] = {"role": role, "input": given}
    if not as_text:
        document["input"] = as_value(given, hint="--text sends it as the text that it is")
    if key:
        document["key"] = key
    if priority is not None:
        document["priority"] = int(priority) if priority.isdecimal() else priority
    connection = Connection(settings)
    job = connection.post("/api/jobs", document)
    if not wait:
        print_json(job)
        return OK
    return _finish(ended(connection, job), as_json=as_json)


def _read(text: str | None, file: Path | None) -> str:
    if text is not None and _OPTION.fullmatch(text):
        # Texts may begin with a hyphen, as "-" and "- do this" do; a mistyped option must not
        # become one.
        raise ConfigError(
            f"unknown option: {text}", hint="a text that looks like one goes into a file or stdin"
        )
    if text is not None and file is not None:
        raise ConfigError("expected the input once, got: both an argument and --file")
    if text is not None and text != "-":
        return text
    if file is not None:
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"cannot read {file}: {error}") from error
    if text is None and sys.stdin.isatty():
        raise ConfigError(
            "expected an input, got: none", hint="give it as argument, with --file, or on stdin"
        )
    return sys.stdin.read()


def _finish(job: dict[str, Any], *, as_json: bool) -> int:
    done = job["status"] == "done"
    if as_json:
        print_json(job)
    elif done:
        print_json(job["result"])
    problem = objection(job) if done else ending(job)
    if problem:
        talk(f"error: {problem}")
    return FAILURE if problem else OK
