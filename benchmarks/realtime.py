"""Exactness and priority in real time: real programs, real sockets, a judge that counts.

    python -m benchmarks.realtime               a minute; exit code 1 if a "must" does not hold
    python -m benchmarks.realtime --seconds 150

The API enforces 100 requests / 1s and 3000 requests / 60s as exact sliding windows. Three batch
clients of 30 requests in flight each want more than that; an urgent one asks twice a second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.launch import report, simulator, supervisor, warn_if_busy
from benchmarks.load import Plan, Result, Sender, measure
from benchmarks.table import Row, at_least, at_most, quantile, show

_LIMITS = ["100 requests / 1s", "3000 requests / 60s"]
_SUSTAINED = 3000 / 60
_LATENCY = 0.2
"""Seconds that every answer of the simulated API takes."""
_BATCHES = ("batch-one", "batch-two", "batch-three")
_CONFIG = f"""
[upstream]
base_url = "{{upstream}}/v1"

[quota]
limits = {_LIMITS}
jitter = "50ms"

[web]
port = 0

[log]
level = "warning"

[clients.urgent]
priority = "urgent"
share = 0.1
ceiling = []
""" + "".join(f'\n[clients.{name}]\npriority = "low"\nceiling = []\n' for name in _BATCHES)


def run(seconds: float) -> tuple[Mapping[str, Result], Mapping[str, Any]]:
    """Carry it out.

    Args:
        seconds: For how long.

    Returns:
        What the clients got, and the judge's report.
    """
    with TemporaryDirectory(prefix="realtime-") as folder:
        place = Path(folder)
        with (
            simulator(place, limits=_LIMITS, latency=f"{_LATENCY}s") as api,
            supervisor(place, _CONFIG.format(upstream=api.url)) as house,
        ):
            batches = [Sender(name, house.url, name, in_flight=30) for name in _BATCHES]
            urgent = Sender("urgent", house.url, "urgent", rate=2.0)
            results = measure(Plan([*batches, urgent], seconds))
            return results, report(api)


def rows(
    results: Mapping[str, Result], verdict: Mapping[str, Any], *, seconds: float
) -> Iterator[Row]:
    """The table.

    Args:
        results: What every client got.
        verdict: The judge's report.
        seconds: For how long they asked.
    """
    urgent = results["urgent"]
    yield at_most("attempts refused by the API", verdict["refused"], 0, digits=0)
    yield at_most("attempts over a limit, by the judge's count", verdict["over"], 0, digits=0)
    for window in verdict["worst"]:
        yield Row(f"... fullest window of {window['limit']}", str(window["worst"]))
    answered = sum(result.answered for result in results.values())
    used = answered / (_SUSTAINED * seconds)
    name = f"used of the sustained quota ({answered} of {_SUSTAINED * seconds:.0f})"
    yield at_least(name, used * 100, 95, unit=" %", digits=1)
    strange = sum(sum(one.statuses.values()) - one.answered for one in results.values())
    yield at_most("requests that were not answered with 200", strange, 0, digits=0)
    waits = [wait * 1000 for wait in urgent.waits]
    more = [(latency - _LATENCY) * 1000 for latency in urgent.latencies]
    told = f"urgent client, {urgent.answered} requests: p99 wait"
    yield at_most(f"{told} as x-supervisor-wait-ms tells", quantile(waits, 0.99), 100, unit=" ms")
    yield at_most(
        "... p99 end to end, less the API's own latency", quantile(more, 0.99), 100, unit=" ms"
    )
    yield Row("... p50 of the same", f"{quantile(more, 0.5):.2f} ms")
    for name in _BATCHES:
        one = results[name]
        shown = f"{quantile(one.waits, 0.5):.1f} / {quantile(one.waits, 0.99):.1f} s"
        yield Row(f"{name}: {one.answered} answered, p50 / p99 wait", shown)


def main() -> int:
    """Print the table.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds: float = parser.parse_args().seconds
    warn_if_busy()
    results, verdict = run(seconds)
    title = f"measured in real time, {seconds:g} s"
    return 1 if show(rows(results, verdict, seconds=seconds), title=title) else 0


if __name__ == "__main__":
    sys.exit(main())
