"""Starts the programs that a benchmark measures, each a process of its own on a loopback socket.

They run in a temporary folder, with an environment that holds nothing of the caller's but what a
program needs to start: no key, no setting, no `.env`.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
KEY = "xai-test-not-a-real-key"
UNBOUNDED = """
[upstream]
base_url = "{upstream}/v1"

[quota]
limits = ["1000000 requests / second"]

[web]
port = 0

[log]
level = "warning"
"""
"""Settings of a supervisor that waits for no quota; `{upstream}` is where its API is."""

_NEEDED = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT")
_PR_SET_PDEATHSIG = 1
_LOOK = 0.002
"""Seconds between two looks at whether a program is ready; ready times are this exact."""
_PATIENCE = 60.0
_BUSY = 0.5
"""Load average from which others' work spoils the figures."""
_FAREWELL = 25.0
"""Seconds for a program to end; ours drains for up to 20."""


class DidNotStart(Exception):
    """A program ended or fell silent before it was ready; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Running:
    """A program that is ready.

    Attributes:
        name: What it is.
        url: Its base URL, as it told.
        pid: Its process.
        log: What it wrote to stderr.
        seconds: From its start until it said that it is ready.
    """

    name: str
    url: str
    pid: int
    log: Path
    seconds: float


def python_environment() -> dict[str, str]:
    """The environment for this project's own programs."""
    kept = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


@contextmanager
def started(
    name: str,
    command: Sequence[str],
    *,
    ready: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Generator[Running]:
    """A program for as long as the block lasts.

    Args:
        name: What to call it.
        command: Its words.
        ready: Regular expression on its stderr that says it is ready; its first group, if it has
            one, is the base URL.
        folder: Its working folder.
        environment: Its whole environment; that of this project's programs when None.

    Raises:
        DidNotStart: It is not ready after a minute, or ended.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as errors, (folder / f"{name}.out").open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=python_environment() if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            preexec_fn=_end_with_parent if sys.platform.startswith("linux") else None,
        )
    try:
        url = _until_ready(process, re.compile(ready, re.MULTILINE), name=name, log=log)
        yield Running(name, url, process.pid, log, time.perf_counter() - began)
    finally:
        _end(process)


def _end_with_parent() -> None:
    """Nothing that was started here outlives us, not even a kill."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _until_ready(
    process: subprocess.Popen[bytes], ready: re.Pattern[str], *, name: str, log: Path
) -> str:
    deadline = time.perf_counter() + _PATIENCE
    while time.perf_counter() < deadline:
        match = ready.search(log.read_text(errors="replace"))
        if match is not None:
            return match[1] if ready.groups else ""
        if process.poll() is not None:
            break
        time.sleep(_LOOK)
    words = log.read_text(errors="replace")[-2000:].strip()
    state = "did not get ready" if process.poll() is None else f"ended with {process.returncode}"
    raise DidNotStart(f"{name} {state}; its last words:\n{words}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_FAREWELL)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def simulator(folder: Path, **settings: Any) -> Generator[Running]:
    """The simulated API as its own program.

    Args:
        folder: Where it runs.
        settings: Of `supervisor.simulator.settings.Settings`.
    """
    options = [f"--option={name}={json.dumps(value)}" for name, value in settings.items()]
    command = [sys.executable, "-m", "supervisor", "simulate", "--port=0", *options]
    with started("simulator", command, ready=r"^(http://\S+)/v1$", folder=folder) as running:
        yield running


@contextmanager
def supervisor(
    folder: Path, config: str, *, words: Sequence[str] = (), module: str = "supervisor"
) -> Generator[Running]:
    """The supervisor as its own program, with a key that is none.

    Args:
        folder: Where it runs and keeps its data.
        config: Its config.toml; the port is free and the roles directory empty unless it says.
        words: More words for `run`.
        module: What is run instead, with the same words.
    """
    (folder / "config.toml").write_text(config)
    (folder / "roles").mkdir(exist_ok=True)
    command = [sys.executable, "-m", module, "run", "--config=config.toml", *words]
    environment = {**python_environment(), "XAI_API_KEY": KEY}
    with started(
        "supervisor",
        command,
        ready=r"^ready: (http://[\w.:]+)",
        folder=folder,
        environment=environment,
    ) as running:
        yield running


def free_port() -> int:
    """A TCP port that nobody listens on, for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(url: str) -> tuple[int, bytes]:
    """Fetch a document with nothing but the standard library.

    Returns:
        Its status and its body; status 0 when nobody answers.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5.0)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        return response.status, response.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def post(url: str) -> int:
    """Ask for something to be done.

    Returns:
        The status of the answer.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30.0)
    try:
        connection.request("POST", parts.path)
        return connection.getresponse().status
    finally:
        connection.close()


def until_answered(url: str, *, patience: float = _PATIENCE) -> None:
    """Wait until a URL answers with 200.

    Raises:
        DidNotStart: It does not within `patience` seconds.
    """
    deadline = time.perf_counter() + patience
    while time.perf_counter() < deadline:
        if get(url)[0] == 200:
            return
        time.sleep(0.05)
    raise DidNotStart(f"{url} did not answer with 200 within {patience:g} s")


def busy_seconds(pid: int) -> float:
    """Processor time that a process has used so far; NaN where the system does not say it.

    Unlike the time on the wall it hardly depends on what else the machine does.
    """
    file = Path(f"/proc/{pid}/stat")
    if not file.exists():
        return float("nan")
    # The name, in parentheses, may hold spaces.
    fields = file.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def warn_if_busy() -> None:
    """Say so when others are at work on this machine: their work is in every figure."""
    load = os.getloadavg()[0]
    if load > _BUSY:
        print(f"the machine is busy, load {load:.1f}: figures will look worse", file=sys.stderr)


def report(simulated: Running) -> dict[str, Any]:
    """What the simulator's judge says."""
    document: dict[str, Any] = json.loads(get(f"{simulated.url}/_simulator/report")[1])
    return document
