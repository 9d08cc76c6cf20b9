"""Gives free slots to the queued jobs that are next.

A role is looked at when something happened that can let one of its jobs start: a submission, a
slot that was freed, a limit that was raised. So an idle role starts a job at once, and waiting
jobs are rows on disk and nothing else. A slow look at everybody is the net under that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import anyio

from supervisor.clock import Clock
from supervisor.errors import StoreError
from supervisor.jobs import table
from supervisor.jobs.job import Job
from supervisor.jobs.runner import Runner
from supervisor.jobs.slots import Slots
from supervisor.jobs.store import Store
from supervisor.jobs.suspects import Suspects
from supervisor.messages import Priority


class Dispatcher:
    """Starts queued jobs.

    Args:
        store: Where they are kept.
        slots: The roles' slots.
        clock: Gives the time of starts.
        on_start: Called with each job that has left the queue.
        look_every: Seconds between two looks at all roles.

    Attributes:
        suspects: Which jobs start one at a time.
    """

    def __init__(
        self,
        store: Store,
        *,
        slots: Slots,
        clock: Clock,
        on_start: Callable[[Job], None],
        look_every: float,
    ) -> None:
        self._store = store
        self._slots = slots
        self._clock = clock
        self._on_start = on_start
        self._look_every = look_every
        self.suspects = Suspects()
        self._defaults: Mapping[str, int] = {}
        self._to_look_at: set[str] = set()
        self._wake = anyio.Event()
        self._failures: list[StoreError] = []

    def set_default_priorities(self, priorities: Mapping[str, int]) -> None:
        """What a job without a priority of its own counts as, by role."""
        self._defaults = dict(priorities)

    def default_priority(self, role: str) -> int:
        """What a job of a role without a priority of its own counts as."""
        return self._defaults.get(role, Priority.MEDIUM)

    def look_at(self, role: str) -> None:
        """A queued job of the role may be able to start."""
        self._to_look_at.add(role)
        self._wake.set()

    def passed(self, job_id: str) -> None:
        """A job got further, has ended, or was cancelled: no suspect any more."""
        if self.suspects.passed(job_id):
            self._look_at_all()

    def fail(self, error: StoreError) -> None:
        """Make `serve` raise this: jobs cannot be started or carried on."""
        self._failures.append(error)
        self._wake.set()

    async def serve(self, runner: Runner) -> None:
        """Start jobs until cancelled.

        Raises:
            StoreError: The store or the engine failed; what was running goes on after a restart.
        """
        self._failures.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch_store)
            while not self._failures:
                self._wake = anyio.Event()
                for role in self._due():
                    for job, crashes in await self._claim(role):
                        # At once, so that whoever cancels it now finds it.
                        suspect = self.suspects.has_tried(job.id)
                        runner.grant(job, crashes=crashes, suspect=suspect)
                        self._on_start(job)
                        tasks.start_soon(runner.begin, job)
                await self._woken()
            tasks.cancel_scope.cancel()
        raise self._failures[0]

    async def _watch_store(self) -> None:
        self.fail(await self._store.lost())

    def _due(self) -> list[str]:
        # Forgotten before the look, so that what happens during it is not forgotten with it.
        due = [role for role in self._to_look_at if self._slots.urgent_room(role)]
        self._to_look_at.clear()
        return due

    async def _claim(self, role: str) -> list[tuple[Job, int]]:
        urgent = not self._slots.room(role)
        wanted = self._slots.take(role, urgent=urgent)
        claimed: list[tuple[Job, int]] = []
        try:
            claimed = await self._store.write(
                partial(
                    table.claim,
                    role=role,
                    default_priority=self.default_priority(role),
                    urgent=urgent,
                    count=wanted,
                    now=self._clock.wall(),
                    held=self.suspects.held(role, self._clock.monotonic()),
                )
            )
            for job, _ in claimed:
                self.suspects.started(job.id, self._clock.monotonic())
        except StoreError as error:
            self.fail(error)
        finally:
            self._slots.return_unused(role, wanted - len(claimed))
            if urgent and self._slots.room(role):
                # A slot came free meanwhile. Nobody was told: those taken here hid it.
                self.look_at(role)
        return claimed

    async def _woken(self) -> None:
        patience = min(self._look_every, self.suspects.next_turn(self._clock.monotonic()))
        with anyio.move_on_after(patience) as waited:
            await self._wake.wait()
        if waited.cancelled_caught:
            self._look_at_all()

    def _look_at_all(self) -> None:
        self._to_look_at.update(self._slots.limits)
        self._wake.set()
