"""How soon the process is ready, what it weighs, and how quick the small commands are.

    python -m benchmarks.process              exit code 1 if a "must" does not hold
    python -m benchmarks.process --rounds 9

"Warm files": one start before the first that counts, so that bytecode is compiled and the files
are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.launch import (
    ROOT,
    Running,
    get,
    python_environment,
    simulator,
    supervisor,
    until_answered,
    warn_if_busy,
)
from benchmarks.load import Plan, Sender, measure
from benchmarks.table import Row, at_most, middle, show

_SIMULATED = f"""
[web]
port = 0

[log]
format = "json"

[roles]
directory = "{(ROOT / "roles").as_posix()}"
"""
_EXTERNAL = (
    _SIMULATED
    + """
[upstream]
base_url = "{upstream}/v1"

[quota]
limits = ["1000000 requests / second"]
"""
)
_MIB = 1024 * 1024
_LARGEST = 8
"""Packages whose import is shown."""
_SUBMITTED = """--- a/one.py
+++ b/one.py
@@ -1 +1 @@
-print(1)
+print(2)
"""


def ready_rows(*, rounds: int) -> Iterator[Row]:
    """Time from the start of the process to its ready line and a 200 of /readyz."""
    seconds: list[float] = []
    stages: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        began, start = time.time(), time.perf_counter()
        with (
            TemporaryDirectory(prefix="process-") as folder,
            supervisor(Path(folder), _SIMULATED, words=["--simulate"]) as house,
        ):
            until_answered(f"{house.url}/readyz")
            took = time.perf_counter() - start
            events = _events(house)
        if number:
            seconds.append(took)
            for name, part in _stages(events, began).items():
                stages.setdefault(name, []).append(part)
    shown = f"run --simulate: ready, median of {rounds} (most {max(seconds):.2f} s)"
    yield at_most(shown, middle(seconds), 2.5, unit=" s")
    for name, parts in stages.items():
        yield Row(f"... {name}", f"{middle(parts):.2f} s")
    yield from _import_rows()


def _events(house: Running) -> list[dict[str, Any]]:
    lines = house.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def _stages(events: Sequence[dict[str, Any]], began: float) -> dict[str, float]:
    """Seconds between the events of a start, named by the event that ends each."""
    took: dict[str, float] = {}
    last = began
    for event in events:
        moment = datetime.fromisoformat(event["timestamp"]).timestamp()
        name = f"until {event['event']}"
        took[name] = took.get(name, 0.0) + moment - last
        last = moment
        if event["event"] == "app.ready":
            break
    return took


def _import_rows() -> Iterator[Row]:
    """Which packages the imports are made of; -X importtime itself makes them slower."""
    command = "import supervisor.app, supervisor.simulator.server, dbos"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", command],
        env=python_environment(),
        capture_output=True,
        check=True,
        text=True,
    )
    packages: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        own, _, name = (part.strip() for part in line.removeprefix("import time:").split("|"))
        if own.isdecimal():
            packages[name.partition(".")[0]] += int(own)
    yield Row("imports, as python -X importtime counts them", f"{packages.total() / 1e6:.2f} s")
    for name, micros in packages.most_common(_LARGEST):
        yield Row(f"... {name}", f"{micros / 1e6:.2f} s")


def weight_and_command_rows(*, rounds: int) -> Iterator[Row]:
    """What one process weighs, and how long small commands take against it."""
    with TemporaryDirectory(prefix="process-") as folder:
        place = Path(folder)
        with (
            simulator(place) as api,
            supervisor(place, _EXTERNAL.format(upstream=api.url)) as house,
        ):
            until_answered(f"{house.url}/readyz")
            yield at_most("run: resident when ready", resident(house.pid), 140, unit=" MiB")
            sender = Sender("load", house.url, "", in_flight=16)
            answered = measure(Plan([sender], seconds=2.0))["load"].answered
            name = f"... after {answered} gateway calls, 16 in flight"
            yield at_most(name, resident(house.pid), 140, unit=" MiB")
            yield from _command_rows(place, house, rounds=rounds)
            status = get(f"{house.url}/health")[0]
            yield Row("/health after all that", str(status), "200", status == 200)


def resident(pid: int) -> float:
    """Memory of a process that is really in RAM, in MiB."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024 / _MIB
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True, text=True
    )
    return int(done.stdout) * 1024 / _MIB


def _command_rows(place: Path, house: Running, *, rounds: int) -> Iterator[Row]:
    here = [f"--set=web.port={house.url.rpartition(':')[2]}"]
    commands = {
        "--help": ["--help"],
        "status --json": ["status", "--json", *here],
        "submit --no-wait": ["submit", "quality", "--no-wait", *here],
    }
    for name, words in commands.items():
        times = [_took(place, words) for _ in range(rounds + 1)][1:]
        shown = f"{name}: wall time, median of {rounds} (most {max(times):.2f} s)"
        yield at_most(shown, middle(times), 0.5, unit=" s")


def _took(place: Path, words: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "supervisor", *words],
        cwd=place,
        env=python_environment(),
        input=_SUBMITTED.encode(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def main() -> int:
    """Print the table.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    warn_if_busy()
    failed = show(ready_rows(rounds=rounds), title="the process")
    failed += show(weight_and_command_rows(rounds=rounds), title="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
