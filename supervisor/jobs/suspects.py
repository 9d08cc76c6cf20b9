"""Which jobs may be what ended the process, and when one of them is set aside. Pure.

A handler can end the whole process: `os._exit`, a crash in C, all memory used up. Nobody is left to
say who did it, and an operator's `kill -9` looks the same. But whoever ends the process does so at
the same place each time, while others get further between two ends, if only by one answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from supervisor.errors import JobPoisoned
from supervisor.jobs.verdict import MAX_CRASHES, Ending, judge_refusal

TURN = 60.0
"""Seconds after which the next suspect may start beside one that still runs."""

_SUSPECT = MAX_CRASHES - 1


@dataclass(frozen=True, slots=True)
class Casualty:
    """A job that ran when the process ended without stopping.

    Attributes:
        id: The job's id.
        role: Its role.
        retries: How often somebody asked for it again.
        deaths: In how many ends of the process in a row it ran before, without getting further.
        alone: In how many of them it was the only one at work, or the only suspect.
        reached: How far its record went at the last of them.
        waited: Whether it had delegated a job that has not ended: then it did nothing itself.
    """

    id: str
    role: str
    retries: int
    deaths: int
    alone: int
    reached: int
    waited: bool

    @property
    def suspect(self) -> bool:
        """Whether it ran as one of those that run one at a time."""
        return self.deaths >= _SUSPECT


@dataclass(frozen=True, slots=True)
class Finding:
    """What an end of the process has come to for a job.

    Attributes:
        id: The job's id.
        role: Its role.
        deaths: See `Casualty`, this end included.
        alone: Likewise.
        reached: How far its record goes now.
        ending: How the job ends for it; None when it is to run again.
    """

    id: str
    role: str
    deaths: int
    alone: int
    reached: int
    ending: Ending | None


def judge_deaths(casualties: Sequence[tuple[Casualty, int]]) -> list[Finding]:
    """The process has ended while jobs ran.

    Args:
        casualties: Those jobs, each with the last position of its record.
    """
    suspects = sum(casualty.suspect for casualty, _ in casualties)
    findings: list[Finding] = []
    for casualty, reached in casualties:
        further = reached > casualty.reached
        deaths = 1 if further else casualty.deaths + 1
        # Among several it may be another one: they become suspects, and each has its turn alone.
        alone = 0 if further else casualty.alone
        alone += len(casualties) == 1 or (suspects == 1 and casualty.suspect)
        ending = _poisoned() if alone >= MAX_CRASHES else None
        findings.append(Finding(casualty.id, casualty.role, deaths, alone, reached, ending))
    return findings


class Suspects:
    """The jobs that start one at a time, all roles' together.

    Args:
        findings: What the last end of the process has come to.
        known: Other suspects, id and role, that did not run at that time.
    """

    def __init__(
        self, findings: Iterable[Finding] = (), known: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._roles = dict(known)
        for finding in findings:
            if finding.ending is None and finding.deaths >= _SUSPECT:
                self._roles[finding.id] = finding.role
        self._on_trial = ""
        self._since = 0.0

    def held(self, role: str, now: float) -> list[str]:
        """Which jobs of a role may not start now.

        Args:
            role: The role.
            now: Monotonic seconds.
        """
        ids = [job for job, its_role in self._roles.items() if its_role == role]
        busy = self._on_trial and now - self._since < TURN
        return ids if busy else ids[1:]

    def started(self, job_id: str, now: float) -> None:
        """A job has started, at this many monotonic seconds."""
        if self._roles.pop(job_id, None) is not None:
            self._on_trial, self._since = job_id, now

    def ended(self, job_id: str) -> None:
        """A job has ended, or was cancelled."""
        self._roles.pop(job_id, None)
        if job_id == self._on_trial:
            self._on_trial = ""


def _poisoned() -> Ending:
    return judge_refusal(
        JobPoisoned(
            f"the process ended {MAX_CRASHES} times in a row while this job ran alone, or as the "
            "only suspect, and got no further; by what is not known, and there is no "
            "traceback: the process had no time to say",
            hint="look for os._exit, a crash in C or too little memory; retry it when it is mended",
        )
    )
