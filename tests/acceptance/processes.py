"""Real processes: the supervisor and the simulator, started and ended by a test."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEY = "xai-test-not-a-real-key"
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

    popen: subprocess.Popen[bytes]
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

    def wait_for(self, mark: str) -> str:
        """The last line of its log that has this in it, once there is one."""
        while True:
            lines = [line for line in self.log.read_text().splitlines() if mark in line]
            if lines:
                return lines[-1]
            with suppress(subprocess.TimeoutExpired):
                code = self.popen.wait(0.02)
                raise AssertionError(
                    f"it ended with {code} before {mark!r}: {self.log.read_text()}"
                )

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
    arguments: Sequence[str], folder: Path, *, name: str, ready: str = "", key: str = KEY
) -> Generator[Process]:
    """Run `python -m supervisor ARGUMENTS` until it says its URL; it ends with the block.

    Args:
        arguments: The command.
        folder: Where it runs.
        name: What its log is called.
        ready: What the log says when it listens, with a `port`; empty for the usual line.
        key: The key in its environment; empty for none.
    """
    log = folder / f"{name}.log"
    environment = {key: value for key, value in os.environ.items() if "API_KEY" not in key}
    environment |= {"XAI_API_KEY": key} if key else {}
    # A sitecustomize.py in the folder can make the process's world a worse one.
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment |= {"PYTHONPATH": path, "NO_COLOR": "1"}
    with log.open("ab") as sink:
        start = log.stat().st_size
        popen = subprocess.Popen(
            [sys.executable, "-m", "supervisor", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,
        )
    try:
        yield Process(popen, _url(popen, log, start, ready), log)
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait(30)
        assert popen.stdout is not None
        popen.stdout.close()


def _url(popen: subprocess.Popen[bytes], log: Path, start: int, ready: str) -> str:
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
    folder: Path, *settings: str, simulate: bool = False, key: str = KEY
) -> Generator[Process]:
    """The supervisor, on a free port, with its data in `folder`."""
    arguments = ["run", "--set", "web.port=0"]
    if simulate:
        arguments.append("--simulate")
    for setting in settings:
        arguments += ["--set", setting]
    with started(arguments, folder, name="supervisor", key=key) as process:
        yield process
