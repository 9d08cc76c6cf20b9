"""One run of a job, as whoever carries it out sees it: the input, and answers that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from supervisor.errors import JobCancelled, JobStoreError
from supervisor.jobs.answers import Answer, Answers, Owed, Record
from supervisor.jobs.job import Job
from supervisor.jobs.slots import Slots
from supervisor.jobs.store import is_of_values
from supervisor.jobs.under_way import UnderWay
from supervisor.messages import Deferral, JsonValue, Promise


class Recorder(Protocol):
    """Writes answers and promises down."""

    async def record(self, record: Record) -> None:
        """Return when it is durable."""
        ...


class Claim:
    """One question's hold on what the API has promised it; implements `Deferral`.

    Args:
        digest: Identifies the question.
        promise: What is on record; None for nothing.
        write: Writes down what is promised.
    """

    def __init__(
        self, digest: str, promise: Promise | None, write: Callable[[Record], Awaitable[None]]
    ) -> None:
        self._digest = digest
        self._promise = promise
        self._write = write

    @property
    def promise(self) -> Promise | None:
        """The promise on record; None while there is none."""
        return self._promise

    async def keep(self, promise: Promise) -> None:
        """Write it down; returns when it is durable."""
        await self._write(Owed(self._digest, promise))
        self._promise = promise


class Seat:
    """A running job's hold on one of its role's slots.

    Args:
        slots: All slots; the job's own has been taken.
        role: The job's role.
    """

    def __init__(self, slots: Slots, role: str) -> None:
        self._slots = slots
        self._role = role
        self._held = True
        self._away = 0
        self._back: anyio.Event | None = None

    @property
    def waiting(self) -> bool:
        """Whether the job has given its slot back for a while."""
        return self._away > 0

    def leave(self) -> None:
        """Give the slot back; branches of a handler may do so side by side."""
        self._away += 1
        if self._back is not None:
            # Another branch is about to take a slot that this one's child may need: it goes on
            # without, as it would have done had this branch left first.
            self._slots.withdraw(self._role, self._seated)
            self._back.set()
            self._back = None
        self.free()

    async def come_back(self) -> None:
        """Take a slot again, when the last branch that left it does so.

        Were it the first, the others' children could wait for ever for the slot that it holds.
        """
        self._away -= 1
        if self._away or self._held:
            return
        self._back = back = anyio.Event()
        self._slots.resume(self._role, self._seated)
        try:
            await back.wait()
        finally:
            if self._back is back:
                self._back = None
                self._slots.withdraw(self._role, self._seated)

    def free(self) -> None:
        """Give the slot back if it is held."""
        if self._held:
            self._held = False
            self._slots.give(self._role)

    def _seated(self) -> None:
        assert self._back is not None
        self._held = True
        self._back.set()
        self._back = None


class JobRun:
    """One run of a job. Made here, used by whoever executes.

    Args:
        job: The job, as it stood when the run began.
        answers: What earlier runs have recorded.
        recorder: Where new answers are written down.
        seat: Its hold on a slot.
        on_record: Called when an answer has been written down.
        on_asking: Called when it begins to wait for answers, and when it does no more; None where
            nobody needs to know.

    Attributes:
        under_way: What it has asked and not been answered yet; whoever asks for it keeps it.
    """

    def __init__(
        self,
        job: Job,
        *,
        answers: Answers,
        recorder: Recorder,
        seat: Seat,
        on_record: Callable[[], None],
        on_asking: Callable[[bool], Awaitable[None]] | None = None,
    ) -> None:
        self._job = job
        self._answers = answers
        self._recorder = recorder
        self._seat = seat
        self._on_record = on_record
        self._on_asking = on_asking
        self.under_way = UnderWay()
        self._asks = 0
        self._over = False
        self._failure: JobStoreError | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.id

    @property
    def role(self) -> str:
        """Who is to do it."""
        return self._job.role

    @property
    def input(self) -> JsonValue:
        """What it was given."""
        return self._job.input

    @property
    def parent(self) -> str:
        """Id of the job that delegated it; empty when nobody did."""
        return self._job.parent

    @property
    def priority(self) -> int | None:
        """0 (most urgent) to 99; None for the role's own."""
        return self._job.priority

    @property
    def number(self) -> int:
        """1 for the job's first run."""
        return self._job.runs

    @property
    def failure(self) -> JobStoreError | None:
        """Why something could not be written down; what the handler made of it means nothing."""
        return self._failure

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[None, None]:
        """Wait for an answer of the API: whatever ends the process meanwhile, it is not this."""
        if self._on_asking is None:
            yield
            return
        self._asks += 1
        if self._asks == 1:
            await self._on_asking(True)  # noqa: FBT003 - called back with nothing else
        try:
            yield
        finally:
            self._asks -= 1
            if not self._asks:
                with anyio.CancelScope(shield=True):
                    await self._on_asking(False)  # noqa: FBT003

    async def record(self, digest: str, call: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Make a call whose answer is kept: no later run of this job makes it again.

        Args:
            digest: Identifies the question. Equal questions in one run are asked once each, and
                find as many answers in a later run.
            call: Asks it; awaited only when no answer is on record. When it raises, nothing is
                recorded, and a later run asks again.

        Returns:
            The answer, durable when this returns.

        Raises:
            JobCancelled: The run is over; whoever calls has outlived it.
            TypeError: The answer is no JSON value.
        """
        return await self.claim(digest, lambda _: call())

    async def claim(
        self, digest: str, call: Callable[[Deferral], Awaitable[JsonValue]]
    ) -> JsonValue:
        """Like `record`, for an answer that may be promised first and fetched later.

        Args:
            digest: Identifies the question.
            call: Asks it, or fetches what is promised; it is given what keeps the promise. When it
                raises, the promise stays on record, to be fetched by whoever asks again.

        Raises:
            JobCancelled: See `record`; so with `TypeError`.
        """
        if self._over:
            raise JobCancelled(f"job {self.id}: this run of it is over, nothing can be recorded")
        found = self._answers.take(digest)
        if found is not None:
            return found.value
        claim = Claim(digest, self._answers.take_promise(digest), self._write)
        try:
            value = await call(claim)
        except BaseException:
            if claim.promise is not None:
                self._answers.put_back(digest, claim.promise)
            raise
        answer = Answer.make(digest, value, promise=claim.promise)
        await self._write(answer)
        return answer.value

    async def _write(self, record: Record) -> None:
        # It is paid for by now: it gets written down even when the job is being cancelled, or when
        # a task group, a gather or a time limit of the handler's own cancels the task.
        task = asyncio.create_task(self._put(record))
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError as error:
                    cancelled = error
        failure = task.exception()
        if cancelled is not None:
            raise cancelled
        if failure is not None:
            raise failure

    async def _put(self, record: Record) -> None:
        try:
            await self._recorder.record(record)
        except Exception as error:
            if is_of_values(error):
                raise
            # Its first line only: a database's error goes on with the statement's values.
            cause = getattr(error, "orig", None) or error
            reason = str(cause).partition("\n")[0]
            self._failure = JobStoreError(
                f"an answer could not be written down: {type(cause).__name__}: {reason}",
                hint="see that the job store is there, writable and not full",
            )
            raise self._failure from error
        self._on_record()

    @asynccontextmanager
    async def released(self) -> AsyncGenerator[None, None]:
        """Wait for something without holding the role's slot, and take one again afterwards.

        A job that waits for another needs this: the other may need the very slot.
        """
        self._seat.leave()
        try:
            yield
        finally:
            await self._seat.come_back()

    def close(self) -> None:
        """The run is over."""
        self._over = True

    def __repr__(self) -> str:
        return f"<JobRun {self.role} {self.id} number={self.number}>"
