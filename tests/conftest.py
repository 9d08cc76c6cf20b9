"""What every test gets: one event loop, virtual time on request, and two watchmen.

The watchmen are the rules that a test forgets to check: our code never blocks the event loop, and
no task outlives the test that started it.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import socket
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

from supervisor.clock import LoopClock
from supervisor.testing import VirtualLoop
from tests.abandonable import Abandonable
from tests.delivery import AT_ONCE, queue_defaults
from tests.postgresql import database, empty, server

# What all tests import is never collected, so there is no need to look at it again and again.
gc.freeze()
gc.set_threshold(20_000, 20, 50)

# A shared machine is no place for deadlines; in CI every run tries the same examples.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

_LONG = 90.0
"""Seconds: a test that is allowed so many takes long."""
_PASSES = 20
"""Turns of the loop that a cancelled task gets to end in before it counts as left over."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with the longest tests: one begun last would keep everybody waiting.

    The others stay in their random order.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if _seconds_allowed(item) >= _LONG]
    rest = [item for item in items if _seconds_allowed(item) < _LONG]
    each = -(-len(rest) // workers)
    items[:] = [
        item
        for worker in range(workers)
        for part in (long[worker::workers], rest[worker * each : (worker + 1) * each])
        for item in part
    ]


def _seconds_allowed(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark and mark.args else 0.0


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    # Not in pytest's own folder: run by root, the server is another user's, and every pytest that
    # starts on this machine closes that folder to others, under the feet of a running server.
    with (
        TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as folder,
        server(Path(folder, "data")) as url,
    ):
        yield url


@pytest.fixture(scope="session")
def _common_database(postgresql: str) -> Iterator[str]:
    with database(postgresql) as url:
        yield url


@pytest.fixture
def postgresql_database(_common_database: str) -> Iterator[str]:
    """The URL of a PostgreSQL database without rows; its tables may be there from another test."""
    yield _common_database
    empty(_common_database)


@pytest.fixture
def delivered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that were interrupted go on at once after a start, and not after a second."""
    for name, value in AT_ONCE.items():
        monkeypatch.setitem(queue_defaults(), name, value)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """asyncio; in virtual time for a test that takes the `virtual` fixture.

    A module whose async fixtures live longer than a test defines its own, with a wider scope.
    """
    options = {"loop_factory": VirtualLoop} if "virtual" in request.fixturenames else {}
    return "asyncio", options


@pytest.fixture
def virtual() -> LoopClock:
    """Virtual time: sleeping costs nothing. The clock that goes with it."""
    return LoopClock()


@pytest.fixture
def free_port() -> Iterator[int]:
    """A TCP port on 127.0.0.1 that nobody listens on; prefer binding port 0 where possible.

    It is bound for as long as the test lasts, so that no other program takes it; who connects is
    refused. A server that reuses addresses, as all of ours and asyncio's do, can listen there.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture(scope="session", autouse=True)
def _loop_never_blocks() -> Iterator[None]:
    """Make a blocking call of `supervisor` on the event loop's thread an error.

    Once for all tests: it wraps a hundred functions, which takes a millisecond each time.
    """
    with blockbuster_ctx("supervisor") as watch:
        for name in ("execute", "executemany"):
            # Short, into the page cache, and measured each time: decision 9.
            function = watch.functions[f"sqlite3.Connection.{name}"]
            function.can_block_in("supervisor/ledger/sqlite.py", "_write_here")
        # The kernel's own file, once in a process: no disk.
        watch.functions["io.TextIOWrapper.read"].can_block_in("supervisor/clock.py", "_boot_of")
        # Some microseconds, now and then.
        watch.functions["os.stat"].can_block_in("supervisor/sqlite.py", {"are_there", "inode"})
        yield


def _started_tasks() -> set[asyncio.Task[Any]]:
    """All tasks but this one and the one by which anyio's test runner waits for it."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return {task for task in tasks if "TestRunner" not in repr(task.get_coro())}


@pytest.fixture
async def no_tasks_left() -> AsyncGenerator[None]:
    """Fail when a task outlives the test and its other fixtures."""
    before = _started_tasks()
    yield
    left = _started_tasks() - before
    for _ in range(_PASSES):
        if not left:
            return
        await asyncio.sleep(0)
        left = _started_tasks() - before
    names = sorted(f"{task.get_name()}: {task.get_coro()!r}" for task in left)
    for task in left:
        task.cancel()
    pytest.fail("left running: " + ", ".join(names))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Make async tests abandonable, and let a time-out say where the test waited."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return (yield)
    abandonable = Abandonable(test)
    pyfuncitem.obj = abandonable.run
    try:
        return (yield)
    except BaseException as error:
        if place := abandonable.waits_at():
            error.add_note(f"the test waited at {place}")
            abandonable.abandon()
        raise
    finally:
        pyfuncitem.obj = test


@pytest.fixture(autouse=True)
def _watch_tasks(request: pytest.FixtureRequest) -> None:
    """Ask for `no_tasks_left` in every async test; first in, so that it looks last."""
    function = getattr(request, "function", None)
    if inspect.iscoroutinefunction(function) and "anyio_backend" in request.fixturenames:
        request.getfixturevalue("no_tasks_left")
