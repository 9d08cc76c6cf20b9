"""Schedules over HTTP: when each is due next, how its last job stands, and one now by hand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from supervisor.errors import UnknownJob
from supervisor.jobs.job import JobStatus
from supervisor.jobs.schedules import ScheduleSnapshot
from supervisor.web.document import document
from supervisor.web.hub import Hub, Schedules
from supervisor.web.jobs_api import shown


class SchedulesApi:
    """The endpoints below `/api/schedules`.

    Args:
        hub: Has the schedules.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def list(self, request: Request) -> Response:
        """All schedules."""
        schedules = self._hub.schedules.snapshot()
        return document({"schedules": [await self._row(each) for each in schedules]})

    async def run(self, request: Request) -> Response:
        """Hand a schedule's job in now, beside its moments: 202 with the job.

        Raises:
            UnknownSchedule: No such schedule.
        """
        job = await self._hub.schedules.run_now(request.path_params["name"])
        return document(shown(job), status=202, headers={"location": f"/api/jobs/{job.id}"})

    async def _row(self, schedule: ScheduleSnapshot) -> dict[str, Any]:
        status = await ending(self._hub.schedules, schedule.name)
        return {**asdict(schedule), "job_status": status}


async def ending(schedules: Schedules, name: str) -> JobStatus | None:
    """How a schedule's last job stands; None when it has none.

    Args:
        schedules: All schedules.
        name: The schedule.
    """
    with suppress(UnknownJob):
        # Somebody may have removed the job from the store.
        return await schedules.last_status(name)
    return None
