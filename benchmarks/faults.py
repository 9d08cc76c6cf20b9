"""The API is gone for a minute: who is answered, what was sent in vain, when work goes on.

    python -m benchmarks.faults               exit code 1 if a "must" does not hold
    python -m benchmarks.faults --seconds 10

Simulator, supervisor and clients are processes and threads over loopback sockets. Clients go on
asking all the time, a role works on jobs; the simulator is killed and started again on its port.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from benchmarks.launch import (
    Running,
    free_port,
    get,
    python_environment,
    report,
    started,
    supervisor,
    warn_if_busy,
)
from benchmarks.table import Row, at_least, at_most, quantile, show

_LIMITS = ["300 requests / minute", "20 requests / second"]
_BEFORE = 5.0
_AFTER = 20.0
_EVERY = 2.0
_CLIENTS = 6
_JOBS = 8
_STEPS = 5
_ROLE = f"""
from supervisor import Context, Role


class Steps(Role[int, int]):
    concurrency = {_JOBS}

    async def handle(self, job: int, ctx: Context) -> int:
        for step in range({_STEPS}):
            await ctx.ask(f"job {{job}} step {{step}}")
        return job
"""
_CONFIG = """
[web]
port = 0

[log]
format = "json"

[upstream]
base_url = "http://127.0.0.1:{port}/v1"

[quota]
limits = {limits}
"""


@dataclass(slots=True)
class Seen:
    """What the clients saw.

    Attributes:
        calls: When each call began and ended, and its status; 0 for a broken connection.
    """

    calls: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])


def _client(house: Running, until: float, seen: Seen) -> None:
    """Ask every now and then, the next time when the last call has ended."""
    parts = urlsplit(house.url)
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
    while (began := time.monotonic()) < until:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=200)
        try:
            connection.request("POST", "/v1/chat/completions", body)
            response = connection.getresponse()
            response.read()
            status = response.status
        except OSError:
            status = 0
        finally:
            connection.close()
        seen.calls.append((began, time.monotonic(), status))
        time.sleep(max(0.0, began + _EVERY - time.monotonic()))


def _post(house: Running, path: str, document: Any) -> Any:
    parts = urlsplit(house.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {"content-type": "application/json"}
    connection.request("POST", path, json.dumps(document), headers)
    answer = json.load(connection.getresponse())
    connection.close()
    return answer


def outage_rows(*, seconds: float) -> Iterator[Row]:
    """A whole story: five seconds of peace, an outage, and what comes after it."""
    port = free_port()
    with TemporaryDirectory(prefix="faults-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "roles").mkdir()
        (folder / "roles" / "steps.py").write_text(_ROLE)
        first = ExitStack()
        _api(first, folder, port)
        config = _CONFIG.format(port=port, limits=json.dumps(_LIMITS))
        house = stack.enter_context(supervisor(folder, config))
        seen, began = Seen(), time.monotonic()
        until = began + _BEFORE + seconds + _AFTER
        clients = [
            threading.Thread(target=_client, args=(house, until, seen)) for _ in range(_CLIENTS)
        ]
        for client in clients:
            client.start()
        time.sleep(_BEFORE)
        jobs = [
            _post(house, "/api/jobs", {"role": "steps", "input": number})["id"]
            for number in range(_JOBS)
        ]
        first.close()
        down = time.monotonic()
        time.sleep(seconds)
        files = _open_files(house)
        api = _api(stack, folder, port)
        back = time.monotonic()
        for client in clients:
            client.join()
        yield from _rows(seen, house, jobs, moments=(down, back))
        yield at_most("open files of the house while it was gone", files, 60, digits=0)
        yield at_most("attempts over a limit since it is back", report(api)["over"], 0, digits=0)


def _api(stack: ExitStack, folder: Path, port: int) -> Running:
    """The simulated API on a port that stays the same."""
    limits = [f"--limit={limit}" for limit in _LIMITS]
    command = [sys.executable, "-m", "supervisor", "simulate", f"--port={port}", *limits]
    command.append("--latency=300ms")
    running = started(
        "simulator",
        command,
        ready=r"^(http://\S+)/v1$",
        folder=folder,
        environment=python_environment(),
    )
    return stack.enter_context(running)


def _rows(
    seen: Seen, house: Running, jobs: list[str], *, moments: tuple[float, float]
) -> Iterator[Row]:
    down, back = moments
    failed = [call for call in seen.calls if call[2] != 200]
    held = [end for begin, end, _ in seen.calls if begin < back and end > down]
    yield at_least("calls of all clients", len(seen.calls), 1, digits=0)
    yield at_most("... that got no answer", len(failed), 0, digits=0)
    yield at_least("... that had to wait for the API", len(held), 1, digits=0)
    after = [end - back for end in held]
    yield at_most("from its return to the first answer", min(after), 12, unit=" s")
    yield at_most("... to the last of those that waited", quantile(after, 1.0), 15, unit=" s")
    done = [json.loads(get(f"{house.url}/api/jobs/{job}")[1])["status"] for job in jobs]
    yield at_least(f"jobs done, of {len(jobs)}", done.count("done"), len(jobs), digits=0)
    classes = json.loads(get(f"{house.url}/api/stats")[1])["broker"]["classes"]
    sent = sum(one["attempts"] for one in classes)
    vain = sent - sum(one["answered"] for one in classes)
    yield at_most("attempts in vain", vain, 60, digits=0)


def _open_files(house: Running) -> int:
    place = Path(f"/proc/{house.pid}/fd")
    return len(list(place.iterdir())) if place.exists() else 0


def main() -> int:
    """Print the table.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds: float = parser.parse_args().seconds
    warn_if_busy()
    failed = show(outage_rows(seconds=seconds), title=f"an API that is gone for {seconds:g} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
