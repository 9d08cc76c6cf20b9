"""Commands run away from the key, and within their bounds."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from anyio.lowlevel import checkpoint

from supervisor.errors import ConfigError, JobFailed
from supervisor.workspace.sandbox import LocalSandbox
from supervisor.workspace.words import Bounds

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LEVELS = ["plain", *(["bubblewrap"] if shutil.which("bwrap") else [])]
KEY = "xai-test-not-a-real-key-in-the-environment"


@pytest.fixture(params=LEVELS)
def sandbox(request: pytest.FixtureRequest) -> LocalSandbox:
    """A sandbox of every level that this machine has."""
    return LocalSandbox(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where commands run."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


async def test_no_key_is_in_the_environment(
    sandbox: LocalSandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the supervisor's own environment holds, a command sees none of it."""
    monkeypatch.setenv("XAI_API_KEY", KEY)
    monkeypatch.setenv("SUPERVISOR_TOKEN", KEY)
    ran = await sandbox.run("env; cat /proc/self/environ", folder=folder)
    assert "PATH=" in ran.output
    assert KEY not in ran.output


@pytest.fixture
def walled(tmp_path: Path) -> LocalSandbox:
    """Bubblewrap, with a file to hide."""
    (tmp_path / ".env").write_text(KEY)
    return LocalSandbox("bubblewrap", hidden=(tmp_path / ".env",))


@pytest.mark.skipif("bubblewrap" not in LEVELS, reason="no bubblewrap on this machine")
async def test_walls(walled: LocalSandbox, folder: Path) -> None:
    """Behind bubblewrap other processes, hidden files and the rest of the disk are out of reach."""
    secret = folder.parent / ".env"
    beside = Path(__file__).parent / "written-from-inside"
    ran = await walled.run(
        f"cat {secret}; cat /proc/{os.getpid()}/environ; touch {beside}; touch here", folder=folder
    )
    assert KEY not in ran.output
    assert "No such file" in ran.output  # another process
    # Read-only, or hidden with the whole temporary folder, where this checkout lies in it.
    assert "Read-only" in ran.output or "touch: cannot touch" in ran.output
    assert not beside.exists()
    assert (folder / "here").exists()


async def test_output_and_errors(sandbox: LocalSandbox, folder: Path) -> None:
    """Both streams come in one text, or apart when asked for so; the exit code is told."""
    ran = await sandbox.run("echo one; echo two >&2; exit 3", folder=folder)
    assert (ran.code, ran.output) == (3, "one\ntwo\n")
    ran = await sandbox.run("echo one; echo two >&2", folder=folder, apart=True)
    assert (ran.code, ran.output, ran.errors) == (0, "one\n", "two\n")
    ran = await sandbox.run([sys.executable, "-c", "print('a b')"], folder=folder)
    assert ran.output == "a b\n"


async def test_time_is_bounded(sandbox: LocalSandbox, folder: Path) -> None:
    """A command whose time is up is ended, with all that it has started."""
    ran = await sandbox.run(
        "echo begun; sleep 60 & sleep 60", folder=folder, bounds=Bounds(seconds=0.5)
    )
    assert ran.timed_out
    assert ran.code != 0
    assert ran.output == "begun\n"
    assert ran.seconds < 10


async def test_what_is_left_running_ends(sandbox: LocalSandbox, folder: Path) -> None:
    """A command that leaves a process behind does not hold anybody up."""
    ran = await sandbox.run("sleep 60 & echo done", folder=folder)
    assert (ran.code, ran.output) == (0, "done\n")
    assert ran.seconds < 10


async def test_memory_is_bounded(sandbox: LocalSandbox, folder: Path) -> None:
    """A command that wants more memory than it may have does not get it."""
    hungry = [sys.executable, "-c", "x = bytearray(2**30); print('fed')"]
    ran = await sandbox.run(hungry, folder=folder, bounds=Bounds(memory=256 * 2**20))
    assert "MemoryError" in ran.output
    assert ran.code == 1


async def test_output_is_bounded(sandbox: LocalSandbox, folder: Path) -> None:
    """Of endless output the beginning and the end are kept."""
    ran = await sandbox.run(
        "echo first; seq 1 100000; echo last", folder=folder, bounds=Bounds(output=1000)
    )
    assert ran.output.startswith("first\n")
    assert ran.output.endswith("last\n")
    assert "bytes left out" in ran.output
    assert len(ran.output) < 1100


async def test_cancelling_ends_it(sandbox: LocalSandbox, folder: Path) -> None:
    """A cancelled command does not run on, nor does anything that it has started."""
    os.mkfifo(folder / "alive")
    pipe = os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
    try:
        async with anyio.create_task_group() as tasks:
            hold = "exec 9>alive; sleep 60 & echo begun >&9; sleep 60; echo late >&9"
            tasks.start_soon(partial(sandbox.run, hold, folder=folder))
            assert await _read(pipe) == b"begun\n"
            tasks.cancel_scope.cancel()
        # Whoever ran on would hold its end open.
        assert await _read(pipe) == b""
    finally:
        os.close(pipe)


async def test_cancelling_in_the_moment_of_the_start_ends_it(
    sandbox: LocalSandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs already, although nobody was told that it has started, does not run on."""
    os.mkfifo(folder / "alive")
    pipe = os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
    open_process = anyio.open_process

    async def open_and_cancel(*words: Any, **more: Any) -> Process:
        process = await open_process(*words, **more)
        with anyio.CancelScope(shield=True):
            assert await _read(pipe) == b"begun\n"
        tasks.cancel_scope.cancel()
        await checkpoint()
        return process

    monkeypatch.setattr(anyio, "open_process", open_and_cancel)
    try:
        async with anyio.create_task_group() as tasks:
            hold = "exec 9>alive; sleep 60 & echo begun >&9; sleep 60"
            tasks.start_soon(partial(sandbox.run, hold, folder=folder))
        assert await _read(pipe) == b""
    finally:
        os.close(pipe)


async def _read(pipe: int) -> bytes:
    """What somebody has written into a pipe; nothing when all have closed it."""
    with anyio.fail_after(10):
        while True:
            await anyio.wait_readable(pipe)
            with suppress(BlockingIOError):
                return os.read(pipe, 100)


async def test_what_cannot_start_is_told(folder: Path) -> None:
    """A folder that is none fails the job, not the role."""
    with pytest.raises(JobFailed, match="cannot run a command"):
        await LocalSandbox("plain").run("true", folder=folder / "missing")


def test_no_level_is_weakened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bubblewrap is asked for and missing, nothing runs at all."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="bubblewrap"):
        LocalSandbox("bubblewrap")
    assert LocalSandbox("auto").level == "plain"
