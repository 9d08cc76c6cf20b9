"""`review` against a supervisor that runs: what it submits, prints, and exits with."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from supervisor.jobs.job import JobStatus
from supervisor.messages import JsonValue
from tests.cli.commands import Result, command
from tests.cli.test_sarif import marked, valid
from tests.cli.test_sarif import review as a_review
from tests.waiting import until
from tests.web.house import House, beside, ended, open_house, served

pytestmark = pytest.mark.anyio
Capture = pytest.CaptureFixture[str]

FOUND = a_review(marked(severity="warning"), summary="1 finding", linted=[], left_out=[])


async def reviewed(
    capsys: Capture,
    house: House,
    port: int,
    *words: str,
    result: JsonValue = None,
    error: str | None = None,
) -> Result:
    """Review, and let the job end as soon as somebody waits for it."""
    found: list[Result] = []

    async def run() -> None:
        found.append(await command(capsys, port, "review", *words))

    async with beside(run):
        await until(lambda: house.jobs.watchers or found)
        if not found:
            house.jobs.finish(list(house.jobs.kept)[-1], result or FOUND, error=error)
        return await ended(found)


async def test_a_range_of_this_repository_is_submitted(capsys: Capture) -> None:
    """RANGE and the repository, absolute, are what the role is given; people get text."""
    async with open_house() as house, served(house) as port:
        result = await reviewed(capsys, house, port, "main...HEAD")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("a.py:4-6  warning  removes a file  [lost-error, 90%]\n")
    job = house.jobs.kept["j1"]
    assert (job.role, job.input) == (
        "quality",
        {"repository": str(Path.cwd()), "range": "main...HEAD"},
    )


async def test_the_last_commit_when_nothing_is_said(capsys: Capture, tmp_path: Path) -> None:
    """Without RANGE the role decides; another repository can be named."""
    async with open_house() as house, served(house) as port:
        await reviewed(capsys, house, port, "--repository", str(tmp_path / "x"))
    assert house.jobs.kept["j1"].input == {"repository": str(tmp_path / "x")}


async def test_json_and_sarif_are_one_document(capsys: Capture) -> None:
    """For machines there is one document on stdout, and nothing else."""
    async with open_house() as house, served(house) as port:
        as_json = await reviewed(capsys, house, port, "--format", "json")
        as_sarif = await reviewed(capsys, house, port, "--format", "sarif")
    assert json.loads(as_json.out) == FOUND
    assert valid(json.loads(as_sarif.out))["results"][0]["ruleId"] == "lost-error"


@pytest.mark.parametrize(
    ("level", "severity", "code"),
    [
        ("never", "error", 0),
        ("error", "error", 1),
        ("error", "warning", 0),
        ("warning", "warning", 1),
        ("warning", "note", 0),
    ],
)
async def test_fail_on_decides_the_exit_code(
    capsys: Capture, level: str, severity: str, code: int
) -> None:
    """What is as bad as --fail-on or worse makes the command exit with 1, printed all the same."""
    found = a_review(marked(severity=severity))
    async with open_house() as house, served(house) as port:
        result = await reviewed(capsys, house, port, "--fail-on", level, result=found)
    assert result.code == code
    assert severity in result.out


async def test_a_diff_comes_from_a_file_or_stdin(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A diff is read from a file or stdin, in whatever encoding its files are."""
    file = tmp_path / "some.diff"
    file.write_bytes(b"+\xff\n")
    async with open_house() as house, served(house) as port:
        await reviewed(capsys, house, port, "--diff", str(file))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"+in\n")))
        await reviewed(capsys, house, port, "--diff", "-")
    assert [job.input for job in house.jobs.kept.values()] == [
        {"diff": "+\N{REPLACEMENT CHARACTER}\n"},
        {"diff": "+in\n"},
    ]


async def test_an_empty_diff_is_an_empty_review(capsys: Capture, tmp_path: Path) -> None:
    """Where nothing has changed nobody is asked, and a build goes on."""
    (tmp_path / "empty.diff").touch()
    words = ("--diff", "empty.diff", "--format", "sarif", "--fail-on", "warning")
    async with open_house() as house, served(house) as port:
        result = await command(capsys, port, "review", *words)
    assert (result.code, house.jobs.kept) == (0, {})
    assert valid(json.loads(result.out))["results"] == []


async def finished(house: House, result: JsonValue, *, status: str = "done") -> str:
    """The id of a code job that has come to something."""
    job = await house.jobs.submit("code", "do it", key="")
    if status == "done":
        house.jobs.finish(job.id, result)
    return job.id


async def test_a_code_jobs_branch_is_reviewed(capsys: Capture) -> None:
    """--job gives the role what that job came to, without what is long."""
    came_to: dict[str, Any] = {"repository": "/r", "branch": "b", "base": "1", "commit": "2"}
    async with open_house() as house, served(house) as port:
        job = await finished(house, {**came_to, "diff": "…", "steps": 3})
        result = await reviewed(capsys, house, port, "--job", job)
    assert result.code == 0
    assert list(house.jobs.kept.values())[-1].input == {"job": came_to}


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("HEAD~1", "--diff", "x"), 2, "expected one of RANGE, --diff and --job"),
        (("--diff", "missing"), 2, "cannot read missing"),
        (("--job", "none"), 1, 'no job has the id "none"'),
        (("--format", "xml"), 2, "xml"),
        (("--fail-on", "note"), 2, "note"),
    ],
)
async def test_refusals(capsys: Capture, words: tuple[str, ...], code: int, text: str) -> None:
    """What cannot be reviewed is one line on stderr, and nothing on stdout."""
    async with open_house() as house, served(house) as port:
        result = await command(capsys, port, "review", *words)
    assert (result.code, result.out) == (code, "")
    assert text in result.err


async def test_jobs_without_a_branch_are_refused(capsys: Capture) -> None:
    """--job of a job that is not done, or has made no branch, says so."""
    async with open_house() as house, served(house) as port:
        waiting = await finished(house, None, status=JobStatus.QUEUED)
        early = await command(capsys, port, "review", "--job", waiting)
        other = await finished(house, {"findings": []})
        wrong = await command(capsys, port, "review", "--job", other)
    assert (early.code, wrong.code) == (1, 1)
    assert "expected a job that is done" in early.err
    assert "expected a job that has made a branch" in wrong.err


async def test_a_review_that_failed_prints_nothing(capsys: Capture) -> None:
    """A job that failed says why on stderr and exits with 1, in every format."""
    async with open_house() as house, served(house) as port:
        result = await reviewed(capsys, house, port, "--format", "sarif", error="JobFailed: no")
    assert (result.code, result.out) == (1, "")
    assert "error: job j1 failed: JobFailed: no" in result.err
