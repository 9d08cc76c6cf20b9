"""Kills the supervisor again and again in the middle of its jobs, and counts what it cost.

Three things are counted by three who do not know each other: questions that came by the simulated
API, answers on record by the store of jobs, ends by the log. A question that came and has no
answer on record was in flight at a kill.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.launch import (
    KEY,
    Running,
    free_port,
    python_environment,
    report,
    simulator,
    until_answered,
)

_ROLE = """
from supervisor import Context, Role


class Steps(Role[int, list[str]]):
    concurrency = {slots}

    async def handle(self, job: int, ctx: Context) -> list[str]:
        return [(await ctx.ask(f"job {{job}} step {{step}}")).text for step in range({asks})]
"""
_CONFIG = """
[upstream]
base_url = "{upstream}/v1"

[quota]
enabled = false

[web]
port = {port}

[log]
format = "json"
"""
_SETTLE = 0.05
"""Seconds after a kill until what was on the wire has arrived."""
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be endured.

    Attributes:
        jobs: How many jobs.
        asks: How many questions each has, one after the other.
        kills: How often the process is killed.
        slots: How many jobs run at once.
        latency: Seconds to an answer.
        unborn: Part of the kills that come before the process is ready.
        life: Most seconds from a process's being ready to its kill, for the other part.
        seed: Chance repeats itself.
    """

    jobs: int = 300
    asks: int = 5
    kills: int = 200
    slots: int = 5
    latency: float = 0.5
    unborn: float = 0.25
    life: float = 4.0
    seed: int = 7


@dataclass(slots=True)
class Toll:
    """What it came to.

    Attributes:
        kills: How often the process was killed.
        in_flight: Questions without an answer on record, at each kill.
        attempts: Questions that came.
        asked_again: Those among them that had been answered whole before.
        done: Jobs that are done with the right result.
        ends: How often each job has ended, by the log.
        answers: Answers on record, by job.
        runs: How often roles were set to work, over all jobs.
        seconds: How long it took.
    """

    kills: int = 0
    in_flight: list[int] = field(default_factory=list[int])
    attempts: int = 0
    asked_again: int = 0
    done: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    answers: Counter[str] = field(default_factory=Counter[str])
    runs: int = 0
    seconds: float = 0.0


class Killable(Protocol):
    """A process, as far as it is needed to kill it."""

    def kill(self) -> None:
        """Send SIGKILL."""
        ...

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        ...


Begin = Callable[[Sequence[str], Path, int], Killable]
"""Starts `python -m supervisor` with some words, in a folder, with an open file as its stderr."""


def begin_program(words: Sequence[str], folder: Path, errors: int) -> Killable:
    """Start it as a program of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "supervisor", *words],
        cwd=folder,
        env=program_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )


def program_environment() -> dict[str, str]:
    """Its environment, with a key that is none."""
    return {**python_environment(), "XAI_API_KEY": KEY}


class _Victim:
    """The supervisor, started and killed at will.

    Args:
        folder: Where it runs.
        port: Where it listens.
        begin: What starts it.
    """

    def __init__(self, folder: Path, port: int, begin: Begin) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "supervisor.log"
        self._folder = folder
        self._begin = begin
        self._process: Killable | None = None

    def start(self) -> None:
        with self.log.open("ab") as errors:
            words = ["run", "--config=config.toml"]
            self._process = self._begin(words, self._folder, errors.fileno())

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def submit(self, number: int) -> bool:
        """Hand a job in; whether it was accepted."""
        document = {"role": "steps", "input": number, "key": f"job-{number}"}
        request = urllib.request.Request(
            f"{self.url}/api/jobs",
            json.dumps(document).encode(),
            {"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return bool(response.status == 202)
        except OSError:
            return False


def endure(plan: Plan, folder: Path, *, begin: Begin = begin_program) -> Toll:
    """Carry a plan out.

    Args:
        plan: What is to be endured.
        folder: An empty folder to work in.
        begin: What starts the supervisor.
    """
    (folder / "roles").mkdir()
    (folder / "roles" / "steps.py").write_text(_ROLE.format(slots=plan.slots, asks=plan.asks))
    (folder / "api").mkdir()
    with simulator(
        folder / "api", count_repeats=True, latency=f"{round(plan.latency * 1000)}ms"
    ) as api:
        port = free_port()
        (folder / "config.toml").write_text(_CONFIG.format(upstream=api.url, port=port))
        victim = _Victim(folder, port, begin)
        began = time.perf_counter()
        toll = Toll()
        missing = _kill_again_and_again(plan, victim, api=api, toll=toll)
        _hurry(api)
        victim.start()
        try:
            _hand_in(victim, missing, until=time.perf_counter() + _PATIENCE)
            _until_ended(folder, plan.jobs)
            toll.seconds = time.perf_counter() - began
        finally:
            victim.kill()
        _count(plan, folder, api=api, toll=toll)
    return toll


def _kill_again_and_again(plan: Plan, victim: _Victim, *, api: Running, toll: Toll) -> list[int]:
    """Gives the jobs that nobody has accepted yet."""
    chance = random.Random(plan.seed)
    missing = list(range(plan.jobs))
    start = _start_takes(victim)
    for _ in range(plan.kills):
        victim.start()
        if chance.random() < plan.unborn:
            end = time.perf_counter() + chance.uniform(0.02, start)
        else:
            until_answered(f"{victim.url}/readyz")
            end = time.perf_counter() + chance.uniform(0.0, plan.life)
        _hand_in(victim, missing, until=end)
        time.sleep(max(0.0, end - time.perf_counter()))
        victim.kill()
        toll.kills += 1
        time.sleep(_SETTLE)
        asked: int = report(api)["attempts"]
        lost = asked - answers_on_record(victim.log.parent).total() - sum(toll.in_flight)
        toll.in_flight.append(lost)
    return missing


def _start_takes(victim: _Victim) -> float:
    """Seconds to a ready process here and now."""
    began = time.perf_counter()
    victim.start()
    try:
        until_answered(f"{victim.url}/readyz")
        return time.perf_counter() - began
    finally:
        victim.kill()


def _hurry(api: Running) -> None:
    """Let the API answer at once: what is left when all kills are over is no measurement."""
    request = urllib.request.Request(
        f"{api.url}/_simulator/settings",
        json.dumps({"latency": "0s"}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5):
        pass


def _hand_in(victim: _Victim, missing: list[int], *, until: float) -> None:
    while missing and time.perf_counter() < until:
        if victim.submit(missing[0]):
            missing.pop(0)
        else:
            time.sleep(0.01)


def _until_ended(folder: Path, jobs: int) -> None:
    deadline = time.perf_counter() + _PATIENCE
    while time.perf_counter() < deadline:
        ended = _rows(folder, "SELECT count(*) FROM supervisor_jobs WHERE ended IS NOT NULL")
        if ended and ended[0][0] == jobs:
            return
        time.sleep(0.1)
    raise TimeoutError(f"the jobs have not ended after {_PATIENCE:g} s")


def _count(plan: Plan, folder: Path, *, api: Running, toll: Toll) -> None:
    judged = report(api)
    toll.attempts, toll.asked_again = judged["attempts"], judged["asked_again"]
    toll.answers = answers_on_record(folder)
    for result, runs in _rows(
        folder, "SELECT result, runs FROM supervisor_jobs WHERE status = 'done'"
    ):
        toll.done += len(json.loads(result)) == plan.asks
        toll.runs += runs
    for line in (folder / "supervisor.log").read_text().splitlines():
        # A kill can cut a line in two.
        with suppress(ValueError):
            event: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "jobs.job_ended":
                toll.ends[event["job"]] += 1


def answers_on_record(folder: Path) -> Counter[str]:
    """How many answers of the API's are on record, by job.

    Args:
        folder: Where the supervisor runs, or ran.
    """
    rows = _rows(
        folder,
        "SELECT workflow_uuid, count(*) FROM operation_outputs "
        "WHERE json_extract(output, '$.value.usage') IS NOT NULL GROUP BY workflow_uuid",
    )
    return Counter({str(job): int(count) for job, count in rows})


def _rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    file = folder / "data" / "supervisor-jobs.sqlite"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query).fetchall()
    except sqlite3.OperationalError:
        # Killed before there were tables.
        return []
