"""Carries jobs out: from the slot that was granted to the end that is written down.

`carry_out` is the body of the engine's workflow. It comes twice to a job that a crash has
interrupted, in either order: the engine delivers the workflow again, and the dispatcher grants a
slot when it is the job's turn. Both meet in one `_Live`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.lowlevel
import structlog

from supervisor.clock import Clock
from supervisor.errors import JobStoreError, StoreError, UnknownJob
from supervisor.jobs import table
from supervisor.jobs.answers import Answers, Record
from supervisor.jobs.engine import Engine
from supervisor.jobs.job import Job, JobStatus
from supervisor.jobs.run import JobRun, Recorder, Seat
from supervisor.jobs.slots import Slots
from supervisor.jobs.store import Store
from supervisor.jobs.unwritten import Unwritten
from supervisor.jobs.verdict import (
    Crashed,
    Ending,
    Verdict,
    judge_error,
    judge_result,
    store_failure,
)
from supervisor.messages import JsonValue

Execute = Callable[[JobRun], Awaitable[JsonValue]]

log = structlog.get_logger("supervisor.jobs")


@dataclass(frozen=True, slots=True)
class _Grant:
    """A job that may run now."""

    job: Job
    crashes: int
    seat: Seat
    suspect: bool


@dataclass(slots=True, eq=False)
class _Live:
    """A job that was granted a slot, or that the engine has delivered, or both."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    granted: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)
    grant: _Grant | None = None
    cancelled: bool = False


class Runner:
    """Runs jobs that were granted a slot.

    Args:
        store: Where jobs are kept.
        slots: The roles' slots.
        execute: Does the role's work.
        clock: Gives the time of ends.
        on_end: Called with each job whose end has been written down by this.
        on_failure: Called when a job cannot go on for a reason that is neither its own nor its
            role's. It stays as it is, and goes on after the next start.

    Attributes:
        on_record: Called with the id of each job that got further by an answer.
    """

    on_record: Callable[[str], None]

    def __init__(
        self,
        store: Store,
        *,
        slots: Slots,
        execute: Execute,
        clock: Clock,
        on_end: Callable[[Job], None],
        on_failure: Callable[[StoreError], None],
    ) -> None:
        self._store = store
        self._slots = slots
        self._execute = execute
        self._clock = clock
        self._on_end = on_end
        self._on_failure = on_failure
        self._live: dict[str, _Live] = {}
        self._unwritten: dict[str, Unwritten] = {}
        self._engine = Engine(self.carry_out)

    async def start(self) -> None:
        """Start the engine; it delivers what was interrupted.

        Raises:
            StoreError: The engine cannot start.
        """
        await self._engine.start(self._store.database)

    async def stop(self, *, patience: float) -> None:
        """Interrupt what runs, to go on at the next start, and stop the engine.

        Args:
            patience: Seconds that a run may take to be interrupted.
        """
        for live in self._live.values():
            live.scope.cancel()
        await self._engine.stop(patience=patience)
        for workflow_id in list(self._live):
            self._drop(workflow_id)

    async def reached(self, job_id: str, *, retries: int) -> int:
        """The last position of what a job has on record."""
        return (await self._engine.recorded(_workflow_id(job_id, retries)))[1]

    def waiting(self, role: str) -> int:
        """How many running jobs of a role have given their slot back for a while."""
        grants = [live.grant for live in self._live.values()]
        return sum(1 for g in grants if g is not None and g.job.role == role and g.seat.waiting)

    def grant(self, job: Job, *, crashes: int, suspect: bool) -> None:
        """Let a claimed job run; its slot has been taken, and is given back whatever happens.

        Args:
            job: The job.
            crashes: How often it has made its role crash.
            suspect: Whether it may be what ends the process.
        """
        live = self._live.setdefault(_workflow_id(job.id, job.retries), _Live())
        live.grant = _Grant(job, crashes, Seat(self._slots, job.role), suspect)
        live.granted.set()

    async def begin(self, job: Job) -> None:
        """Hand a granted job to the engine."""
        try:
            await self._engine.begin(_workflow_id(job.id, job.retries))
        except Exception as error:
            self._fail(job.id, error)

    @property
    def unwritten(self) -> int:
        """How many answers are paid for and not on record."""
        return sum(map(len, self._unwritten.values()))

    def cancel(self, job_id: str, *, retries: int) -> None:
        """Interrupt a job whose cancellation has been written down."""
        live = self._live.get(_workflow_id(job_id, retries))
        if live is not None:
            live.cancelled = True
            live.scope.cancel()

    async def carry_out(self, workflow_id: str) -> str:
        """The workflow of one job.

        Returns:
            How it stands in the end.

        Raises:
            CancelledError: It was interrupted; the engine is to deliver it again.
        """
        live = self._live.setdefault(workflow_id, _Live())
        try:
            with live.scope:
                if live.grant is None and not await self._is_due(workflow_id):
                    return "superseded"
                await live.granted.wait()
                return await self._to_the_end(live)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Ours or the store's, not the role's: the job stays promised.
            if self._live.get(workflow_id) is live:
                self._fail(workflow_id, error)
            raise asyncio.CancelledError from None
        finally:
            if self._live.get(workflow_id) is live:
                self._drop(workflow_id)
        if live.cancelled:
            return JobStatus.CANCELLED
        log.info("jobs.job_interrupted", workflow=workflow_id)
        raise asyncio.CancelledError

    async def _is_due(self, workflow_id: str) -> bool:
        """Whether a workflow that the engine has delivered again is still the job's own."""
        job_id, _, retry = workflow_id.partition(".")
        try:
            job = await self._store.read(partial(table.select, job_id=job_id))
        except UnknownJob:
            return False
        return not job.status.ended and job.retries == int(retry or 0)

    async def _to_the_end(self, live: _Live) -> JobStatus:
        assert live.grant is not None
        grant = live.grant
        log.info("jobs.job_started", job=grant.job.id, role=grant.job.role, run=grant.job.runs)
        records, taken = await self._recorded(grant.job)
        recorder = self._engine.recorder(skip=taken)
        records += await self._catch_up(grant.job.id, records, recorder)
        while True:
            verdict = await self._run_once(grant, records=records, recorder=recorder, live=live)
            if isinstance(verdict, Crashed):
                grant = await self._crashed(grant, verdict)
                if verdict.ending is not None:
                    return await self._end(grant.job, verdict.ending)
                records, _ = await self._recorded(grant.job)
            elif isinstance(verdict, Ending):
                return await self._end(grant.job, verdict)
            else:
                live.scope.cancel()
                await anyio.lowlevel.checkpoint()

    async def _run_once(
        self, grant: _Grant, *, records: list[Record], recorder: Recorder, live: _Live
    ) -> Verdict:
        recorder = self._unwritten[grant.job.id] = Unwritten(recorder, records)
        verdict: Verdict
        run = JobRun(
            grant.job,
            answers=Answers(records),
            recorder=recorder,
            seat=grant.seat,
            on_record=partial(self.on_record, grant.job.id),
            on_asking=partial(self._note_asking, grant.job.id) if grant.suspect else None,
        )
        try:
            result = await self._execute(run)
        except asyncio.CancelledError as error:
            if live.scope.cancel_called or _is_being_cancelled():
                raise
            # Nobody cancelled this task: the handler awaited something that was cancelled.
            verdict = judge_error(error, crashes=grant.crashes)
        except BaseException as error:
            failure = run.failure or store_failure(error)
            if failure is not None:
                # Not the role's fault: something could not be written down.
                raise failure from error
            # A role that calls sys.exit must not take the whole team with it; and who really wants
            # the process to end sends a signal, which raises nothing here.
            verdict = judge_error(error, crashes=grant.crashes)
        else:
            verdict = judge_result(result)
        finally:
            run.close()
        if isinstance(verdict, Crashed) and verdict.ending is None:
            # What the handler has asked side by side is paid for: the next run finds it on record.
            await run.under_way.ended()
        if run.failure is not None:
            # It went on without an answer that was paid for and is not on record.
            raise run.failure
        return verdict

    async def _crashed(self, grant: _Grant, verdict: Crashed) -> _Grant:
        again = verdict.ending is None
        await self._store.write(
            partial(table.record_crash, job_id=grant.job.id, detail=verdict.detail, again=again)
        )
        log.warning(
            "jobs.job_crashed",
            job=grant.job.id,
            role=grant.job.role,
            crashes=grant.crashes + 1,
            again=again,
            detail=verdict.detail,
        )
        job = await self._store.read(partial(table.select, job_id=grant.job.id))
        return _Grant(job, grant.crashes + 1, grant.seat, grant.suspect)

    async def _note_asking(self, job_id: str, asking: bool) -> None:  # noqa: FBT001 - called back
        await self._store.write(partial(table.set_asking, job_id=job_id, asking=asking))

    async def _end(self, job: Job, ending: Ending) -> JobStatus:
        change = partial(table.end, job_id=job.id, ending=ending, now=self._clock.wall())
        status = ending.status
        # The work is done and paid for: its end is written down even while somebody cancels.
        with anyio.CancelScope(shield=True):
            ended, is_end = await self._store.write(change)
            status = ended.status
            self._unwritten.pop(job.id, None)
            if is_end:
                log.info(
                    "jobs.job_ended",
                    job=ended.id,
                    role=ended.role,
                    status=ended.status.value,
                    error=ended.error,
                )
                self._on_end(ended)
        return status

    async def _recorded(self, job: Job) -> tuple[list[Record], int]:
        """What this job's runs have recorded, retried ones included; and the last position."""
        if job.runs <= 1:
            return [], 0
        records: list[Record] = []
        last = 0
        for retry in range(job.retries + 1):
            workflow_id = _workflow_id(job.id, retry)
            earlier = self._live.get(workflow_id)
            if retry < job.retries and earlier is not None:
                # Cancelled a moment ago, and perhaps still writing down its last answer.
                await earlier.over.wait()
            found, last = await self._engine.recorded(workflow_id)
            records += found
        return records, last

    async def _catch_up(self, job_id: str, found: list[Record], recorder: Recorder) -> list[Record]:
        """Write down what an earlier run could not, and give it."""
        earlier = self._unwritten.get(job_id)
        missing = earlier.missing(found) if earlier is not None else []
        for record in missing:
            await recorder.record(record)
        return missing

    def _fail(self, workflow_id: str, error: BaseException) -> None:
        # Its first line only: a database's error goes on with the values of the statement.
        reason = str(error).partition("\n")[0]
        log.error(
            "jobs.run_failed", workflow=workflow_id, error=f"{type(error).__name__}: {reason}"
        )
        message = f"job {workflow_id} could not go on: {type(error).__name__}: {reason}"
        self._on_failure(
            JobStoreError(message, hint="see that the job store is there and writable")
        )

    def _drop(self, workflow_id: str) -> None:
        live = self._live.pop(workflow_id)
        live.over.set()
        if live.grant is not None:
            if not self._unwritten.get(live.grant.job.id):
                self._unwritten.pop(live.grant.job.id, None)
            live.grant.seat.free()


def _workflow_id(job_id: str, retries: int) -> str:
    """A workflow that has ended does not run again, so a retried job gets another one."""
    return f"{job_id}.{retries}" if retries else job_id


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
