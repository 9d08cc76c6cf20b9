"""A process that does jobs and kills itself in the middle, as `kill -9` would.

Usage: killable.py URL JOURNAL ANSWERS: it submits 10 jobs of 10 questions, writes down what it
asks and what is recorded, and dies after that many answers; with 0 it ends when all jobs have.
"""

from __future__ import annotations

import os
import signal
import sys

import anyio

from supervisor.clock import SystemClock
from supervisor.jobs import JobRun, Jobs
from supervisor.messages import JsonValue
from tests.delivery import AT_ONCE, queue_defaults

JOBS = 10
QUESTIONS = 10


class Worker:
    """Answers questions, and dies in time.

    Args:
        journal: Where to note what happens.
        answers: After how many answers to die; 0 for never.
    """

    def __init__(self, journal: str, answers: int) -> None:
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._left = answers

    async def execute(self, run: JobRun) -> JsonValue:
        """Ask all questions, half of them side by side, in an order that differs by run."""
        numbers = list(range(QUESTIONS))
        if run.number % 2:
            numbers.reverse()
        async with anyio.create_task_group() as tasks:
            for number in numbers[: QUESTIONS // 2]:
                tasks.start_soon(self._ask, run, number)
        for number in numbers[QUESTIONS // 2 :]:
            await self._ask(run, number)
        return run.input

    async def _ask(self, run: JobRun, number: int) -> None:
        question = f"{run.input}/{number}"

        async def call() -> JsonValue:
            self.note(f"asked {question}")
            await anyio.sleep(0.002)
            return question

        answer = await run.record(question, call)
        assert answer == question, f"expected {question}, got: {answer}"
        self.note(f"recorded {question}")
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, line: str) -> None:
        """Append to the journal; one write, so that no kill can cut it in two."""
        os.write(self._journal, f"{line}\n".encode())


async def main(url: str, journal: str, answers: str) -> None:
    """Do all jobs, or die."""
    queue_defaults().update(AT_ONCE)
    worker = Worker(journal, int(answers))
    jobs = Jobs(url=url, execute=worker.execute, clock=SystemClock())
    jobs.set_roles({"work": 5})
    async with anyio.create_task_group() as tasks:
        await tasks.start(jobs.run)
        for number in range(JOBS):
            await jobs.submit("work", f"job{number}", key=f"key{number}")
        for job in await jobs.list():
            ended = await jobs.wait(job.id)
            worker.note(f"ended {ended.input} {ended.status.value}")
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3])
