"""Runs commands on this machine: scrubbed, bounded, and behind bubblewrap where there is one.

Commands come from a model, which read them in files that anybody may have written. None of them
sees the key: it is in no environment variable, and behind bubblewrap neither `.env` nor another
process's `/proc` entry can be read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process

from supervisor.clock import Clock, SystemClock
from supervisor.errors import ConfigError, JobFailed
from supervisor.workspace.words import Bounds, Ran, Sandbox

Level = Literal["auto", "bubblewrap", "plain"]

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")
"""Environment variables that a command gets; no other, for the key is among them."""
_BOUNDED = (
    "import os, resource, sys\n"
    "memory = int(sys.argv[1])\n"
    "resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))\n"
    "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n"
)
"""Sets limits and becomes the command. RLIMIT_DATA: of address space, node and Go reserve 10 GB."""
_HIDDEN_AT_HOME = (".ssh", ".gnupg", ".aws", ".config/gh", ".docker", ".kube", ".netrc", ".pgpass")
_HIDDEN = ("/etc/secrets", "/run/secrets")
_CHUNK = 65536
_LAST_WORDS = 2.0
"""Seconds for which the output of a command that has ended may still come."""


class LocalSandbox(Sandbox):
    """Runs commands on this machine.

    Args:
        level: `auto` takes bubblewrap where there is one; another is never weakened.
        network: Whether commands may reach other machines; `plain` cannot keep them from it.
        hidden: Files and folders that commands must not see, where the level can hide any.
        clock: Tells how long a command ran.

    Raises:
        ConfigError: There is no such level on this machine.
    """

    def __init__(
        self,
        level: Level = "auto",
        *,
        network: bool = False,
        hidden: Sequence[Path] = (),
        clock: Clock | None = None,
    ) -> None:
        self._bubblewrap = None if level == "plain" else _find_bubblewrap(level)
        self._network = network
        self._hidden = tuple(hidden)
        self._clock = clock or SystemClock()

    def __repr__(self) -> str:
        return f"<LocalSandbox {self.level}>"

    @property
    def level(self) -> str:
        """`bubblewrap` or `plain`."""
        return "plain" if self._bubblewrap is None else "bubblewrap"

    async def run(
        self,
        command: str | Sequence[str],
        *,
        folder: Path,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
        apart: bool = False,
        readable: Sequence[Path] = (),
    ) -> Ran:
        """Run a command to its end; see `Sandbox.run`."""
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        scratch = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        walls = await anyio.to_thread.run_sync(self._walls, (folder, scratch), readable)
        bounded = [sys.executable, "-I", "-S", "-c", _BOUNDED, str(bounds.memory)]
        try:
            process = await _started([*bounded, *walls, *words], folder, scratch, apart=apart)
            return await self._watched(process, bounds, apart=apart)
        finally:
            with anyio.CancelScope(shield=True):
                remove = partial(shutil.rmtree, scratch, ignore_errors=True)
                await anyio.to_thread.run_sync(remove)

    async def _watched(self, process: Process, bounds: Bounds, *, apart: bool) -> Ran:
        began = self._clock.monotonic()
        output, errors = _Kept(bounds.output), _Kept(bounds.output)
        timed_out = False
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_read, process.stdout, output)
                if apart:
                    tasks.start_soon(_read, process.stderr, errors)
                with anyio.move_on_after(bounds.seconds) as limit:
                    await process.wait()
                timed_out = limit.cancelled_caught
                # What it left running would keep its output open, and use the machine for ever.
                _kill(process)
                tasks.cancel_scope.deadline = anyio.current_time() + _LAST_WORDS
        finally:
            _kill(process)
            with anyio.CancelScope(shield=True):
                await process.aclose()
        return Ran(
            code=process.returncode if process.returncode is not None else -signal.SIGKILL,
            output=output.text(),
            errors=errors.text(),
            timed_out=timed_out,
            seconds=self._clock.monotonic() - began,
        )

    def _walls(self, writable: Sequence[Path], readable: Sequence[Path]) -> list[str]:
        """The words in front of a command that shut it in."""
        if self._bubblewrap is None:
            return []
        walls = [self._bubblewrap, "--die-with-parent", "--unshare-pid", "--unshare-ipc"]
        walls += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        walls += ["--tmpfs", tempfile.gettempdir()]
        walls += [] if self._network else ["--unshare-net"]
        for path in self._invisible():
            hide = ["--tmpfs"] if path.is_dir() else ["--ro-bind", os.devnull]
            walls += [*hide, str(path)]
        # Where all of this lies below the temporary folder, its Python is hidden with it.
        for path in (Path(sys.prefix), Path(sys.base_prefix), *readable):
            walls += ["--ro-bind", str(path.resolve()), str(path.resolve())]
        for path in writable:
            walls += ["--bind", str(path.resolve()), str(path.resolve())]
        return [*walls, "--chdir", str(writable[0].resolve()), "--"]

    def _invisible(self) -> list[Path]:
        """What is there and must not be seen."""
        home = Path.home()
        places = [*self._hidden, *map(Path, _HIDDEN), *(home / name for name in _HIDDEN_AT_HOME)]
        return [place.resolve() for place in places if place.exists()]


class _Kept:
    """The beginning and the end of what a command prints."""

    def __init__(self, most: int) -> None:
        self._half = max(most // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def add(self, data: bytes) -> None:
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[max(room, 0) :]
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self._left_out += excess

    def text(self) -> str:
        head, tail = (bytes(part).decode(errors="replace") for part in (self._head, self._tail))
        if self._left_out:
            return f"{head}\n[… {self._left_out} bytes left out …]\n{tail}"
        return bytes(self._head + self._tail).decode(errors="replace")


def _find_bubblewrap(level: Level) -> str | None:
    found = shutil.which("bwrap")
    if found is None and level == "bubblewrap":
        raise ConfigError(
            'expected bubblewrap on this machine for sandbox.level = "bubblewrap", found none',
            hint="install the package bubblewrap, or choose another level",
        )
    return found


def _environment(scratch: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Where nothing is activated, `python` is at least the one that runs this.
    path = os.pathsep.join((kept.get("PATH", os.defpath), str(Path(sys.executable).parent)))
    own = {"HOME": str(scratch), "TMPDIR": str(scratch), "TERM": "dumb", "NO_COLOR": "1"}
    own |= {"PATH": path, "GIT_TERMINAL_PROMPT": "0"}
    # A file that is edited twice within a second would still be run as it was in between.
    return {**kept, **own, "PYTHONDONTWRITEBYTECODE": "1"}


async def _started(words: Sequence[str], folder: Path, scratch: Path, *, apart: bool) -> Process:
    process: Process | None = None
    try:
        # Cancelled half-way, it would end the command and not what that has started by then.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                list(words),
                cwd=folder,
                env=_environment(scratch),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if apart else subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise JobFailed(f"cannot run a command in {folder}: {error}") from error
    assert process is not None, "nothing cuts a start short"
    return process


async def _read(stream: ByteReceiveStream | None, kept: _Kept) -> None:
    assert stream is not None
    try:
        while True:
            kept.add(await stream.receive(_CHUNK))
    except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
        return


def _kill(process: Process) -> None:
    """End a command and all that it has started and that has not left its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
