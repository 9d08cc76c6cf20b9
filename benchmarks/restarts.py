"""Restarts under saturation, and the key handed from one process to the next.

    python -m benchmarks.restarts               exit code 1 if a "must" does not hold
    python -m benchmarks.restarts --restarts 6 --takeovers 3

Every five seconds the process is ended, in turns by SIGTERM and by SIGKILL, and started again at
once, while clients want more than the limits allow. The simulator judges. After that a second
process waits on the same store for the first one to go.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.launch import (
    KEY,
    Running,
    free_port,
    get,
    python_environment,
    report,
    simulator,
    until_answered,
    warn_if_busy,
)
from benchmarks.load import Plan, Result, Sender, measure
from benchmarks.table import Row, at_least, at_most, middle, show

_LIMITS = ((20, 1), (180, 60))
"""Requests in seconds. Both bind: 20 a second after a start, 3 a second in the long run."""
_EVERY = 5.0
_CLIENTS = 40
_REST = 0.25
"""Seconds before a client that was not answered asks again."""
_FULL = 0.9
"""Part of each window that must have been full once, or its limit was not put to the test."""
_LATENCY = 0.2
_LOOK = 0.01
_SETTLE = 0.05
"""Seconds after a kill until what was on the wire has arrived."""
_PATIENCE = 60.0
_TAKEOVER = 2.0
"""Seconds from the end of one process to the first answer that another got."""
_CONFIG = """
[upstream]
base_url = "{upstream}/v1"

[quota]
limits = {limits}

[log]
level = "warning"
format = "json"

[clients.patient]
ceiling = []

[clients.urgent]
priority = "urgent"
share = 0.2
ceiling = []
"""


class House:
    """The supervisor, started and ended at will.

    Args:
        folder: Where it runs; its config.toml is there.
        port: Where it listens.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is not ready yet."""
        words = ["run", "--config=config.toml", f"--set=web.port={self._port}"]
        with (self._folder / f"{self._port}.log").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "supervisor", *words],
                cwd=self._folder,
                env={**python_environment(), "XAI_API_KEY": KEY},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def end(self, how: signal.Signals) -> int:
        """End it, and wait until it has ended; gives its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        try:
            return self._process.wait(_PATIENCE)
        finally:
            self._process.kill()

    def until_idle(self) -> None:
        """Wait until it waits for another process to go.

        Raises:
            TimeoutError: It does not.
        """
        until = time.perf_counter() + _PATIENCE
        while time.perf_counter() < until:
            status, body = get(f"{self.url}/readyz")
            if status == 503 and b"another process owns the key" in body:
                return
            time.sleep(_LOOK)
        raise TimeoutError("the second process did not wait for the first")


@contextmanager
def _housed(folder: Path, api: Running, limits: list[str]) -> Generator[Path]:
    """A folder to run in, with its configuration."""
    (folder / "roles").mkdir()
    config = _CONFIG.format(upstream=api.url, limits=json.dumps(limits))
    (folder / "config.toml").write_text(config)
    yield folder


@dataclass(slots=True)
class Toll:
    """What the restarts came to.

    Attributes:
        codes: Exit codes after SIGTERM.
        ready: Seconds from each start to its first attempt, by what had ended the one before.
        mute: Starts after which none came within their five seconds.
        results: What the clients got.
        seconds: How long it took.
        verdict: What the judge says.
    """

    codes: list[int] = field(default_factory=list[int])
    ready: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    mute: int = 0
    results: Mapping[str, Result] = field(default_factory=dict[str, Result])
    seconds: float = 0.0
    verdict: Mapping[str, Any] = field(default_factory=dict[str, Any])


def restart(folder: Path, *, restarts: int) -> Toll:
    """Restart it again and again.

    Args:
        folder: An empty folder.
        restarts: How often.
    """
    limits = [f"{amount} requests / {period}s" for amount, period in _LIMITS]
    toll = Toll()
    (folder / "api").mkdir()
    with (
        simulator(folder / "api", limits=limits, latency=f"{_LATENCY}s") as api,
        _housed(folder, api, limits),
    ):
        house = House(folder, free_port())
        house.start()
        until_answered(f"{house.url}/readyz")
        seconds = _EVERY * (restarts + 1) + 2.0
        load = threading.Thread(target=_saturate, args=(house.url, seconds, toll))
        load.start()
        began = time.perf_counter()
        for number in range(restarts):
            time.sleep(max(0.0, began + _EVERY * (number + 1) - time.perf_counter()))
            _once(house, api, how=_HOW[number % 2], toll=toll)
        load.join()
        toll.seconds = time.perf_counter() - began
        house.end(signal.SIGTERM)
        toll.verdict = report(api)
    return toll


_HOW = (signal.SIGTERM, signal.SIGKILL)


def _once(house: House, api: Running, *, how: signal.Signals, toll: Toll) -> None:
    code = house.end(how)
    if how is signal.SIGTERM:
        toll.codes.append(code)
    else:
        time.sleep(_SETTLE)
    before: int = report(api)["attempts"]
    began = time.perf_counter()
    house.start()
    while (took := time.perf_counter() - began) < _EVERY - 0.5:
        if report(api)["attempts"] > before:
            toll.ready.setdefault(how.name, []).append(took)
            return
        time.sleep(_LOOK)
    toll.mute += 1


def _saturate(url: str, seconds: float, toll: Toll) -> None:
    patient = Sender("patient", url, "patient", in_flight=_CLIENTS, rest=_REST)
    urgent = Sender("urgent", url, "urgent", rate=1.0)
    toll.results = measure(Plan([patient, urgent], seconds))


def most_in(seconds: float) -> int:
    """Requests that the limits allow in a time at most: as many as ever, as soon as ever."""
    sent: list[float] = []
    while True:
        moment = max(
            (sent[-amount] + period for amount, period in _LIMITS if len(sent) >= amount),
            default=0.0,
        )
        if moment > seconds:
            return len(sent)
        sent.append(moment)


def restart_rows(toll: Toll, *, restarts: int) -> Iterator[Row]:
    """What the restarts came to."""
    verdict = toll.verdict
    yield at_most(f"{restarts} restarts: attempts over any limit", verdict["over"], 0, digits=0)
    yield at_most("... refused by the API", verdict["refused"], 0, digits=0)
    for window in verdict["worst"]:
        least = int(window["amount"] * _FULL)
        shown = f"... fullest window of {window['limit']}"
        yield at_least(shown, window["worst"], least, digits=0)
    failed = sum(1 for code in toll.codes if code)
    yield at_most(
        f"... of {len(toll.codes)} SIGTERMs, ended otherwise than with 0", failed, 0, digits=0
    )
    bound = most_in(verdict["seconds"])
    used = verdict["attempts"] / bound * 100
    shown = f"used of what the limits allow at most ({verdict['attempts']} of {bound})"
    yield Row(shown, f"{used:.0f} %")
    for name, times in toll.ready.items():
        shown = f"from a start after {name} to its first attempt, median of {len(times)}"
        yield Row(f"{shown} (most {max(times):.2f} s)", f"{middle(times):.2f} s")
    yield Row("starts whose five seconds were over before they might send", str(toll.mute))
    for name, result in toll.results.items():
        many = ", ".join(f"{status}: {count}" for status, count in sorted(result.statuses.items()))
        yield Row(f"client {name}: {many}", str(result.answered))


def takeover_rows(folder: Path, *, takeovers: int) -> Iterator[Row]:
    """How long nobody sends when one process goes and another has waited for that."""
    (folder / "api").mkdir()
    limits = ["10000 requests / minute"]
    with (
        simulator(folder / "api") as api,
        _housed(folder, api, limits),
    ):
        owner, other = House(folder, free_port()), House(folder, free_port())
        owner.start()
        until_answered(f"{owner.url}/readyz")
        try:
            for how, count in ((signal.SIGTERM, takeovers), (signal.SIGKILL, takeovers // 2)):
                times: list[float] = []
                for _ in range(count):
                    times.append(_hand_over(owner, other, how=how))
                    owner, other = other, owner
                yield _handed(how, times)
        finally:
            owner.end(signal.SIGTERM)


def _handed(how: signal.Signals, times: list[float]) -> Row:
    shown = f"from the end by {how.name} to the other's first answer, worst of {len(times)}"
    shown = f"{shown} (median {middle(times):.2f} s)"
    worst = max(times, default=float("nan"))
    if how is signal.SIGTERM:
        return at_most(shown, worst, _TAKEOVER, unit=" s")
    return Row(shown, f"{worst:.2f} s")


def _hand_over(owner: House, other: House, *, how: signal.Signals) -> float:
    """Seconds in which nobody was answered."""
    other.start()
    other.until_idle()
    stop = threading.Event()
    busy = threading.Thread(target=_keep_busy, args=(owner, stop))
    busy.start()
    answered: list[float] = []
    asking = threading.Thread(target=_until_served, args=(other, answered))
    asking.start()
    time.sleep(0.2)
    owner.end(how)
    ended = time.perf_counter()
    asking.join()
    stop.set()
    busy.join()
    return answered[0] - ended if answered else float("inf")


def _keep_busy(house: House, stop: threading.Event) -> None:
    while not stop.is_set():
        _ask(house)
        time.sleep(_LOOK)


def _until_served(house: House, answered: list[float]) -> None:
    until = time.perf_counter() + _PATIENCE
    while time.perf_counter() < until:
        if _ask(house) == 200:
            answered.append(time.perf_counter())
            return
        time.sleep(_LOOK)


def _ask(house: House) -> int:
    """Ask something; gives the status, 0 when nobody answers."""
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
    connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=10)
    with suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status
    connection.close()
    return 0


def main() -> int:
    """Print the table.

    Returns:
        1 if a "must" does not hold.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--takeovers", type=int, default=10)
    arguments = parser.parse_args()
    warn_if_busy()
    failed = 0
    if restarts := arguments.restarts:
        with TemporaryDirectory(prefix="restarts-") as folder:
            toll = restart(Path(folder), restarts=restarts)
        failed += show(restart_rows(toll, restarts=restarts), title="restarted under saturation")
    if takeovers := arguments.takeovers:
        with TemporaryDirectory(prefix="restarts-") as folder:
            found = takeover_rows(Path(folder), takeovers=takeovers)
            failed += show(found, title="two processes on one store")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
