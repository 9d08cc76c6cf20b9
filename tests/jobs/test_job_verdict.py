"""What becomes of a job when its run has ended, decided from the error alone."""

from __future__ import annotations

import asyncio

import pytest

from supervisor.errors import (
    DeadlineExceeded,
    Draining,
    InvalidJobInput,
    JobCancelled,
    JobFailed,
    SupervisorError,
)
from supervisor.jobs.job import JobStatus
from supervisor.jobs.verdict import (
    MAX_CRASHES,
    Crashed,
    Ending,
    Interrupted,
    judge_error,
    judge_result,
)


def test_a_json_result_ends_the_job_well() -> None:
    """What the role returns is kept as JSON text."""
    assert judge_result({"a": [1, None]}) == Ending(
        status=JobStatus.DONE, result='{"a": [1, null]}'
    )


@pytest.mark.parametrize("result", [object(), float("nan"), {1j: 1}])
def test_a_result_that_is_no_json_fails_the_job(result: object) -> None:
    """Running it again would not help, so a result that cannot be stored fails the job at once."""
    ending = judge_result(result)
    assert ending.status is JobStatus.FAILED
    assert ending.error is not None
    assert ending.error.startswith("JobFailed: expected the role to return a JSON value, got: ")


@pytest.mark.parametrize(
    "error",
    [
        JobFailed("no such file"),
        InvalidJobInput("expected a diff, got: 3"),
        JobCancelled("job 7 was cancelled"),
        DeadlineExceeded("too late", hint="ask sooner"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_ours_fails_the_job_at_once(error: SupervisorError) -> None:
    """An error that says why is the job's end, with its class and its text."""
    expected = Ending(status=JobStatus.FAILED, error=f"{type(error).__name__}: {error}")
    assert judge_error(error, crashes=0) == expected
    assert judge_error(ExceptionGroup("tasks", [error, error]), crashes=2) == expected


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(1), asyncio.CancelledError()])
def test_any_other_error_is_a_crash(error: BaseException) -> None:
    """A crash keeps its traceback, and lets the job run again as long as it has runs left."""
    for crashes in range(MAX_CRASHES - 1):
        verdict = judge_error(error, crashes=crashes)
        assert isinstance(verdict, Crashed)
        assert verdict.ending is None
        assert type(error).__name__ in verdict.detail


class Mute(Exception):
    """Fails in telling what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_that_cannot_be_told_is_a_crash_too() -> None:
    """A class of a role's own that fails in telling its text decides nothing else."""
    verdict = judge_error(Mute(), crashes=MAX_CRASHES - 1)
    assert isinstance(verdict, Crashed)
    assert verdict.ending is not None
    assert "Mute: <its text cannot be had: RuntimeError>" in str(verdict.ending.error)


def test_the_last_crash_sets_the_job_aside() -> None:
    """A job that crashes its role every time ends as poisoned, and says what to do."""
    verdict = judge_error(ValueError("boom"), crashes=MAX_CRASHES - 1)
    assert isinstance(verdict, Crashed)
    assert verdict.ending == Ending(
        status=JobStatus.FAILED,
        error=(
            "JobPoisoned: the job made its role crash 3 times, the last time with ValueError: boom "
            "(its detail holds the traceback; retry it when the role is mended)"
        ),
    )


def test_a_crash_beside_an_error_of_ours_is_a_crash() -> None:
    """When a handler's branches fail in both ways, the job runs again."""
    error = ExceptionGroup("tasks", [JobFailed("no"), ValueError("boom")])
    assert isinstance(judge_error(error, crashes=0), Crashed)


def test_a_process_that_drains_decides_nothing() -> None:
    """A question that was refused because the process stops must not fail the job for good."""
    group = ExceptionGroup("tasks", [ValueError("boom"), ExceptionGroup("in", [Draining("no")])])
    assert judge_error(Draining("stopping"), crashes=2) == Interrupted()
    assert judge_error(group, crashes=2) == Interrupted()
