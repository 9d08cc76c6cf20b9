"""Real processes: the supervisor and the simulator, started and ended by a test."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.forks import Fork, Order, can_fork, fork, run
from tests.waiting import seen

ROOT = Path(__file__).parents[2]
KEY = "xai-test-not-a-real-key"
T = TypeVar("T")
_PORT = re.compile(r"port\W+(\d+)")
_URL = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class Process:
    """A process that has said where it listens.

    Attributes:
        popen: The process.
        base: `http://127.0.0.1:PORT`.
        log: The file that its stderr goes to.
    """

    popen: subprocess.Popen[bytes] | Fork
    base: str
    log: Path

    def get(self, path: str) -> Any:
        """The JSON document at a path."""
        with urllib.request.urlopen(f"{self.base}{path}", timeout=20) as response:
            return json.load(response)

    def post(self, path: str, document: object, **headers: str) -> Any:
        """What a path answers to a JSON document."""
        body = json.dumps(document).encode()
        headers = {"content-type": "application/json", **headers}
        request = urllib.request.Request(f"{self.base}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def wait_for(self, mark: str, *, times: int = 1) -> str:
        """The last line of its log that has this in it, once there are so many."""
        return self.wait_until(
            lambda: lines[-1] if len(lines := self.lines(mark)) >= times else "",
            f"{times} times {mark!r} in its log",
        )

    def lines(self, mark: str) -> list[str]:
        """The lines of its log that have this in them."""
        return [line for line in self.log.read_text().splitlines() if mark in line]

    def wait_until(self, found: Callable[[], T], awaited: str) -> T:
        """What a look at it gives, once that is something; see `tests.waiting.seen`.

        Raises:
            AssertionError: It has ended before that, or it did not come.
        """
        return seen(found, awaited, pause=lambda: self.wait_a_moment(awaited))

    def wait_a_moment(self, awaited: str) -> None:
        """Let it work.

        Args:
            awaited: What for, in words.

        Raises:
            AssertionError: It has ended.
        """
        with suppress(subprocess.TimeoutExpired):
            code = self.popen.wait(0.02)
            raise AssertionError(f"it ended with {code} before {awaited}: {self.log.read_text()}")

    def stop(self) -> int:
        """Send SIGTERM and wait for the end."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(30)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.popen.kill()
        self.popen.wait(30)


@contextmanager
def started(
    arguments: Sequence[str],
    folder: Path,
    *,
    name: str,
    ready: str = "",
    key: str = KEY,
    program: bool = False,
) -> Generator[Process]:
    """Run `python -m supervisor ARGUMENTS` until it says its URL; it ends with the block.

    Args:
        arguments: The command.
        folder: Where it runs.
        name: What its log is called.
        ready: What the log says when it listens, with a `port`; empty for the usual line.
        key: The key in its environment; empty for none.
        program: Whether it has to be a program of its own, with a start of its own.
    """
    log = folder / f"{name}.log"
    # A sitecustomize.py in the folder can make the process's world a worse one.
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = inherited(key) | {"PYTHONPATH": path}
    # Forks do not run it.
    program = program or not can_fork() or (folder / "sitecustomize.py").exists()
    with log.open("ab") as sink:
        start = log.stat().st_size
        popen = (_begin if program else _fork)(arguments, folder, environment, sink.fileno())
    try:
        yield Process(popen, _url(popen, log, start, ready), log)
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait(30)
        assert popen.stdout is not None
        popen.stdout.close()


def _begin(
    arguments: Sequence[str], folder: Path, environment: dict[str, str], stderr: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "supervisor", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def _fork(arguments: Sequence[str], folder: Path, environment: dict[str, str], stderr: int) -> Fork:
    return fork(Order("supervisor", arguments, str(folder), environment), stderr=stderr)


def ran(
    *words: str, folder: Path, key: str = KEY, text: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m supervisor WORDS` to its end.

    Args:
        words: The command.
        folder: Where it runs.
        key: The key in its environment; empty for none.
        text: What it reads.
        environment: Further variables.
    """
    return run(Order("supervisor", words, str(folder), inherited(key) | environment), text=text)


def inherited(key: str = KEY) -> dict[str, str]:
    """The environment of a process: ours, with this key and no other, or with none."""
    environment = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
    environment |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return environment | ({"XAI_API_KEY": key} if key else {})


def _url(popen: subprocess.Popen[bytes] | Fork, log: Path, start: int, ready: str) -> str:
    while True:
        text = log.read_bytes()[start:].decode(errors="replace")
        whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        for line in whole:
            if ready and ready in line and (port := _PORT.search(line)):
                return f"http://127.0.0.1:{port[1]}"
            if (line.startswith(("ready:", "http"))) and (found := _URL.search(line)):
                return found[0]
        try:
            code = popen.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"it ended with {code} before it was ready:\n{text}")


@contextmanager
def simulator(folder: Path, *arguments: str, port: int = 0) -> Generator[Process]:
    """The simulated API as a process of its own."""
    with started(
        ["simulate", "--port", str(port), *arguments], folder, name="simulator"
    ) as process:
        yield process


@contextmanager
def supervisor(
    folder: Path,
    *settings: str,
    simulate: bool = False,
    key: str = KEY,
    program: bool = False,
) -> Generator[Process]:
    """The supervisor, on a free port, with its data in `folder`; see `started`."""
    arguments = ["run", "--set", "web.port=0"]
    if simulate:
        arguments.append("--simulate")
    for setting in settings:
        arguments += ["--set", setting]
    with started(arguments, folder, name="supervisor", key=key, program=program) as process:
        yield process
