"""The one module that knows DBOS: a durable workflow for each job, and its recorded answers.

DBOS is a process-wide singleton that would like to own the process. Here it gets no signal
handler, no console, no admin server and no telemetry; it is imported, launched and destroyed on a
worker thread, and runs its workflows as tasks on our event loop. It is started anew with every
`start`, and after `stop` nothing of it is left.

What DBOS gives us: a workflow that was begun is delivered again after every crash until it has
returned, and the answers recorded in it are kept. What we do ourselves: who may start when, and
what has become of a job; see docs/decisions/0003-jobs-on-dbos.md.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio.from_thread
import anyio.to_thread
import structlog

from supervisor.errors import StoreError
from supervisor.jobs.answers import Answer, Record, read_record

if TYPE_CHECKING:
    import sqlalchemy as sa
    from dbos import DBOS, DBOSConfig

T = TypeVar("T")
Body = Callable[[str], Awaitable[str]]

log = structlog.get_logger("supervisor.jobs")

# Pinned: DBOS recovers only what ran under the same version, which it would otherwise compute from
# our source code, and under the same executor.
_VERSION = "1"
_EXECUTOR = "local"
_ANSWERED = "ask"
_PROMISED = "defer"
_THREADS = 16
_DBOS_LOGGER = "dbos"


class Engine:
    """Runs durable workflows, all with the same body.

    Args:
        body: Does the work of the workflow of the given id and returns what it has come to. It
            is called again after a crash, until it has returned once; when it raises
            `CancelledError` the workflow stays as it is and is delivered again at the next start.
    """

    def __init__(self, body: Body) -> None:
        self._body = body
        self._bodies: set[asyncio.Task[Any]] = set()
        self._stopping = True
        self._launched: _Launched | None = None
        self._warnings = _Warnings()

    async def start(self, database: sa.Engine) -> None:
        """Launch DBOS; it delivers again what a crash has interrupted, within about a second.

        Args:
            database: Where to keep its tables; disposed of by the caller, after `stop`.

        Raises:
            StoreError: The database cannot be used, or jobs run in this process already.
        """
        self._stopping = False
        self._launched = await anyio.to_thread.run_sync(self._launch, database)

    async def stop(self, *, patience: float) -> None:
        """Wait for the bodies, which the caller has interrupted, and destroy DBOS.

        Args:
            patience: Seconds after which bodies that have not ended are cancelled once more, and
                after as long again left behind.
        """
        self._stopping = True
        launched, self._launched = self._launched, None
        if launched is None:
            return
        if self._bodies:
            _, stuck = await asyncio.wait(self._bodies, timeout=patience)
            for task in stuck:
                task.cancel()
            if stuck:
                log.error("jobs.workflows_stuck", count=len(stuck), patience=patience)
                await asyncio.wait(stuck, timeout=patience)
        await anyio.to_thread.run_sync(self._destroy, launched.dbos)
        # DBOS has put its own executor, which is shut down now, into our loop's place for it;
        # name look-ups go through there.
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(thread_name_prefix="asyncio")
        )

    async def begin(self, workflow_id: str) -> None:
        """Start a workflow, durably.

        Args:
            workflow_id: Its id; a workflow that is there already is not started twice: DBOS
                delivers it by itself when it has not ended.
        """
        await _outside(self._running().begin(workflow_id))

    async def recorded(self, workflow_id: str) -> tuple[list[Record], int]:
        """Read the answers and promises recorded in a workflow.

        Returns:
            What is on record, oldest first, and the last position that is taken.
        """
        steps = await _outside(self._running().dbos.list_workflow_steps_async(workflow_id))
        records = [read_record(step["output"]) for step in steps]
        last = max((step["function_id"] for step in steps), default=0)
        return [record for record in records if record is not None], last

    def recorder(self, *, skip: int) -> Recorder:
        """Make what writes down the answers of the workflow whose body calls this.

        Args:
            skip: The last position that is taken by an earlier run. New answers go behind it:
                DBOS replays by position, we by digest.
        """
        dbos = self._running().dbos
        for _ in range(skip):
            dbos.reserve_step()
        return Recorder(dbos)

    def _running(self) -> _Launched:
        if self._launched is None:
            raise StoreError("the job engine is not running", hint="it runs while the jobs run")
        return self._launched

    def _launch(self, database: sa.Engine) -> _Launched:
        # Half a second: not for those who import this package only to ask for jobs' words.
        from dbos import DBOS, SetWorkflowID  # noqa: PLC0415

        _refuse_second(DBOS)
        self._warnings.attach()

        async def run_job(workflow_id: str) -> str:
            return await self._run(workflow_id)

        try:
            instance = DBOS(config=_config(database))
            workflow = DBOS.workflow(name="run_job", max_recovery_attempts=None)(run_job)
            # DBOS runs workflows on the loop that it finds running where it is launched. There is
            # none on this thread; and from then on it delivers, whatever keeps our loop busy.
            loops = instance._background_event_loop  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            anyio.from_thread.run_sync(loops.set_main_loop)
            DBOS.launch()
        except Exception as error:
            self._destroy(DBOS)
            # Its first line only: a database's error goes on with the statement and its values.
            reason = str(error).partition("\n")[0]
            raise StoreError(
                f"the job engine cannot start: {type(error).__name__}: {reason}",
                hint="see that the database of store.url is there and writable",
            ) from error

        async def begin(workflow_id: str) -> None:
            with SetWorkflowID(workflow_id):
                await DBOS.start_workflow_async(workflow, workflow_id)

        return _Launched(DBOS, instance, begin)

    def _destroy(self, dbos: type[DBOS]) -> None:
        dbos.destroy(destroy_registry=True)
        self._warnings.detach()

    async def _run(self, workflow_id: str) -> str:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._bodies.add(task)
        task.add_done_callback(self._bodies.discard)
        if self._stopping:  # pragma: no cover - DBOS delivers it in the very moment of a stop
            raise asyncio.CancelledError
        return await self._body(workflow_id)


@dataclass(frozen=True, slots=True)
class _Launched:
    """What there is only while DBOS runs."""

    dbos: type[DBOS]
    instance: DBOS
    begin: Callable[[str], Coroutine[Any, Any, None]]


class Recorder:
    """Writes answers down in the workflow it was made in, from whatever task it is called."""

    def __init__(self, dbos: type[DBOS]) -> None:
        self._dbos = dbos
        self._context = contextvars.copy_context()

    async def record(self, record: Record) -> None:
        """Write an answer or a promise down; returns when it is durable."""
        name = _ANSWERED if isinstance(record, Answer) else _PROMISED
        write = self._dbos.run_step_async({"name": name}, _same, record.to_record())
        await asyncio.create_task(write, context=self._context.copy())


class _Warnings(logging.Handler):
    """DBOS's warnings as our events; without a handler DBOS would install a console."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def attach(self) -> None:
        logger = logging.getLogger(_DBOS_LOGGER)
        logger.addHandler(self)
        logger.propagate = False

    def detach(self) -> None:
        logger = logging.getLogger(_DBOS_LOGGER)
        logger.removeHandler(self)
        logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        message, _, traceback = record.getMessage().partition(_TRACEBACK)
        if not message.startswith(_EXPECTED_WARNINGS):
            error = record.exc_info[1] if record.exc_info else None
            said = repr(error) if error else _last_words(traceback)
            log.warning("jobs.engine_warning", message=message.strip(), error=said)


_TRACEBACK = "Traceback (most recent call last):"
"""What some of DBOS's messages go on with; a warning of ours is one line."""


def _last_words(traceback: str) -> str:
    """What a traceback ends in: the line of its last error."""
    lines = [line for line in traceback.splitlines() if line[:1] not in ("", " ", "(")]
    return lines[-1] if lines else ""


# A body that is interrupted, and a workflow that is begun after its recovery was queued.
_EXPECTED_WARNINGS = ("Asyncio task cancelled", "Workflow already exists in queue")


def _config(database: sa.Engine) -> DBOSConfig:
    from dbos import DBOSPortableJSONSerializer  # noqa: PLC0415 - slow; imported by now

    return {
        "name": "supervisor",
        "system_database_url": database.url.render_as_string(hide_password=False),
        "system_database_engine": database,
        "serializer": DBOSPortableJSONSerializer(),
        "application_version": _VERSION,
        "executor_id": _EXECUTOR,
        "max_executor_threads": _THREADS,
        "log_level": "WARNING",
        "enable_otlp": False,
        # We use none of its messages and events; a short interval lets its threads stop soon.
        "use_listen_notify": False,
        "notification_listener_polling_interval_sec": 0.05,
    }


def _refuse_second(dbos: type[DBOS]) -> None:
    """DBOS would silently hand out the instance, and the database, of whoever came first."""
    from dbos import error as dbos_error  # noqa: PLC0415 - slow; imported by now

    try:
        dbos.list_application_versions()
    except dbos_error.DBOSException:
        return
    raise StoreError(
        "jobs run in this process already", hint="DBOS allows one engine a process; stop the other"
    )


async def _outside(work: Coroutine[Any, Any, T]) -> T:
    """Await outside of any workflow: inside one, DBOS would make the call a step of it."""
    return await asyncio.create_task(work, context=contextvars.Context())


async def _same(record: dict[str, Any]) -> dict[str, Any]:
    return record
