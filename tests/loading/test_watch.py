"""Watching a directory: names of what really changed, by events, by polling, or by sweeps."""

from __future__ import annotations

import shutil
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from itertools import count
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import anyio
import anyio.to_thread
import pytest
from structlog.testing import capture_logs

from supervisor.errors import ConfigError
from supervisor.loading.inventory import load_all
from supervisor.loading.watch import Pace, watch
from tests.loading.plugins import GOOD, write
from tests.waiting import until_noticed

pytestmark = pytest.mark.anyio

PACE = Pace(quiet=10, debounce=200, sweep=60_000, poll=10)


class Events:
    """Stands in for `watchfiles.watch`: hands out hints when told to."""

    def __init__(self) -> None:
        """No hints yet."""
        self.hints: Queue[Callable[[], object]] = Queue()
        self.polling: list[bool | None] = []

    def __call__(
        self, *_: Path, stop_event: threading.Event, force_polling: bool | None, **__: Any
    ) -> Iterator[object]:
        self.polling.append(force_polling)
        while not stop_event.is_set():
            with suppress(Empty):
                yield self.hints.get(timeout=0.05)()

    def hint(self) -> None:
        """Give a hint to look."""
        self.hints.put(set[str])

    def fail(self, error: Exception) -> None:
        """Let the system refuse to go on."""

        def give() -> object:
            raise error

        self.hints.put(give)


async def digests(roles: Path) -> Mapping[str, str]:
    """What a first load would have found."""
    return (await anyio.to_thread.run_sync(load_all, roles)).digests


async def next_of(changes: AsyncGenerator[frozenset[str]]) -> set[str]:
    """The next change; our caller has made it already."""
    with anyio.fail_after(10):
        return set(await anext(changes))


async def test_changes_are_told_by_name(roles: Path) -> None:
    """What was changed, added and removed since the last look is told once, together."""
    write(roles, "alpha.py", GOOD)
    gone = write(roles, "beta.py", GOOD)
    write(roles, "gamma/__init__.py", GOOD)
    write(roles, "same.py", GOOD)
    events = Events()
    known = await digests(roles)
    async with aclosing(watch(roles, known=known, events=events)) as changes:
        write(roles, "alpha.py", GOOD + "# more\n")
        gone.unlink()
        write(roles, "gamma/prompt.txt", "be kind")
        write(roles, "delta.py", GOOD)
        (roles / "same.py").touch()
        assert await next_of(changes) == {"alpha", "beta", "gamma", "delta"}
        events.hint()
        events.hint()
        write(roles, "same.py", "")
        assert await next_of(changes) == {"same"}


async def test_a_hint_without_a_change_is_not_told(roles: Path) -> None:
    """Only a digest counts: touched, or written again as it was, a plugin has not changed."""
    path = write(roles, "alpha.py", GOOD)
    events = Events()
    for _ in range(3):
        events.hint()
    events.hints.put(lambda: path.write_text("changed"))
    events.hint()
    async with aclosing(watch(roles, events=events)) as changes:
        assert await next_of(changes) == {"alpha"}


async def test_mending_the_mode_counts_as_a_change(roles: Path) -> None:
    """A plugin refused as world-writable is tried again after chmod, its text being the same."""
    path = write(roles, "alpha.py", GOOD)
    path.chmod(0o666)
    events = Events()
    async with aclosing(watch(roles, known=await digests(roles), events=events)) as changes:
        path.chmod(0o644)
        assert await next_of(changes) == {"alpha"}


async def test_it_falls_back_to_polling(roles: Path) -> None:
    """Where the system refuses to send events, that is logged and the watching goes on."""
    path = write(roles, "alpha.py", GOOD)
    events = Events()
    events.fail(OSError(28, "inotify watch limit reached"))
    events.hints.put(lambda: path.write_text("changed"))
    with capture_logs() as logs:
        async with aclosing(watch(roles, events=events)) as changes:
            assert await next_of(changes) == {"alpha"}
    assert events.polling == [None, True]
    assert [(log["event"], log["reason"]) for log in logs] == [
        ("loading.watch_polling", "[Errno 28] inotify watch limit reached")
    ]


async def test_a_directory_that_vanishes_for_a_moment_changes_nothing(roles: Path) -> None:
    """While the directory is away nothing is told; when it is back, what differs is."""
    write(roles, "alpha.py", GOOD)
    events = Events()
    pace = Pace(sweep=1)
    away = roles.with_name("away")

    def come_back() -> object:
        """Put the directory back, with one role more."""
        shutil.move(away, roles)
        return write(roles, "beta.py", GOOD)

    events.hints.put(lambda: shutil.move(roles, away))
    events.fail(FileNotFoundError("gone"))
    events.fail(FileNotFoundError("still gone"))
    events.hints.put(come_back)
    with capture_logs() as logs:
        async with aclosing(watch(roles, pace=pace, events=events)) as changes:
            assert await next_of(changes) == {"beta"}
    assert events.polling == [None, True, True]
    assert {log["event"] for log in logs} == {
        "loading.watch_polling",
        "loading.directory_unreadable",
    }


async def test_it_ends_when_the_events_end(roles: Path) -> None:
    """When there will be no more events there will be no more changes."""
    assert [names async for names in watch(roles, events=lambda *_, **__: iter(()))] == []


async def test_a_missing_directory_is_a_config_error(tmp_path: Path) -> None:
    """A directory that is not there at the first look is the operator's to mend."""
    with pytest.raises(ConfigError, match=r"roles\.directory"):
        await anext(watch(tmp_path / "none"))


@pytest.mark.slow
@pytest.mark.parametrize("polling", ["false", "true"])
async def test_real_events_arrive(
    roles: Path, monkeypatch: pytest.MonkeyPatch, polling: str
) -> None:
    """A real edit is told, by inotify or by polling, until the watching is cancelled."""
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", polling)
    write(roles, "alpha.py", GOOD)
    told: list[frozenset[str]] = []
    edits = count()

    async def consume() -> None:
        """Note what is told."""
        async with aclosing(watch(roles, pace=PACE)) as changes:
            async for names in changes:
                told.append(names)

    async with anyio.create_task_group() as group:
        group.start_soon(consume)
        await until_noticed(
            lambda: write(roles, "beta/__init__.py", f"edit = {next(edits)}\n"), lambda: told
        )
        group.cancel_scope.cancel()
    assert set(told) == {frozenset({"beta"})}
