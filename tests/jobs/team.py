"""A team whose work a test scripts, and the jobs it is given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from supervisor.clock import SystemClock
from supervisor.jobs import JobRun, Jobs
from supervisor.messages import JsonValue

Handler = Callable[[JobRun], Awaitable[JsonValue]]


async def echo(run: JobRun) -> JsonValue:
    """Do nothing and return the input."""
    return run.input


class Team:
    """Executes jobs with one handler a role, and opens `Jobs` on one database again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self._handlers: dict[str, Handler] = {}
        self._concurrency: dict[str, int] = {}

    def add(self, role: str, handler: Handler = echo, *, concurrency: int = 4) -> None:
        """Let a role do its jobs with this handler."""
        self._handlers[role] = handler
        self._concurrency[role] = concurrency

    async def ask(self, run: JobRun, question: str) -> JsonValue:
        """Record an answer to a question, and note that it was really asked."""

        async def call() -> JsonValue:
            self.asked.append(question)
            return f"{question}!"

        return await run.record(question, call)

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[Jobs, None]:
        """Jobs that run; leaving stops them as a process that ends cleanly does."""
        jobs = self.jobs()
        async with anyio.create_task_group() as tasks:
            await tasks.start(jobs.run)
            with anyio.fail_after(15):
                yield jobs
            tasks.cancel_scope.cancel()

    def jobs(self) -> Jobs:
        """Jobs that do not run yet."""
        jobs = Jobs(url=self.url, execute=self._execute, clock=SystemClock(), patience=2)
        jobs.set_roles(self._concurrency)
        return jobs

    async def _execute(self, run: JobRun) -> JsonValue:
        return await self._handlers[run.role](run)
