"""A team whose work a test scripts, and the jobs it is given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import sqlalchemy as sa

from supervisor.clock import SystemClock
from supervisor.jobs import JobRun, Jobs
from supervisor.messages import JsonValue

Handler = Callable[[JobRun], Awaitable[JsonValue]]


async def echo(run: JobRun) -> JsonValue:
    """Do nothing and return the input."""
    return run.input


class Team:
    """Executes jobs with one handler a role, and opens `Jobs` on one database again and again.

    Attributes:
        asked: What was really asked.
        has_asked: Something was.
        again_after: Seconds before a store that has failed is opened again.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.again_after = 0.05
        self.asked: list[str] = []
        self.has_asked = anyio.Event()
        self._handlers: dict[str, Handler] = {}
        self._concurrency: dict[str, int] = {}

    def add(self, role: str, handler: Handler = echo, *, concurrency: int = 4) -> None:
        """Let a role do its jobs with this handler."""
        self._handlers[role] = handler
        self._concurrency[role] = concurrency

    def dismiss(self) -> None:
        """Start without any role the next time."""
        self._concurrency.clear()

    async def change(self, statement: str, **values: object) -> None:
        """Change the database behind the jobs' back, as another process can."""

        def execute() -> None:
            database = sa.create_engine(self.url)
            with database.begin() as connection:
                connection.execute(sa.text(statement), values)
            database.dispose()

        await anyio.to_thread.run_sync(execute)

    async def ask(self, run: JobRun, question: str) -> JsonValue:
        """Record an answer to a question, and note that it was really asked."""

        async def call() -> JsonValue:
            self.asked.append(question)
            self.has_asked.set()
            return f"{question}!"

        return await run.record(question, call)

    @asynccontextmanager
    async def at_work(self, *, look_every: float = 5.0) -> AsyncGenerator[Jobs, None]:
        """Jobs that run; leaving stops them as a process that ends cleanly does."""
        jobs = self.jobs(look_every=look_every)
        async with anyio.create_task_group() as tasks:
            await tasks.start(jobs.run)
            with anyio.fail_after(15):
                yield jobs
            tasks.cancel_scope.cancel()

    def jobs(self, *, look_every: float = 5.0) -> Jobs:
        """Jobs that do not run yet."""
        jobs = Jobs(
            url=self.url,
            execute=self._execute,
            clock=SystemClock(),
            patience=2,
            look_every=look_every,
            again_after=self.again_after,
        )
        jobs.set_roles(self._concurrency)
        return jobs

    async def _execute(self, run: JobRun) -> JsonValue:
        return await self._handlers[run.role](run)
