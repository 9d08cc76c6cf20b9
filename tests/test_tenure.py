"""For how long a process may send: the lock is taken, lost, had back, or another's."""

from __future__ import annotations

import shutil
from collections import deque
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from supervisor.clock import LoopClock
from supervisor.config.settings import WebSettings
from supervisor.errors import StoreError
from supervisor.ledger.owner import SqliteOwnership
from supervisor.tenure import Tenure

AWAY = StoreError("the store is away")
FREE, TAKEN = "free", "taken"


class ScriptedLock:
    """A lock that is had, refused or unreachable as it is told.

    Args:
        script: What becomes of each try to take it; the last one of all others.
        shared: Whether all processes meet at it.
    """

    def __init__(self, *script: str | StoreError, shared: bool = True) -> None:
        self._script = deque(script)
        self.shared = shared
        self.place = "a test"
        self.losses = anyio.Event()
        self.tries = 0

    async def acquire_nowait(self) -> bool:
        self.tries += 1
        said = self._script.popleft() if len(self._script) > 1 else self._script[0]
        if isinstance(said, StoreError):
            raise said
        return said == FREE

    async def lost(self) -> str:
        await self.losses.wait()
        self.losses = anyio.Event()
        return "a test broke it"

    async def release(self) -> None:
        """Nothing is held."""


class Door:
    """Whoever sends: remembers when it was shut and opened.

    Args:
        troubles: What comes of its attempts to catch up, before one succeeds.
    """

    def __init__(self, *troubles: StoreError) -> None:
        self.story: list[str] = []
        self.opened = anyio.Event()
        self._troubles = deque(troubles)

    def hold(self, reason: str) -> None:
        self.story.append(reason)

    async def catch_up(self) -> None:
        await anyio.sleep(0.1)
        if self._troubles:
            raise self._troubles.popleft()
        self.story.append("caught up")

    def let_go(self) -> None:
        self.story.append("open")
        self.opened.set()


def tenure(lock: ScriptedLock, takeover: float = 0.0) -> Tenure:
    """The tenure of a process with this lock."""
    return Tenure(lock, WebSettings(port=0), takeover=takeover, stopped=never)


async def never() -> str:
    """Nobody asks the process to stop."""
    await anyio.sleep_forever()
    return ""


@pytest.mark.parametrize(
    ("shared", "takeover", "seconds"), [(True, 90.0, 0), (False, 90.0, 90), (False, 0.0, 0)]
)
async def test_who_holds_idle(
    virtual: LoopClock, *, shared: bool, takeover: float, seconds: float
) -> None:
    """Only where no common lock tells, and only for as long as was said."""
    assert await tenure(ScriptedLock(FREE, shared=shared), takeover).begin()
    assert virtual.monotonic() == pytest.approx(seconds, abs=0.01)


async def test_who_has_seen_the_other_go_does_not_hold_idle(virtual: LoopClock) -> None:
    """A lock that was another's and came free has told all there is to tell."""
    lock = ScriptedLock(TAKEN, TAKEN, FREE, shared=False)
    assert await tenure(lock, 90.0).begin()
    assert (lock.tries, virtual.monotonic() < 2) == (3, True)


async def test_a_lock_that_is_had_back(virtual: LoopClock) -> None:
    """While it is lost nothing is sent, however long the store is away; then it goes on."""
    lock, door = ScriptedLock(AWAY, AWAY, FREE), Door()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tenure(lock).keep, door)
        await anyio.wait_all_tasks_blocked()
        lock.losses.set()
        await anyio.sleep(0.9)
        assert door.story == ["the lock of the key's owner was lost: a test broke it"]
        await anyio.sleep(0.3)
        assert door.story[1:] == ["caught up", "open"]
        tasks.cancel_scope.cancel()


async def test_nothing_is_sent_before_it_is_known_what_was(virtual: LoopClock) -> None:
    """While the ledger cannot be read it stays shut, however well the lock is held."""
    lock, door = ScriptedLock(FREE), Door(AWAY, AWAY)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tenure(lock).keep, door)
        await anyio.wait_all_tasks_blocked()
        lock.losses.set()
        await anyio.sleep(1.25)
        assert len(door.story) == 1
        await anyio.sleep(0.1)
        assert door.story[1:] == ["caught up", "open"]
        tasks.cancel_scope.cancel()


async def test_a_lock_that_is_lost_again_at_once(virtual: LoopClock) -> None:
    """Lost while it catches up it stays shut, until it has it and has caught up."""
    lock, door = ScriptedLock(FREE), Door()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tenure(lock).keep, door)
        await anyio.wait_all_tasks_blocked()
        lock.losses.set()
        await anyio.sleep(0.05)
        lock.losses.set()
        await anyio.sleep(0.5)
        assert door.story[0] == door.story[1]
        assert (lock.tries, door.story[2:]) == (2, ["caught up", "open"])
        tasks.cancel_scope.cancel()


async def test_a_lock_whose_file_is_removed(tmp_path: Path) -> None:
    """It is had back at once with a new file, and nothing was sent meanwhile."""
    file = tmp_path / "data" / "owner.sqlite"
    lock, door = SqliteOwnership(file, look=0.001), Door()
    owner = Tenure(lock, WebSettings(port=0), takeover=0.0, stopped=never)
    assert await owner.begin()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(owner.keep, door)
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(shutil.rmtree, file.parent)
        await door.opened.wait()
        tasks.cancel_scope.cancel()
    why, *rest = door.story
    assert why == f"the lock of the key's owner was lost: its file {file} was removed or replaced"
    assert rest == ["caught up", "open"]
    assert lock.alone()
    await owner.end()


@pytest.mark.usefixtures("virtual")
async def test_a_lock_that_another_took() -> None:
    """It ends, and the door stays shut."""
    lock, door = ScriptedLock(AWAY, TAKEN), Door()
    lock.losses.set()
    await tenure(lock).keep(door)
    assert len(door.story) == 1
