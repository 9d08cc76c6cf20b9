"""Hands jobs in by the clock: for each moment of each schedule one, over any restart.

The job's key is the schedule's name and the moment in UTC. So it does not matter whether the
process dies between handing a job in and noting that: the moment comes again and finds its job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskStatus

from supervisor.clock import Clock
from supervisor.config.schedule import ScheduleSettings
from supervisor.cron import Cron, iso
from supervisor.errors import SupervisorError, UnknownSchedule
from supervisor.jobs.due import due
from supervisor.jobs.job import Job, JobStatus
from supervisor.jobs.timetable import Place
from supervisor.messages import JsonValue

log = structlog.get_logger("supervisor.jobs")


class Desk(Protocol):
    """Where jobs are handed in; see `team.Desk`."""

    def check(self, role: str, job_input: JsonValue) -> None: ...
    async def submit(
        self, role: str, job_input: JsonValue, *, key: str = "", priority: int | None = None
    ) -> Job: ...
    async def get(self, job_id: str) -> Job: ...


class Places(Protocol):
    """Where it is kept how far each schedule has come; see `jobs.Timetable`."""

    async def keep(self, moments: Mapping[str, str], *, now: float) -> Mapping[str, Place]: ...
    async def note(self, name: str, place: Place) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSnapshot:
    """A schedule as it stands, from memory.

    Attributes:
        name: What it is called.
        cron: When it is due, as it was written.
        timezone: The time zone that is meant in.
        role: Who gets its jobs.
        missed: What becomes of moments that passed unseen.
        next: Unix time of the next moment; None before it has been looked at.
        last: Unix time of the last moment that got a job; None for none yet.
        job: Id of the last job, by the clock or by hand; None for none yet.
        problem: Why it cannot hand jobs in; empty when it can.
    """

    name: str
    cron: str
    timezone: str
    role: str
    missed: str
    next: float | None
    last: float | None
    job: str | None
    problem: str


@dataclass(slots=True, eq=False)
class _Entry:
    """A schedule at work."""

    settings: ScheduleSettings
    moments: Cron
    place: Place | None = None
    following: float | None = None
    problem: str = ""


class Schedules:
    """All schedules.

    Args:
        schedules: By name.
        desk: Where jobs are handed in.
        timetable: Where it is kept how far each has come.
        clock: Tells the time.
        look_every: Most seconds between two looks: so late a moment can be noticed when the clock
            was set or the machine was asleep, and so soon a mended role is tried again.
    """

    def __init__(
        self,
        schedules: Mapping[str, ScheduleSettings],
        *,
        desk: Desk,
        timetable: Places,
        clock: Clock,
        look_every: float = 15.0,
    ) -> None:
        self._desk = desk
        self._timetable = timetable
        self._clock = clock
        self._look_every = look_every
        self._entries = {
            name: _Entry(settings, settings.moments) for name, settings in schedules.items()
        }

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Hand jobs in until cancelled.

        Raises:
            StoreError: What was kept cannot be read.
        """
        moments = {name: str(entry.moments) for name, entry in self._entries.items()}
        for name, place in (await self._timetable.keep(moments, now=self._clock.wall())).items():
            self._entries[name].place = place
        task_status.started()
        if not self._entries:
            await anyio.sleep_forever()
        while True:
            for name, entry in self._entries.items():
                await self._look(name, entry)
            await anyio.sleep(self._pause())

    async def run_now(self, name: str) -> Job:
        """Hand a schedule's job in beside its moments.

        Raises:
            UnknownSchedule: There is none of that name.
            SupervisorError: The role is not there, or does not take the input.
        """
        entry = self._entries.get(name)
        if entry is None:
            known = ", ".join(sorted(self._entries)) or "none"
            raise UnknownSchedule(
                f'no schedule is called "{name[:64]}"', hint=f"there are: {known}"
            )
        job = await self._submit(entry, key="")
        if entry.place is not None:
            await self._note(name, entry, place=replace(entry.place, job=job.id))
        return job

    async def last_status(self, name: str) -> JobStatus | None:
        """How a schedule's last job stands; None when it has none.

        Raises:
            SupervisorError: It cannot be read.
        """
        place = self._entries[name].place
        if place is None or place.job is None:
            return None
        return (await self._desk.get(place.job)).status

    def snapshot(self) -> tuple[ScheduleSnapshot, ...]:
        """How every schedule stands."""
        return tuple(_snapshot(name, entry) for name, entry in self._entries.items())

    async def _look(self, name: str, entry: _Entry) -> None:
        problem = ""
        try:
            await self._do_what_is_due(name, entry)
            self._desk.check(entry.settings.role, entry.settings.input)
        except SupervisorError as error:
            # The moment stays due: it gets its job when role or configuration are mended.
            problem = str(error)
        if problem and problem != entry.problem:
            log.error(
                "jobs.schedule_refused", schedule=name, role=entry.settings.role, error=problem
            )
        entry.problem = problem

    async def _do_what_is_due(self, name: str, entry: _Entry) -> None:
        assert entry.place is not None
        now, settings = self._clock.wall(), entry.settings
        found = due(entry.moments, settled=entry.place.settled, now=now, missed=settings.missed)
        entry.following = found.following
        place = replace(entry.place, settled=found.settled)
        if found.skipped is not None:
            log.warning("jobs.schedule_skipped", schedule=name, moment=iso(found.skipped))
        if found.moment is not None:
            job = await self._submit(entry, key=f"schedule {name} {iso(found.moment)}")
            place = Place(found.settled, found.moment, job.id)
            late = round(now - found.moment, 3)
            log.info(
                "jobs.schedule_due",
                schedule=name,
                moment=iso(found.moment),
                late=late,
                job=job.id,
            )
        await self._note(name, entry, place=place)

    async def _submit(self, entry: _Entry, key: str) -> Job:
        settings = entry.settings
        return await self._desk.submit(
            settings.role, settings.input, key=key, priority=settings.priority
        )

    async def _note(self, name: str, entry: _Entry, *, place: Place) -> None:
        if place != entry.place:
            await self._timetable.note(name, place)
            entry.place = place

    def _pause(self) -> float:
        """Seconds until the next look."""
        now = self._clock.wall()
        soonest = min(
            (each.following for each in self._entries.values() if each.following is not None),
            default=now + self._look_every,
        )
        return min(max(soonest - now, 0.0), self._look_every)

    def __repr__(self) -> str:
        return f"<Schedules {', '.join(self._entries) or 'none'}>"


def _snapshot(name: str, entry: _Entry) -> ScheduleSnapshot:
    settings, place = entry.settings, entry.place
    return ScheduleSnapshot(
        name=name,
        cron=settings.cron,
        timezone=settings.timezone.key,
        role=settings.role,
        missed=settings.missed,
        next=entry.following,
        last=place.moment if place else None,
        job=place.job if place else None,
        problem=entry.problem,
    )
