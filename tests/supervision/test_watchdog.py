"""The watchdog on a real loop, in real time: only there something can really block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from supervisor.errors import ConfigError
from supervisor.supervision.blocking import Blocked, Frame
from supervisor.supervision.watchdog import Watch, Watchdog

pytestmark = pytest.mark.anyio

THRESHOLD = 0.05

PLUGIN = """\
import re
import time

def nap(seconds):
    def inner():
        time.sleep(seconds)
    inner()

def backtrack(letters):
    re.match("(a+)+$", "a" * letters + "b")
"""


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, Callable[[Any], None]]:
    """The functions of a plugin file in tmp_path."""
    file = tmp_path / "sleepy.py"
    file.write_text(PLUGIN)
    names: dict[str, Callable[[Any], None]] = {}
    exec(compile(PLUGIN, str(file), "exec"), names)
    return names


class Reports:
    """Collects the blocks a culprit is named for; a loaded machine may add others."""

    def __init__(self) -> None:
        """Nothing reported yet."""
        self.seen: list[Blocked] = []
        self.came = anyio.Event()

    def __call__(self, blocked: Blocked) -> None:
        if blocked.culprit:
            self.seen.append(blocked)
            self.came.set()


async def nap_until(came: anyio.Event, nap: Callable[[Any], None]) -> None:
    """Block the loop until it is noticed: on a loaded machine the thread may miss a short nap."""
    while not came.is_set():
        nap(0.15)
        await anyio.lowlevel.checkpoint()


def stem(frames: Sequence[Frame]) -> str:
    """Blame the plugin for every stack that it is on."""
    return "".join({Path(f.file).stem for f in frames if Path(f.file).stem == "sleepy"})


@asynccontextmanager
async def watching(watch: Watch) -> AsyncGenerator[Watchdog]:
    """Watch for the length of a block; the thread must have ended afterwards."""
    watchdog = Watchdog(watch)
    async with anyio.create_task_group() as group:
        await group.start(watchdog.run)
        yield watchdog
        group.cancel_scope.cancel()
    assert "watchdog" not in {thread.name for thread in threading.enumerate()}


async def test_a_blocking_call_is_named(
    plugin: dict[str, Callable[[Any], None]], tmp_path: Path
) -> None:
    """A role that blocks the loop is reported once, with file, line, function and seconds."""
    reports = Reports()
    watch = Watch(threshold=THRESHOLD, folders=(tmp_path,), culprit=stem, on_blocked=reports)
    with capture_logs() as logs:
        async with watching(watch) as watchdog:
            await nap_until(reports.came, plugin["nap"])
    (blocked,) = reports.seen
    assert (blocked.file, blocked.line) == (str(tmp_path / "sleepy.py"), 6)
    assert (blocked.function, blocked.culprit) == ("inner", "sleepy")
    assert THRESHOLD <= blocked.seconds <= 5
    snapshot = watchdog.snapshot()
    assert snapshot.blocks >= 1
    assert snapshot.seconds >= blocked.seconds
    assert [(log["role"], log["line"]) for log in logs if log["role"]] == [("sleepy", 6)]


@pytest.mark.slow
async def test_a_held_interpreter_lock_is_named(
    plugin: dict[str, Callable[[Any], None]], tmp_path: Path
) -> None:
    """A runaway regular expression, which stops the watching thread too, is still reported."""
    reports = Reports()
    watch = Watch(threshold=THRESHOLD, folders=(tmp_path,), culprit=stem, on_blocked=reports)
    async with watching(watch):
        await nap_until(reports.came, lambda _: plugin["backtrack"](24))
    assert reports.seen[0].function == "backtrack"


async def test_a_loop_that_does_not_come_back_is_told_from_the_thread(
    plugin: dict[str, Callable[[Any], None]], tmp_path: Path
) -> None:
    """A block longer than `stuck` is told while it lasts, from the watching thread."""
    told: list[tuple[Blocked, str]] = []
    reports = Reports()
    watch = Watch(
        threshold=THRESHOLD,
        stuck=THRESHOLD,
        folders=(tmp_path,),
        culprit=stem,
        on_blocked=reports,
        on_stuck=lambda blocked: told.append((blocked, threading.current_thread().name)),
    )
    async with watching(watch):
        await nap_until(reports.came, plugin["nap"])
    assert [(b.culprit, thread) for b, thread in told] == [("sleepy", "watchdog")]


async def test_callbacks_that_fail_are_reported(
    plugin: dict[str, Callable[[Any], None]], tmp_path: Path
) -> None:
    """A callback that raises is logged, and the watching goes on."""
    done = anyio.Event()

    def blame(frames: Sequence[Frame]) -> str:
        """Fail to find a culprit."""
        raise KeyError("nobody")

    def explode(blocked: Blocked) -> None:
        """Fail to be told."""
        done.set()
        raise ValueError("no")

    with capture_logs() as logs:
        async with watching(Watch(threshold=THRESHOLD, culprit=blame, on_blocked=explode)):
            await nap_until(done, plugin["nap"])
    failed = [log for log in logs if log["event"] == "supervision.callback_failed"]
    assert {log["error"] for log in failed} == {"KeyError: 'nobody'", "ValueError: no"}


async def test_a_quiet_watchdog_ends_at_once() -> None:
    """Nothing is reported of a loop that is free, and the thread ends with the watchdog."""
    async with watching(Watch(threshold=30.0, stuck=60.0)) as watchdog:
        assert watchdog.snapshot().blocks == 0
        assert repr(watchdog) == "<Watchdog 0 blocks, 0.0 s>"


def test_impossible_thresholds_are_refused() -> None:
    """A threshold of nothing, or above `stuck`, is refused with its value."""
    with pytest.raises(ConfigError, match="got: 0 s"):
        Watch(threshold=0)
    with pytest.raises(ConfigError, match=r"at most stuck \(10 s\), got: 11 s"):
        Watch(threshold=11)


STOPPED = """\
import sys, time, anyio
from supervisor.supervision.watchdog import Watch, Watchdog

def long_ones(seen):
    return sum(blocked.seconds > 0.4 for blocked in seen)

async def main():
    seen = []
    async with anyio.create_task_group() as group:
        await group.start(Watchdog(Watch(threshold=0.1, on_blocked=seen.append)).run)
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        stopped = long_ones(seen)
        while long_ones(seen) == stopped:
            # On a loaded machine the thread may miss one.
            time.sleep(0.5)
            await anyio.sleep(0.1)
        print(stopped, flush=True)
        group.cancel_scope.cancel()

anyio.run(main)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
def test_a_stopped_process_is_not_called_blocked() -> None:
    """SIGSTOP for half a second is no block; a real block afterwards is."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        os.kill(process.pid, signal.SIGSTOP)
        # A stopped process can send no event: only real time makes it late.
        threading.Event().wait(0.5)
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        lines = process.stdout.read().splitlines()
    assert lines[-1] == "0"
