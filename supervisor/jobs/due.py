"""Which moment of a schedule is due. Pure.

A moment is named by its Unix time, and its job by that name, so that handing it in twice is the
same job. What is decided here may therefore be decided again after a crash or on a clock that was
set back, and still each moment has at most one job.
"""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.config.schedule import Missed
from supervisor.cron import Cron

ON_TIME = 60.0
"""Seconds after which a moment counts as missed: a restart and a slow loop are not an absence."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done about a schedule now.

    Attributes:
        moment: The moment that is to get a job; None for none.
        skipped: A moment that gets none because it was missed; None for none.
        settled: Moments up to this one are done with, once the job is handed in.
        following: The next moment.
    """

    moment: float | None
    skipped: float | None
    settled: float
    following: float


def due(cron: Cron, *, settled: float, now: float, missed: Missed) -> Due:
    """Decide.

    Args:
        cron: The schedule's moments.
        settled: Moments up to this one are done with.
        now: Unix time in seconds. It may have been set back or forward, and have stood still.
        missed: What becomes of moments that passed unseen.
    """
    # A clock that was set back: its moments come again, and find the jobs that they have.
    since = min(settled, now)
    moment = cron.latest(since, now)
    following = cron.after(now)
    if moment is None:
        return Due(None, None, since, following)
    if missed == "skip" and now - moment > ON_TIME:
        return Due(None, moment, moment, following)
    return Due(moment, None, moment, following)
