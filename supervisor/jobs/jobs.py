"""The front of this package: submit, get, list, wait, cancel, retry, and the task behind them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import structlog
from anyio.abc import TaskStatus

from supervisor.clock import Clock
from supervisor.errors import Draining, InvalidJobInput, StoreError
from supervisor.jobs import table
from supervisor.jobs.dispatcher import Dispatcher
from supervisor.jobs.job import Job, JobsSnapshot, JobStatus, RoleJobs, new_job_id
from supervisor.jobs.runner import Execute, Runner
from supervisor.jobs.slots import Slots
from supervisor.jobs.store import Store
from supervisor.jobs.suspects import Casualty, Suspects, judge_deaths
from supervisor.jobs.text import writable
from supervisor.jobs.timetable import Timetable
from supervisor.messages import Cost, JsonValue

log = structlog.get_logger("supervisor.jobs")

_LONGEST = 30.0
"""Most seconds before a store that has failed is opened again."""
_SOUND = 60.0
"""Seconds after which one that was opened again is no longer taken to be about to fail."""


class Jobs:
    """Durable jobs: accepted once, finished once, over any crash.

    One process at a time works on one database; what another one was running when it ended is
    taken over at the start.

    Args:
        url: `sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`.
        execute: Does a role's work: gets a run, returns the result. A `SupervisorError` fails the
            job at once; any other exception counts as a crash of the role, and the job runs again,
            three times in all. `Draining` decides nothing: the job goes on after the next start.
        clock: Gives the times that are stored.
        patience: Seconds that a running job may take to be interrupted when `run` is cancelled.
        look_every: Seconds between two looks for what another process has changed; what this one
            changes is known at once.
        again_after: Seconds after which a store that has failed is opened again; twice as long
            after each time that this is no help, up to 30.

    Raises:
        StoreError: The URL is none of these.
    """

    def __init__(
        self,
        *,
        url: str,
        execute: Execute,
        clock: Clock,
        patience: float = 10.0,
        look_every: float = 5.0,
        again_after: float = 1.0,
    ) -> None:
        self._clock = clock
        self._again_after = again_after
        self._patience = patience
        self._look_every = look_every
        self._store = Store(url)
        self._slots = Slots(on_room=self._look_at)
        self._dispatcher = Dispatcher(
            self._store,
            slots=self._slots,
            clock=clock,
            on_start=self._started,
            look_every=look_every,
        )
        self._runner = Runner(
            self._store,
            slots=self._slots,
            execute=execute,
            clock=clock,
            on_end=self._ended,
            on_failure=self._dispatcher.fail,
        )
        self._runner.on_record = self._dispatcher.passed
        self._counts: defaultdict[str, Counter[JobStatus]] = defaultdict(Counter)
        self._waiters: defaultdict[str, set[anyio.Event]] = defaultdict(set)
        self._stopping = False
        self._trouble = ""
        self._has_run = False

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; can be entered again afterwards.

        A store that fails after the start is opened again until it can be used, and nobody else
        has to end for it. What ran is interrupted, and goes on then.

        Args:
            task_status: Told when jobs can be submitted and run.

        Raises:
            StoreError: The store cannot be used at the start, or jobs run in this process already.
        """
        self._stopping = started = False
        delay = self._again_after
        try:
            while True:
                opened, whole = self._clock.monotonic(), False
                try:
                    async with self._opened():
                        whole = True
                        await self._take_up()
                        self._trouble = ""
                        if not started:
                            task_status.started()
                        started = True
                        await self._dispatcher.serve(self._runner)
                except StoreError as error:
                    if not started:
                        raise
                    self._trouble = str(error)
                if self._clock.monotonic() - opened > _SOUND:
                    delay = self._again_after
                log.error("jobs.store_failed", error=self._trouble, again_in=delay)
                with anyio.move_on_after(delay):
                    if not whole and not await self._store.is_whole():
                        # They could not be put back just now.
                        await anyio.sleep_forever()
                    # What is only open would be gone with a kill: that does not wait.
                    await self._store.lost()
                delay = min(2.0 * delay, _LONGEST)
        finally:
            self._trouble = ""
            with anyio.CancelScope(shield=True):
                await self._store.close()
            if self._runner.unwritten:
                log.error("jobs.answers_lost", count=self._runner.unwritten)
            log.info("jobs.stopped")

    def set_roles(
        self, concurrency: Mapping[str, int], *, priority: Mapping[str, int] | None = None
    ) -> None:
        """Say which roles are there. Jobs of others stay queued, those that run run on.

        Args:
            concurrency: Most jobs at once, by role.
            priority: What a job without a priority of its own counts as, by role; `MEDIUM` for
                roles that are not in it.

        Raises:
            ValueError: A concurrency is below 1.
        """
        self._dispatcher.set_default_priorities(priority or {})
        self._slots.set_limits(concurrency)

    async def submit(
        self,
        role: str,
        job_input: JsonValue,
        *,
        key: str = "",
        parent: str = "",
        priority: int | None = None,
    ) -> Job:
        """Accept a job; it is durable when this returns.

        Args:
            role: Who is to do it; need not be there yet.
            job_input: What it is given.
            key: The same key for the same role is the same job, over any restart, whatever its
                input.
            parent: Id of the job that delegates it.
            priority: 0 (most urgent) to 99; None for the role's own.

        Raises:
            InvalidJobInput: The input is no JSON value, or the priority is out of range.
            Draining: The process is stopping.
            StoreError: The store cannot be used.
        """
        if self._stopping:
            raise Draining("the process is stopping and takes no new jobs")
        if priority is not None and not 0 <= priority <= 99:
            raise InvalidJobInput(f"expected a priority from 0 to 99, got: {priority}")
        try:
            text = json.dumps(job_input, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidJobInput(
                f"expected a JSON value as input, got: {type(job_input).__name__} ({error})"
            ) from error
        new = table.NewJob(
            id=new_job_id(role, key),
            role=role,
            # The id follows from it as it is; this is for people.
            key=writable(key),
            parent=parent,
            priority=priority,
            input=text,
            created=self._clock.wall(),
        )
        job, is_new = await self._store.write(partial(table.insert, new=new))
        if is_new:
            log.info("jobs.job_submitted", job=job.id, role=role, parent=parent)
            self._counts[role][JobStatus.QUEUED] += 1
            self._look_at(role)
        return job

    async def get(self, job_id: str) -> Job:
        """Read a job.

        Raises:
            UnknownJob: There is none of that id.
            StoreError: The store cannot be used.
        """
        return await self._store.read(partial(table.select, job_id=job_id))

    async def why(self, job: Job) -> str:
        """Why a queued job has not started; empty for any other.

        Raises:
            StoreError: The store cannot be used.
        """
        if job.status is not JobStatus.QUEUED:
            return ""
        if self._trouble:
            return f"no job runs until the store can be used again: {self._trouble}"
        role, most = job.role, self._slots.limits.get(job.role)
        if most is None:
            return f"the role {role} is not there, or does not run"
        turn = self._dispatcher.suspects.waits(job.id, self._clock.monotonic())
        if turn is not None:
            return (
                "the process has ended twice while it ran: such jobs start one at a time, "
                f"and this one in {turn:.0f} s at the earliest"
            )
        default = self._dispatcher.default_priority(role)
        before = await self._store.read(
            partial(table.count_before, job_id=job.id, default_priority=default)
        )
        busy = self._counts[role][JobStatus.RUNNING] - self._runner.waiting(role)
        return f"{busy} of {most} jobs of {role} run; queued before it: {before}"

    async def list(
        self, *, role: str | None = None, status: JobStatus | None = None, limit: int = 100
    ) -> list[Job]:
        """Read jobs, newest first.

        Args:
            role: Only this role's; None for all.
            status: Only those that stand so; None for all.
            limit: Most to return.

        Raises:
            StoreError: The store cannot be used.
        """
        return await self._store.read(
            partial(table.select_newest, role=role, status=status, limit=limit)
        )

    @property
    def timetable(self) -> Timetable:
        """How far the schedules have come; usable while this runs."""
        return Timetable(self._store)

    async def set_cost(self, job_id: str, cost: Cost) -> None:
        """Write down what a job's own answers have cost so far.

        Raises:
            StoreError: The store cannot be used.
        """
        await self._store.write(partial(table.set_cost, job_id=job_id, cost=cost))

    async def cost_below(self, job_id: str) -> Cost:
        """What all jobs that a job has delegated, and they in turn, have cost so far.

        Raises:
            StoreError: The store cannot be used.
        """
        return await self._store.read(partial(table.cost_below, job_id=job_id))

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job and all that it has delegated; one that has ended stays as it is.

        Raises:
            UnknownJob: There is none of that id.
            StoreError: The store cannot be used.
        """
        now = self._clock.wall()
        for cancelled in await self._store.write(partial(table.cancel, job_id=job_id, now=now)):
            log.info("jobs.job_cancelled", job=cancelled.id, role=cancelled.role)
            self._counts[cancelled.role][cancelled.before] -= 1
            self._counts[cancelled.role][JobStatus.CANCELLED] += 1
            self._runner.cancel(cancelled.id, retries=cancelled.retries)
            self._dispatcher.passed(cancelled.id)
            self._tell(cancelled.id)
        return await self.get(job_id)

    async def retry(self, job_id: str, *, delegated: bool = False) -> Job:
        """Run a failed or cancelled job again; answers on record are not asked for again.

        Others stay as they are.

        Args:
            job_id: Its id.
            delegated: Only where its parent was retried after it had ended.

        Raises:
            UnknownJob: There is none of that id.
            StoreError: The store cannot be used.
        """
        job, put_back = await self._store.write(
            partial(table.retry, job_id=job_id, delegated=delegated)
        )
        self._put_back(put_back)
        return job

    async def retry_failed(self, *, role: str | None = None, poisoned: bool = False) -> int:
        """Run all failed jobs again.

        Args:
            role: Only this role's; None for all.
            poisoned: Those that were set aside, instead of all others.

        Returns:
            How many go into the queue.

        Raises:
            StoreError: The store cannot be used.
        """
        put_back = await self._store.write(
            partial(table.retry_failed, role=role, poisoned=poisoned)
        )
        self._put_back(put_back)
        return len(put_back)

    def _put_back(self, jobs: Sequence[table.PutBack]) -> None:
        for job in jobs:
            log.info("jobs.job_retried", job=job.id, role=job.role)
            self._counts[job.role][JobStatus.QUEUED] += 1
            self._look_at(job.role)

    async def wait(self, job_id: str) -> Job:
        """Wait until a job has ended.

        Raises:
            UnknownJob: There is none of that id.
            StoreError: The store cannot be used.
        """
        told = anyio.Event()
        self._waiters[job_id].add(told)
        try:
            while not (job := await self.get(job_id)).status.ended:
                with anyio.move_on_after(self._look_every):
                    await told.wait()
            return job
        finally:
            self._waiters[job_id].discard(told)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    def snapshot(self) -> JobsSnapshot:
        """How many jobs stand how, by role; from memory."""
        roles: dict[str, RoleJobs] = {}
        for role in sorted({*self._slots.limits, *self._counts}):
            counts = self._counts.get(role, Counter())
            roles[role] = RoleJobs(
                concurrency=self._slots.limits.get(role, 0),
                queued=counts[JobStatus.QUEUED],
                running=counts[JobStatus.RUNNING],
                waiting=self._runner.waiting(role),
                done=counts[JobStatus.DONE],
                failed=counts[JobStatus.FAILED],
                cancelled=counts[JobStatus.CANCELLED],
            )
        return JobsSnapshot(roles, self._trouble)

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[None, None]:
        """The store opened anew; left open afterwards, for a full disk can still be read."""
        await self._store.open()
        try:
            yield
        except anyio.get_cancelled_exc_class():
            self._stopping = True
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._runner.stop(patience=self._patience)
                with suppress(StoreError):
                    # What still runs at a start was running when a process died.
                    await self._store.write(table.requeue_interrupted)

    async def _take_up(self) -> None:
        """Go on where the last process, or the last failure of the store, has left off."""
        interrupted = await self._store.write(table.requeue_interrupted)
        await self._runner.start()
        await self._suspect(interrupted)
        queued = await self._store.read(table.count_queued)
        self._counts.clear()
        for role, count in queued.items():
            self._counts[role][JobStatus.QUEUED] = count
        log.info("jobs.started", queued=sum(queued.values()), interrupted=len(interrupted))
        for role in self._slots.limits:
            self._look_at(role)

    async def _suspect(self, interrupted: Sequence[Casualty]) -> None:
        """Count the end of the process that was before this one, if it did not stop."""
        died = [] if self._has_run else [one for one in interrupted if not one.waited]
        self._has_run = True
        reached = [await self._runner.reached(one.id, retries=one.retries) for one in died]
        findings = judge_deaths(list(zip(died, reached, strict=True)))
        now = self._clock.wall()
        await self._store.write(partial(table.record_deaths, findings=findings, now=now))
        suspects = await self._store.read(table.select_suspects)
        if suspects:
            log.warning("jobs.suspected", jobs=[one.id for one in suspects])
        self._dispatcher.suspects = Suspects(suspects, since=self._clock.monotonic())
        for one, finding in zip(died, findings, strict=True):
            if finding.ending is not None:
                log.error("jobs.job_ended_process", job=finding.id, role=finding.role)
                self._runner.cancel(one.id, retries=one.retries)

    def _look_at(self, role: str) -> None:
        self._dispatcher.look_at(role)

    def _started(self, job: Job) -> None:
        self._counts[job.role][JobStatus.QUEUED] -= 1
        self._counts[job.role][JobStatus.RUNNING] += 1

    def _ended(self, job: Job) -> None:
        self._counts[job.role][JobStatus.RUNNING] -= 1
        self._counts[job.role][job.status] += 1
        self._dispatcher.passed(job.id)
        self._tell(job.id)

    def _tell(self, job_id: str) -> None:
        for told in self._waiters.get(job_id, ()):
            told.set()

    def __repr__(self) -> str:
        seen = self.snapshot()
        return f"<Jobs queued={seen.queued} running={seen.running} {self._slots!r}>"
