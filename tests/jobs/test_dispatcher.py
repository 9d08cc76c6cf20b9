"""Who starts next: every free slot is used at once, also one that came free during a look."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio

from supervisor.clock import LoopClock
from supervisor.errors import JobStoreError
from supervisor.jobs.dispatcher import Dispatcher
from supervisor.jobs.runner import Runner
from supervisor.jobs.slots import Slots
from supervisor.jobs.store import Store


class EmptyStore(Store):
    """A store without jobs, in which a job ends while the first look is under way.

    Attributes:
        looks: Whether it was looked for urgent jobs only, look by look.
    """

    def __init__(self, slots: Slots) -> None:
        super().__init__("sqlite:///never-opened.sqlite")
        self.looks: list[bool] = []
        self._slots = slots

    async def write(self, work: Any) -> Any:
        """Answer a claim."""
        assert isinstance(work, partial)
        self.looks.append(work.keywords["urgent"])
        if len(self.looks) == 1:
            self._slots.give("work")
        return []

    async def lost(self) -> JobStoreError:
        """Never."""
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_slot_that_comes_free_during_a_look_for_urgent_jobs_is_used_at_once(
    virtual: LoopClock,
) -> None:
    """Who looked only for urgent jobs, because all slots were held, looks again for all."""
    slots = Slots(on_room=lambda role: dispatcher.look_at(role))
    store = EmptyStore(slots)
    dispatcher = Dispatcher(
        store, slots=slots, clock=virtual, on_start=lambda job: None, look_every=5.0
    )
    slots.set_limits({"work": 1})
    slots.take("work")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.serve, Runner.__new__(Runner))
        await anyio.sleep(1)  # and not the five seconds after which it looks anyway
        tasks.cancel_scope.cancel()
    assert store.looks == [True, False]
