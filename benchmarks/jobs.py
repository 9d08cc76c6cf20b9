"""What durable jobs endure and cost: kills in the middle, and ten thousand at once.

    python -m benchmarks.jobs                         exit code 1 if a "must" does not hold
    python -m benchmarks.jobs --kills 20 --jobs 60 --many 2000

Two hundred kills take about nine minutes, most of them starts of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from benchmarks.kills import Plan as Kills
from benchmarks.kills import Toll, endure
from benchmarks.launch import (
    UNBOUNDED,
    Running,
    busy_seconds,
    post,
    simulator,
    supervisor,
    until_answered,
    warn_if_busy,
)
from benchmarks.load import Plan, Sender, measure
from benchmarks.process import resident
from benchmarks.table import Row, at_least, at_most, quantile, show

_ROLE = """
from supervisor import Context, Role


class Nothing(Role[int, None]):
    async def handle(self, job: int, ctx: Context) -> None:
        pass
"""
_KILLS = Kills()
_CONNECTIONS = 64
_PROBES = 20
"""Gateway calls a second that look how the rest is doing."""
_PROMPT = 0.025
"""Seconds; a call that is slower than usual but quicker than this is none to complain of."""
_LOOK = 5.0
"""Seconds of one such look."""


def kill_rows(plan: Kills, toll: Toll) -> Iterator[Row]:
    """What the kills came to."""
    asks = plan.jobs * plan.asks
    lost = sum(toll.in_flight)
    yield at_least(
        f"{plan.jobs} jobs of {plan.asks} asks: kills -9", toll.kills, plan.kills, digits=0
    )
    yield _exactly("... jobs that are done, each with all its answers", toll.done, plan.jobs)
    yield at_most(
        "... ends of one job in the log, most", max(toll.ends.values(), default=0), 1, digits=0
    )
    least, most = min(toll.answers.values(), default=0), max(toll.answers.values(), default=0)
    yield _exactly("... answers on record for a job, least", least, plan.asks)
    yield _exactly(
        "... answers on record for a job, most: none was asked for again", most, plan.asks
    )
    hit = sum(1 for each in toll.in_flight if each)
    name = f"... asks in flight at a kill, most; {lost} in all, at {hit} of the kills"
    yield at_most(name, max(toll.in_flight, default=0), plan.slots, digits=0)
    name = "... asks repeated after the API had sent their answer whole"
    yield at_most(name, toll.asked_again, lost, digits=0)
    yield _exactly(
        "... asks sent in all: one for each answer, and those in flight", toll.attempts, asks + lost
    )
    yield Row("... runs of the jobs in all", str(toll.runs))
    yield Row("... time", f"{toll.seconds:.0f} s")


def _exactly(name: str, value: int, wanted: int) -> Row:
    return Row(name, str(value), str(wanted), value == wanted)


def many_rows(folder: Path, *, count: int) -> Iterator[Row]:
    """What a great many jobs at once come to, and what everything else feels of it."""
    (folder / "roles").mkdir()
    (folder / "roles" / "nothing.py").write_text(_ROLE)
    with (
        simulator(folder) as api,
        supervisor(folder, UNBOUNDED.format(upstream=api.url)) as house,
    ):
        until_answered(f"{house.url}/readyz")
        before = _probe(house)
        light = resident(house.pid)
        post(f"{house.url}/api/roles/nothing/stop")
        with ThreadPoolExecutor(1) as beside:
            looking = beside.submit(_probe, house)
            began = time.perf_counter()
            accepted = asyncio.run(_submit(house.url, count))
            took = time.perf_counter() - began
            submitting = looking.result()
            yield _exactly(f"{count} empty jobs submitted at once: accepted", accepted, count)
            yield _exactly("... rows in the store", _stored(folder), count)
            yield Row(f"... a second, {_CONNECTIONS} connections", f"{count / took:.0f} /s")
            yield at_most(
                "... memory they cost while they wait", resident(house.pid) - light, 16, unit=" MiB"
            )
            looking = beside.submit(_probe, house)
            busy, began = busy_seconds(house.pid), time.perf_counter()
            post(f"{house.url}/api/roles/nothing/start")
            finishing = looking.result()
        done = _until_done(folder, count)
        took = time.perf_counter() - began
        yield Row("... finished, a second", f"{count / took:.0f} /s")
        spent = (busy_seconds(house.pid) - busy) / count * 1000
        yield Row("... processor time for a job", f"{spent:.2f} ms")
        yield _exactly("... done, each once", done, count)
        yield _exactly(
            "... that started before a more urgent or an older one", _out_of_order(folder), 0
        )
        yield at_most(
            "... memory after all that, more than before",
            resident(house.pid) - light,
            32,
            unit=" MiB",
        )
        yield Row("gateway call, p99: before", f"{before * 1000:.0f} ms")
        for name, slower, times in (("submitted", submitting, 8.0), ("done", finishing, 4.0)):
            ratio = slower / max(before, _PROMPT)
            shown = f"... while jobs are {name}: {slower * 1000:.0f} ms, times as long"
            yield at_most(shown, ratio, times, digits=1)


def _probe(house: Running) -> float:
    """How long a gateway call takes, at the 99th percentile, in seconds."""
    sender = Sender("probe", house.url, "", in_flight=_PROBES, rate=_PROBES)
    return quantile(measure(Plan([sender], seconds=_LOOK))["probe"].latencies, 0.99)


async def _submit(url: str, count: int) -> int:
    """Hand jobs in over many connections; gives how many were accepted."""
    numbers = iter(range(count))
    accepted = 0

    async def hand_in(session: aiohttp.ClientSession) -> None:
        nonlocal accepted
        for number in numbers:
            # Priorities in no order: what starts first must not be what came first.
            document = {"role": "nothing", "input": number, "priority": number * 37 % 100}
            async with session.post(f"{url}/api/jobs", json=document) as response:
                accepted += response.status == 202

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(hand_in(session) for _ in range(_CONNECTIONS)))
    return accepted


def _stored(folder: Path) -> int:
    return int(_ask(folder, "SELECT count(*) FROM supervisor_jobs")[0][0])


def _until_done(folder: Path, count: int) -> int:
    query = "SELECT count(*), sum(runs = 1) FROM supervisor_jobs WHERE status = 'done'"
    while (found := _ask(folder, query)[0])[0] < count:
        time.sleep(0.05)
    return int(found[1])


def _out_of_order(folder: Path) -> int:
    rows = _ask(folder, "SELECT started FROM supervisor_jobs ORDER BY priority, seq")
    starts = [float(row[0]) for row in rows]
    return sum(1 for one, other in pairwise(starts) if other < one)


def _ask(folder: Path, query: str) -> list[tuple[Any, ...]]:
    file = folder / "data" / "supervisor-jobs.sqlite"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(query).fetchall()


def main() -> int:
    """Print the table.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=_KILLS.kills)
    parser.add_argument("--jobs", type=int, default=_KILLS.jobs)
    parser.add_argument("--seed", type=int, default=_KILLS.seed)
    parser.add_argument("--many", type=int, default=10_000)
    arguments = parser.parse_args()
    warn_if_busy()
    failed = 0
    if arguments.many:
        with TemporaryDirectory(prefix="jobs-") as folder:
            failed += show(many_rows(Path(folder), count=arguments.many), title="many at once")
    if arguments.kills:
        plan = Kills(jobs=arguments.jobs, kills=arguments.kills, seed=arguments.seed)
        with TemporaryDirectory(prefix="jobs-") as folder:
            toll = endure(plan, Path(folder))
        failed += show(kill_rows(plan, toll), title=f"killed at random, seed {plan.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
