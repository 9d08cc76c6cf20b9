"""Processes that begin with everything imported: forks of one that waits for orders.

`python -m supervisor run` spends more than half of its start on imports, and the tests start more
than a hundred processes. So each pytest process keeps one Python that has imported all of it and
forks whenever a test wants one. A fork is a process as any other: its own pid, memory, files and
signals, and it ends as an interpreter does. What it lacks is what only a new program has: its
arguments and environment in `/proc`, and `sitecustomize`. Whoever tests these, or that the imports
are right, starts `python -m` itself.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).parents[1]
_IMPORTED = (
    *("supervisor.app", "supervisor.cli.program", "supervisor.cli.run", "supervisor.cli.simulate"),
    *("supervisor.simulator.server", "dbos", "sqlalchemy.dialects.sqlite", "uvloop"),
)
"""What the commands of most tests import; anything else a fork imports by itself."""
_STREAMS = 3
_TOLD = struct.Struct("i")
"""How a pid and an exit code are told."""
_starting = threading.Lock()


@dataclass(frozen=True, slots=True)
class Order:
    """What to run.

    Attributes:
        module: As in `python -m MODULE`.
        arguments: Its arguments.
        folder: Where it runs.
        environment: All of its environment.
    """

    module: str
    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]


class Fork:
    """A process that was forked, with the methods of `subprocess.Popen` that tests use.

    Args:
        report: Where its pid, and its exit code in the end, are told.
        stdout: The reading end of what it prints, where there is one.

    Attributes:
        pid: Its number.
        returncode: Its exit code, negative for a signal, once it was waited for.
        stdout: What it prints, where that can be read.
    """

    def __init__(self, report: socket.socket, stdout: IO[bytes] | None) -> None:
        self._report = report
        self._lock = threading.Lock()
        self.stdout = stdout
        self.returncode: int | None = None
        self.pid = self._told()

    def poll(self) -> int | None:
        """Its exit code if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Its exit code.

        Raises:
            subprocess.TimeoutExpired: It has not ended.
        """
        with self._lock:
            if self.returncode is None:
                self._report.settimeout(timeout)
                try:
                    self.returncode = self._told()
                except (BlockingIOError, TimeoutError):
                    raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0) from None
                self._report.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            # It may end in this very moment; a real parent's child would be a zombie then.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def _told(self) -> int:
        told = self._report.recv(_TOLD.size)
        if not told:
            raise AssertionError("what forks has ended; see the stderr of the tests")
        number: int = _TOLD.unpack(told)[0]
        return number


def can_fork() -> bool:
    """Whether this system can, and nobody measures coverage, which begins with a program."""
    return hasattr(os, "fork") and "COVERAGE_PROCESS_CONFIG" not in os.environ


def fork(order: Order, *, stderr: int, stdout: int | None = None) -> Fork:
    """Run a module as `python -m` does, without the imports' time; its stdin is empty.

    Args:
        order: What to run.
        stderr: The open file that its stderr goes to.
        stdout: That for its stdout; a pipe when None.
    """
    with open(os.devnull, "rb") as nothing:
        if stdout is not None:
            return _order(order, (nothing.fileno(), stdout, stderr))
        reads, writes = os.pipe()
        with os.fdopen(writes, "wb") as output:
            streams = nothing.fileno(), output.fileno(), stderr
            return _order(order, streams, stdout=os.fdopen(reads, "rb"))


def run(order: Order, *, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a module to its end; a program where there are no forks.

    Args:
        order: What to run.
        text: What it reads from stdin.
    """
    words = [sys.executable, "-m", order.module, *order.arguments]
    with TemporaryFile() as given, TemporaryFile() as output, TemporaryFile() as errors:
        given.write(text.encode())
        given.seek(0)
        streams = given.fileno(), output.fileno(), errors.fileno()
        if can_fork():
            code = _order(order, streams).wait()
        else:
            code = subprocess.call(
                words,
                cwd=order.folder,
                env=order.environment,
                stdin=given,
                stdout=output,
                stderr=errors,
            )
        texts = [file.read().decode() for file in (output, errors) if file.seek(0) == 0]
    return subprocess.CompletedProcess(words, code, *texts)


def _order(order: Order, streams: Sequence[int], *, stdout: IO[bytes] | None = None) -> Fork:
    ours, theirs = socket.socketpair()
    with _starting:
        forks = _forks()
    with theirs:
        socket.send_fds(forks, [b"!"], [theirs.fileno(), *streams])
    ours.sendall(json.dumps(asdict(order)).encode() + b"\n")
    return Fork(ours, stdout)


@cache
def _forks() -> socket.socket:
    """What takes orders, started with the first one; it ends with this process."""
    ours, theirs = socket.socketpair()
    environment = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forks"],
            cwd=ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        process.wait(10)

    atexit.register(end)
    return ours


# -- the other side -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Child:
    """A fork that runs: its pid, the pipe that closes when it ends, and whom to tell."""

    pid: int
    life: int
    report: socket.socket


def _take_orders() -> Order | None:
    """Fork for every order.

    Returns:
        In a fork the order to carry out, with its streams in place; None when all is over.
    """
    children: dict[int, _Child] = {}
    # Not the usual selector: the system's own would be common to all forks.
    with socket.socket(fileno=os.dup(0)) as orders, selectors.SelectSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not orders:
                    _bury(children.pop(key.fd))
                    selector.unregister(key.fd)
                    continue
                word, files, _, _ = socket.recv_fds(orders, 1, 1 + _STREAMS)
                if not word:
                    return None
                report, *streams = files
                made = _fork(socket.socket(fileno=report), streams)
                if isinstance(made, Order):
                    for child in children.values():
                        os.close(child.life)
                        child.report.close()
                    return made
                children[made.life] = made
                selector.register(made.life, selectors.EVENT_READ)


def _fork(report: socket.socket, streams: Sequence[int]) -> _Child | Order:
    with report.makefile("rb") as lines:
        order = Order(**json.loads(lines.readline()))
    life, alive = os.pipe()
    pid = os.fork()
    if pid:
        for fd in (alive, *streams):
            os.close(fd)
        report.sendall(_TOLD.pack(pid))
        return _Child(pid, life, report)
    # `alive` stays open: the system closes it when this process ends, however it does.
    os.close(life)
    report.close()
    for place, fd in enumerate(streams):
        os.dup2(fd, place)
        os.close(fd)
    return order


def _bury(child: _Child) -> None:
    """Tell how a fork ended. Its pipe is closed, so this waits for a moment at most."""
    _, status = os.waitpid(child.pid, 0)
    os.close(child.life)
    # Who started it may have no interest any more.
    with child.report, suppress(OSError):
        child.report.sendall(_TOLD.pack(os.waitstatus_to_exitcode(status)))


def _carry_out(order: Order) -> None:
    """Become what `python -m` would be, and end as it does."""
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    rest = [place for place in sys.path if place != str(ROOT)]
    found = order.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [order.folder, *found, *rest]
    sys.argv[1:] = order.arguments
    runpy.run_module(order.module, run_name="__main__", alter_sys=True)


def _main() -> None:
    for module in _IMPORTED:
        importlib.import_module(module)
    assert threading.active_count() == 1, "a fork has no other threads"
    # What is here by now is never collected, so no fork has to look at it.
    gc.collect()
    gc.freeze()
    order = _take_orders()
    if order is not None:
        _carry_out(order)


if __name__ == "__main__":
    _main()
