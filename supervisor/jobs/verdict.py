"""What becomes of a job when a run of it has ended: a pure decision, from the error alone."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from supervisor.errors import Draining, JobFailed, JobPoisoned, JobStoreError, SupervisorError
from supervisor.jobs.job import JobStatus
from supervisor.jobs.text import writable

MAX_CRASHES = 3
"""A job that made its role crash this often is set aside."""

_DETAIL_LENGTH = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The job has ended.

    Attributes:
        status: How.
        result: The result as JSON text; None unless it is done.
        error: Class and message of what ended it; None when it is done.
    """

    status: JobStatus
    result: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Crashed:
    """The role crashed.

    Attributes:
        detail: The traceback.
        ending: How the job ends for it; None when it is to run again.
    """

    detail: str
    ending: Ending | None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The process is stopping: nothing is decided, the job goes on after the next start."""


Verdict = Ending | Crashed | Interrupted


def judge_result(result: object) -> Ending:
    """A run returned.

    Args:
        result: What the role gave back.
    """
    try:
        text = json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"expected the role to return a JSON value, got: {type(result).__name__}"
        return judge_refusal(JobFailed(message, hint=str(error)))
    return Ending(status=JobStatus.DONE, result=text)


def judge_refusal(error: SupervisorError) -> Ending:
    """The job cannot be done, and running it again would change nothing."""
    return Ending(status=JobStatus.FAILED, error=writable(_told(error)))


def judge_error(error: BaseException, *, crashes: int) -> Verdict:
    """A run raised.

    Args:
        error: What it raised; a group stands for what it contains.
        crashes: How often the job has made its role crash before.
    """
    leaves = list(_leaves(error))
    if any(isinstance(leaf, Draining) for leaf in leaves):
        return Interrupted()
    refusals = [leaf for leaf in leaves if isinstance(leaf, SupervisorError)]
    if len(refusals) == len(leaves):
        return judge_refusal(refusals[0])
    detail = writable("".join(traceback.format_exception(error))[-_DETAIL_LENGTH:])
    if crashes + 1 < MAX_CRASHES:
        return Crashed(detail, None)
    poisoned = JobPoisoned(
        f"the job made its role crash {crashes + 1} times, the last time with {_told(error)}",
        hint="its detail holds the traceback; retry it when the role is mended",
    )
    return Crashed(detail, judge_refusal(poisoned))


def store_failure(error: BaseException) -> JobStoreError | None:
    """What the jobs' own store has failed of, among what a run raised."""
    return next((leaf for leaf in _leaves(error) if isinstance(leaf, JobStoreError)), None)


def _told(error: BaseException) -> str:
    """Class and text of an error; some fail in telling it."""
    try:
        text = str(error)
    except Exception as failure:
        text = f"<its text cannot be had: {type(failure).__name__}>"
    return f"{type(error).__name__}: {text}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(inner)
    else:
        yield error
