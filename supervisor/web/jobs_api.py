"""Jobs over HTTP: hand in, look, wait, cancel, run again."""

from __future__ import annotations

import difflib

import anyio
from starlette.requests import Request
from starlette.responses import Response

from supervisor.errors import UnknownRole
from supervisor.jobs.job import Job, JobStatus
from supervisor.web.closing import Closing
from supervisor.web.document import document
from supervisor.web.hangup import until_hangup
from supervisor.web.hub import Hub
from supervisor.web.inbound import read_body
from supervisor.web.job_form import read_new_job, read_retry, read_selection, read_wait
from supervisor.web.refusal import denied

_BULKY = frozenset({"input", "result", "detail"})
_MOST = 64 * 1024
_AT_ONCE = 8
"""Submissions that are worked on at once. A hundred side by side are no quicker, for the event loop
does one thing at a time, but each of everybody else's turns of the loop would wait for them all."""
_RETRIABLE = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})


class JobsApi:
    """The endpoints below `/api/jobs`.

    Args:
        hub: Has the jobs, and the roles that can do them.
        closing: Ends long polls when the server closes.
    """

    def __init__(self, hub: Hub, closing: Closing) -> None:
        self._hub = hub
        self._closing = closing
        self._turns = anyio.Semaphore(_AT_ONCE)

    async def submit(self, request: Request) -> Response:
        """Accept a job: 202 with the job, which is durable by then.

        Raises:
            InvalidRequest: The body describes no job.
            UnknownRole: No such role.
        """
        declared = request.headers.get("content-length", "").encode("latin-1")
        body = await read_body(
            request.receive, declared=declared, most=self._hub.settings.web.max_body
        )
        async with self._turns:
            new = read_new_job(body or b"")
            self._require_role(new.role)
            job = await self._hub.jobs.submit(
                new.role, new.input, key=new.key, priority=new.priority
            )
        return document(shown(job), status=202, headers={"location": f"/api/jobs/{job.id}"})

    async def get(self, request: Request) -> Response:
        """Show a job; with `?wait=30s` once it has ended or the time is over.

        Raises:
            InvalidRequest: The time is no duration.
            UnknownJob: No such job.
        """
        job_id: str = request.path_params["id"]
        seconds = read_wait(request.query_params)
        job = await self._hub.jobs.get(job_id)
        if seconds is None or job.status.ended:
            return await self._shown(job)
        await request.body()
        # The client may be gone by now; then this goes nowhere, which is what it should.
        ended = await until_hangup(request.receive, self._ended(job_id, seconds))
        return await self._shown(ended or job)

    async def _shown(self, job: Job) -> Response:
        waits = self._hub.broker.why_job(job.id)
        why = await self._hub.jobs.why(job) if waits is None else f"its request waits: {waits}"
        return document({**shown(job), "why": why})

    async def list(self, request: Request) -> Response:
        """List jobs, newest first, without what they were given and what came out.

        Raises:
            InvalidRequest: A parameter has no sense.
        """
        wanted = read_selection(request.query_params)
        jobs = await self._hub.jobs.list(role=wanted.role, status=wanted.status, limit=wanted.limit)
        return document({"jobs": [_summary(job) for job in jobs]})

    async def cancel(self, request: Request) -> Response:
        """Cancel a job and what it has delegated.

        Raises:
            UnknownJob: No such job.
        """
        return document(shown(await self._hub.jobs.cancel(request.path_params["id"])))

    async def retry(self, request: Request) -> Response:
        """Run a failed or cancelled job again; what it was answered is not asked again.

        Raises:
            UnknownJob: No such job.
            InvalidRequest: With status 409, when it has not failed and was not cancelled.
        """
        job = await self._hub.jobs.get(request.path_params["id"])
        if job.status not in _RETRIABLE:
            raise denied(
                f"job {job.id} is {job.status}",
                status=409,
                code="not_retriable",
                hint="only a failed or cancelled job can be run again",
            )
        return document(shown(await self._hub.jobs.retry(job.id)))

    async def retry_failed(self, request: Request) -> Response:
        """Run all failed jobs again, or those of one role; or those that are poisoned.

        Raises:
            InvalidRequest: The body says something else.
        """
        body = await read_body(request.receive, declared=None, most=_MOST)
        role, poisoned = read_retry(body or b"")
        count = await self._hub.jobs.retry_failed(role=role, poisoned=poisoned)
        return document({"retried": count})

    async def _ended(self, job_id: str, seconds: float) -> Job:
        with self._closing.at_most(seconds):
            await self._hub.jobs.wait(job_id)
        return await self._hub.jobs.get(job_id)

    def _require_role(self, name: str) -> None:
        """A job for a role that is not there would wait unseen; a slip of the pen is likelier."""
        snapshot = self._hub.team.snapshot()
        known = sorted(role.name for role in snapshot.roles)
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f'did you mean "{near[0]}"? ' if near else ""
            raise UnknownRole(
                f'no role is called "{name[:64]}"',
                hint=f"{guess}known are: {', '.join(known) or 'none'}",
            )


def shown(job: Job) -> dict[str, object]:
    """A job as JSON."""
    fields = {name: getattr(job, name) for name in Job.__slots__}
    return {**fields, "poisoned": job.poisoned}


def _summary(job: Job) -> dict[str, object]:
    return {name: value for name, value in shown(job).items() if name not in _BULKY}
