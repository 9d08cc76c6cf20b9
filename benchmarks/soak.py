"""A million requests through the real process: does it give back all that it takes?

    python -m benchmarks.soak                     exit code 1 if a "must" does not hold
    python -m benchmarks.soak --requests 30000    too few to tell a slope of memory

Simulator, supervisor and crowd are three processes over loopback sockets. Limits do not bind, but
all of the way is gone: several clients and a role, priorities, shares and ceilings, budgets with
prices, streams, deadlines, clients that leave; and an API that fails now and then, refuses for
quota for some seconds, and is gone for some.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from benchmarks.crowd import Plan, told, written
from benchmarks.footprint import Footprint, footprint
from benchmarks.launch import (
    ROOT,
    Running,
    busy_seconds,
    get,
    python_environment,
    report,
    simulator,
    supervisor,
    until_answered,
    warn_if_busy,
)
from benchmarks.table import Row, at_least, at_most, quantile, show
from benchmarks.trend import Trend, trend

_ROLE = """
from supervisor import Context, Role


class Notes(Role[int, str]):
    concurrency = 2

    async def handle(self, job: int, ctx: Context) -> str:
        return (await ctx.ask(f"note {job}")).text
"""
_CONFIG = """
[upstream]
base_url = "{upstream}/v1"

[quota]
limits = ["100000 requests / second", "20000000 tokens / 10s"]

[web]
port = 0

[log]
level = "warning"
format = "json"

[budget]
total = ["1000000 usd / month"]

[prices."grok-4.7"]
input = 2
output = 6

[roles.notes]
ceiling = []

[clients.urgent]
priority = "urgent"
share = 0.1
ceiling = []

[clients.batch]
priority = "low"
concurrency = 24
ceiling = []

[clients.steady]
ceiling = ["100000 requests / second"]
budget = "100000 usd / day"

[clients.poor]
ceiling = []
budget = "0.05 usd / hour"
"""
_BEARERS = {"urgent": 15, "batch": 40, "steady": 30, "gateway": 13, "poor": 2}
_FAULTS = {
    "server_error": 0.002,
    "html_error": 0.001,
    "capacity": 0.002,
    "cut": 0.002,
    "empty": 0.0005,
    "html_answer": 0.0005,
    "malformed": 0.0005,
    "wrong_length": 0.0005,
    "cut_stream": 0.002,
    "stream_error": 0.002,
}
_STORMS: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = (
    ({"limits": ["50 requests / second"], "retry_after": "500ms"}, {"limits": []}),
    ({"faults": {"server_error": 0.98, **dict.fromkeys(_FAULTS, 0.0)}}, {"faults": _FAULTS}),
)
"""What befalls the API for some seconds, and what ends it."""
_STORM = 1.5
"""Seconds of one."""
_STORMS_IN_ALL = 10
_EVERY = 2.0
"""Seconds between two looks."""
_REST = 90.0
"""Seconds in which everything that is kept open for a while is closed."""
_JOB_FOR = 500
"""Requests for each of which one job is handed in."""
_SIDES = 16
_BURST = 10
"""Jobs handed in after the warm-up, from each of so many sides at once."""
_LEAK = 16
"""Bytes a request. The smallest object there is, kept in a list, takes 24."""
_ENOUGH = 200_000
"""Requests from which on a slope of memory can be told: allocators settle late."""
_WAL = 32.0
"""MiB; it is copied back into the file every few hundred transactions, and keeps its size."""
_MIB = 2.0**20


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the process at work.

    Attributes:
        ended: Requests that had ended.
        held: What it held.
        tasks: Tasks of its event loop, as its metrics tell.
        ledger: Bytes of the ledger's file.
        wal: Bytes of the file's log.
    """

    ended: int
    held: Footprint
    tasks: int
    ledger: int
    wal: int


@dataclass(slots=True)
class Course:
    """How it went.

    Attributes:
        looks: In the order of time.
        outcomes: How the requests ended.
        seconds: How long it took.
        busy: Processor seconds of the supervisor.
        jobs: Ids of the jobs that were handed in.
    """

    looks: list[Look] = field(default_factory=list[Look])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0
    busy: float = 0.0
    jobs: list[str] = field(default_factory=list[str])


class Soak:
    """The house at work, looked at.

    Args:
        house: The supervisor.
        api: The simulator.
        folder: Where the supervisor runs.
    """

    def __init__(self, house: Running, api: Running, folder: Path) -> None:
        self.house = house
        self.api = api
        self._folder = folder
        self._port = urlsplit(api.url).port or 0

    def run(self, requests: int, *, seed: int, stormy: bool) -> Course:
        """Let a crowd ask, and look on.

        Args:
            requests: How many.
            seed: Chance repeats itself.
            stormy: Whether the API is to have its troubles.
        """
        course, busy, began = Course(), busy_seconds(self.house.pid), time.perf_counter()
        storms = _Weather(self.api, requests) if stormy else None
        with _crowd(Plan(self.house.url, requests, bearers=_BEARERS, seed=seed)) as progress:
            while progress.alive():
                time.sleep(_EVERY)
                ended = progress.ended
                course.looks.append(self.look(ended))
                self.hand_in(course.jobs, ended // _JOB_FOR)
                if storms is not None:
                    storms.at(ended)
        course.outcomes = progress.outcomes
        course.seconds = time.perf_counter() - began
        course.busy = busy_seconds(self.house.pid) - busy
        return course

    def look(self, ended: int = 0) -> Look:
        """How things are right now."""
        file = self._folder / "data" / "supervisor.sqlite"
        return Look(
            ended,
            footprint(self.house.pid, port=self._port),
            int(self.metrics("supervisor_tasks")),
            _size(file),
            _size(file.with_name(f"{file.name}-wal")),
        )

    def rest(self, like: Look | None = None) -> Look:
        """Wait until nothing is kept open any more; or for as long as that takes at most.

        Args:
            like: Waits no longer than until no more is held than was then.
        """
        until = time.perf_counter() + _REST
        while time.perf_counter() < until:
            time.sleep(_EVERY)
            now = self.look()
            if like is not None and not now.held.connections and not _more(now, like):
                return now
        return self.look()

    def metrics(self, name: str) -> float:
        """Sum of a metric over all its labels."""
        text = get(f"{self.house.url}/metrics")[1].decode()
        values = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in values)

    def hand_in(self, jobs: list[str], many: int) -> None:
        """Hand jobs in until there are so many."""
        while len(jobs) < many:
            document = {"role": "notes", "input": len(jobs)}
            jobs.append(str(_post(f"{self.house.url}/api/jobs", document)["id"]))


class _Weather:
    """Troubles of the API, at even distances."""

    def __init__(self, api: Running, requests: int) -> None:
        self._url = f"{api.url}/_simulator/settings"
        self._every = requests / (_STORMS_IN_ALL + 1)
        self._next = self._every
        self._storms = cycle(_STORMS)

    def at(self, ended: int) -> None:
        """Have one if its time has come."""
        if ended < self._next:
            return
        self._next = ended + self._every
        begin, end = next(self._storms)
        _post(self._url, begin)
        time.sleep(_STORM)
        _post(self._url, end)


class _Progress:
    """What the crowd tells, read beside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.ended = 0
        self.outcomes: Counter[str] = Counter()
        self._process = process
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def alive(self) -> bool:
        """Whether there is more to come."""
        return self._reader.is_alive()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for ended, outcomes in told(iter(self._process.stdout)):
            self.ended, self.outcomes = ended, outcomes


@contextmanager
def _crowd(plan: Plan) -> Generator[_Progress]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crowd"],
        cwd=ROOT,
        env=python_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(written(plan))
        process.stdin.close()
        yield _Progress(process)
    finally:
        process.kill()
        process.wait()


def soak(folder: Path, *, requests: int, seed: int) -> Iterator[Row]:
    """Warm up, rest, let them ask, rest again, and compare.

    Args:
        folder: An empty folder.
        requests: How many, without those that warm it up.
        seed: Chance repeats itself.
    """
    (folder / "roles").mkdir()
    (folder / "roles" / "notes.py").write_text(_ROLE)
    with (
        simulator(folder, faults=_FAULTS, latency="2ms", jitter="10ms", seed=seed) as api,
        supervisor(folder, _CONFIG.format(upstream=api.url)) as house,
    ):
        until_answered(f"{house.url}/readyz")
        work = Soak(house, api, folder)
        first = work.run(max(5_000, requests // 50), seed=seed + 1, stormy=True)
        # Many jobs from many sides: what is kept open for them grows to its full size now.
        with ThreadPoolExecutor(_SIDES) as sides:
            bursts = [list[str]() for _ in range(_SIDES)]
            list(sides.map(work.hand_in, bursts, [_BURST] * _SIDES))
        before = work.rest()
        course = work.run(requests, seed=seed, stormy=True)
        after = work.rest(before)
        yield from _asked(course, work, jobs=[*first.jobs, *chain(*bursts), *course.jobs])
        yield from _memory(course, before=before, after=after)
        yield from _left_over(before, after)
        yield from _ledger(course, work, after)
    yield at_most("errors in its log", _errors(house.log), 0, digits=0)


def _asked(course: Course, work: Soak, *, jobs: Sequence[str]) -> Iterator[Row]:
    """How the requests ended."""
    count = course.outcomes.total()
    for outcome, many in sorted(course.outcomes.items()):
        yield Row(f"requests that ended with: {outcome}", str(many))
    mute = sum(
        many
        for outcome, many in course.outcomes.items()
        if outcome.endswith("said nothing") or outcome == "never ended"
    )
    yield at_most("... with neither an answer nor an error that says why", mute, 0, digits=0)
    yield Row("requests a second, information", f"{count / course.seconds:.0f} /s")
    yield Row("processor time for a request", f"{course.busy / count * 1000:.2f} ms")
    done = [_status(work.house, job) for job in jobs].count("done")
    yield at_least(f"jobs done, of {len(jobs)}", done, len(jobs), digits=0)


def _memory(course: Course, *, before: Look, after: Look) -> Iterator[Row]:
    """Whether it grows with what it has done."""
    half = course.looks[-1].ended / 2
    later = [look for look in course.looks if look.ended >= half]
    if len(later) < 3:
        yield at_least("looks in the second half", len(later), 3, digits=0)
        return
    for name, size in (("resident", _resident), ("of it heap", _own)):
        line = trend([(float(look.ended), float(size(look))) for look in later])
        yield from _slope(f"{name}, second half", line, enough=half * 2 >= _ENOUGH)
    most = max(look.held.resident for look in course.looks)
    yield Row("resident at rest, after warm-up", f"{before.held.resident / _MIB:.1f} MiB")
    yield Row("... at most", f"{most / _MIB:.1f} MiB")
    yield Row("... at rest, at the end", f"{after.held.resident / _MIB:.1f} MiB")


def _slope(name: str, line: Trend, *, enough: bool) -> Iterator[Row]:
    shown = f"{name}: bytes for each request (standard error {line.error:.1f})"
    if enough:
        yield at_most(shown, line.slope, _LEAK, digits=1)
    else:
        yield Row(f"{shown}; too few to judge", f"{line.slope:.1f}")


def _left_over(before: Look, after: Look) -> Iterator[Row]:
    """What is held at the end that was not held after the warm-up."""
    for name, count in _HELD.items():
        yield at_most(f"{name} at rest, at the end", count(after), count(before), digits=0)
    for what, many in sorted((after.held.files - before.held.files).items()):
        yield Row(f"... more open than before: {what}", str(many))


def _ledger(course: Course, work: Soak, after: Look) -> Iterator[Row]:
    """Whether what was written down is what was sent, and how large that got."""
    usage = json.loads(get(f"{work.house.url}/api/usage")[1])["usage"]
    recorded = sum(row["attempts"] for row in usage)
    arrived: int = report(work.api)["attempts"]
    counted = int(work.metrics("supervisor_attempts_total"))
    yield Row("attempts that came to the API", str(arrived))
    yield at_least("... on record", recorded, arrived, digits=0)
    yield Row("... counted in the metrics", str(counted), str(recorded), counted == recorded)
    under_way = work.metrics("supervisor_in_flight") + work.metrics("supervisor_queue_length")
    yield at_most("... still waiting or under way", under_way, 0, digits=0)
    wal = [look.wal for look in course.looks]
    yield at_most(
        f"the ledger's log at most (median {quantile(wal, 0.5) / _MIB:.1f} MiB)",
        max(wal) / _MIB,
        _WAL,
        unit=" MiB",
        digits=1,
    )
    size = after.ledger / max(1, recorded)
    yield Row(f"the ledger's file: {after.ledger / _MIB:.0f} MiB, an attempt", f"{size:.0f} B")


_HELD: Mapping[str, Callable[[Look], int]] = {
    "tasks": lambda look: look.tasks,
    "open files": lambda look: look.held.files.total(),
    "connections to the API": lambda look: look.held.connections,
    "threads": lambda look: look.held.threads,
}


def _more(now: Look, before: Look) -> bool:
    return any(count(now) > count(before) for count in _HELD.values())


def _resident(look: Look) -> int:
    return look.held.resident


def _own(look: Look) -> int:
    return look.held.own


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _status(house: Running, job: str) -> str:
    return str(json.loads(get(f"{house.url}/api/jobs/{job}")[1])["status"])


def _errors(log: Path) -> int:
    lines = log.read_text(errors="replace").splitlines()
    return sum(1 for line in lines if '"level": "error"' in line or "Traceback" in line)


def _post(url: str, document: Mapping[str, Any]) -> dict[str, Any]:
    data = json.dumps(document).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.loads(response.read())
        return answer


def main() -> int:
    """Print the table.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not Path("/proc/self/smaps_rollup").exists():
        print("skipped: it looks into /proc, which only Linux has")
        return 0
    warn_if_busy()
    requests = arguments.requests
    with TemporaryDirectory(prefix="soak-") as folder:
        rows = soak(Path(folder), requests=requests, seed=arguments.seed)
        return 1 if show(rows, title=f"{requests} requests") else 0


if __name__ == "__main__":
    sys.exit(main())
