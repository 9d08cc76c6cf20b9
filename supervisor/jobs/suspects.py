"""Which jobs may be what ended the process, and when one of them is set aside. Pure.

A handler can end the whole process: `os._exit`, a crash in C, all memory used up. Nobody is left to
say who did it, and an operator's `kill -9` looks the same. But whoever ends the process does so at
the same place each time, while others get further between two ends, if only by one answer. And no
process ends before who ends it has started: so a suspect starts later than the others, and ever
later. Where kills come often from outside, one of them comes before, and says nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from supervisor.errors import JobPoisoned
from supervisor.jobs.verdict import MAX_CRASHES, Ending, judge_refusal

OFTEN = 10
"""Deaths in a row from which on it no longer helps a suspect that it waited for an answer."""
TURN = 60.0
"""Seconds after which the next suspect may start beside one that still runs."""
FIRST_DELAY = 2.0
"""Seconds of others' work before a suspect starts; four times as many after each death alone."""
SUSPECT = MAX_CRASHES - 1
"""Deaths in a row that make a suspect."""


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
        asking: Whether it was seen to wait for an answer; that is noted of suspects alone.
        waited: Whether it had delegated a job that has not ended: then it did nothing itself.
    """

    id: str
    role: str
    retries: int
    deaths: int
    alone: int
    reached: int
    asking: int
    waited: bool

    @property
    def suspect(self) -> bool:
        """Whether it ran as one of those that run one at a time."""
        return self.deaths >= SUSPECT


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


@dataclass(frozen=True, slots=True)
class Suspect:
    """A queued job that may be what ends the process.

    Attributes:
        id: The job's id.
        role: Its role.
        alone: See `Casualty`.
    """

    id: str
    role: str
    alone: int


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
        if not casualty.asking or deaths > OFTEN:
            # Who waits for an answer, perhaps for days, does nothing; but a part of it may.
            alone += len(casualties) == 1 or (suspects == 1 and casualty.suspect)
        ending = _poisoned() if alone >= MAX_CRASHES else None
        findings.append(Finding(casualty.id, casualty.role, deaths, alone, reached, ending))
    return findings


class Suspects:
    """The jobs that start one at a time, all roles' together, each some time after the others.

    Args:
        suspects: All that are queued.
        since: Monotonic seconds at which the process began to work.
    """

    def __init__(self, suspects: Iterable[Suspect] = (), *, since: float = 0.0) -> None:
        self._waiting = {suspect.id: suspect for suspect in suspects}
        self._since = since
        self._on_trial = ""
        self._tried_at = 0.0
        self._tried: set[str] = set()

    def held(self, role: str, now: float) -> list[str]:
        """Which jobs of a role may not start now.

        Args:
            role: The role.
            now: Monotonic seconds.
        """
        own = [one for one in self._waiting.values() if one.role == role]
        due = [one for one in own if self._turn(one, now) <= now]
        return [one.id for one in own if one not in due[:1]]

    def waits(self, job_id: str, now: float) -> float | None:
        """Seconds for which a suspect waits at the least; None for any other job."""
        one = self._waiting.get(job_id)
        return None if one is None else max(0.0, self._turn(one, now) - now)

    def next_turn(self, now: float) -> float:
        """Seconds until the next one may start, infinity when that hangs on an event."""
        turns = [self._turn(one, now) - now for one in self._waiting.values()]
        return min((turn for turn in turns if turn > 0), default=float("inf"))

    def started(self, job_id: str, now: float) -> None:
        """A job has started, at this many monotonic seconds."""
        if self._waiting.pop(job_id, None) is not None:
            self._on_trial, self._tried_at = job_id, now
            self._tried.add(job_id)

    def has_tried(self, job_id: str) -> bool:
        """Whether a job has started as a suspect, and has not got further since."""
        return job_id in self._tried

    def passed(self, job_id: str) -> bool:
        """A job got further, has ended, or was cancelled.

        Returns:
            Whether others may start now that were held back.
        """
        self._tried.discard(job_id)
        tried = job_id == self._on_trial
        if tried:
            self._on_trial = ""
        return self._waiting.pop(job_id, None) is not None or tried

    def _turn(self, one: Suspect, now: float) -> float:
        """Monotonic seconds from which one may start."""
        delay = FIRST_DELAY * 4.0 ** min(one.alone, MAX_CRASHES - 1)
        return max(self._since + delay, self._tried_at + TURN if self._on_trial else now)


def _poisoned() -> Ending:
    return judge_refusal(
        JobPoisoned(
            f"the process ended {MAX_CRASHES} times in a row while this job ran alone, or as the "
            "only suspect, and got no further; by what is not known, and there is no "
            "traceback: the process had no time to say",
            hint="look for os._exit, a crash in C or too little memory; retry it when it is mended",
        )
    )
