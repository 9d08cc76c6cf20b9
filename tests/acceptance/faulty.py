"""A house whose API is at fault: its clients, how their calls ended, and what must not be left."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.processes import KEY, Process, simulator, supervisor

CLIENTS = ("editor", "bot", "batch")
ERRORS = {
    "deadline_exceeded",
    "draining",
    "key_unusable",
    "queue_full",
    "quota_refused",
    "upstream_error",
    "upstream_rejected",
    "upstream_unavailable",
}
"""Codes that a call may end with, whatever the API does."""
SETTINGS = (
    "upstream.timeout=400ms",
    "upstream.connect_timeout=400ms",
    "upstream.longest_answer=800ms",
    "upstream.max_retries=1",
    "upstream.patience=500ms",
    "quota.jitter=100ms",
    'clients.editor={priority="high", ceiling=[]}',
    "clients.bot={ceiling=[]}",
    'clients.batch={priority="low", ceiling=[]}',
)
"""A fault shows in a second and not in ten minutes."""
ENDLESS = 15.0
"""Seconds after which a call with these settings counts as one that never ends: two attempts of a
second, a retry's delay, a pause or two, and a machine that has other things to do."""


@dataclass(frozen=True, slots=True)
class Call:
    """How a call ended.

    Attributes:
        status: HTTP status; that of a stream is 200 once it has begun.
        code: Of the error; empty for an answer.
        seconds: How long it took.
        attempts: HTTP requests that were sent for it; 0 where it is not said.
        clean: Its connection was not dropped; an answer's never is, a broken stream's must be.
    """

    status: int
    code: str
    seconds: float
    attempts: int = 0
    clean: bool = True


def ask(house: Process, client: str, *, stream: bool = False, patience: float = 30.0) -> Call:
    """Make one call and wait for its end.

    Args:
        house: Whom to ask.
        client: Who asks.
        stream: Whether the answer is to come as events.
        patience: Seconds of silence after which it counts as hanging, which is an error.
    """
    began = time.perf_counter()
    parts = urlsplit(house.base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=patience)
    question = {"role": "user", "content": f"hello {client}"}
    body = {"model": "grok-4.7", "messages": [question], "stream": stream}
    headers = {"content-type": "application/json", "authorization": f"Bearer {client}"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        data, clean = _read(response)
    finally:
        connection.close()
    took = time.perf_counter() - began
    attempts = int(response.headers.get("x-supervisor-attempts", 0))
    code = _code(response.status, data, stream=stream)
    code = response.headers.get("x-supervisor-error", code)
    return Call(response.status, code, took, attempts, clean)


def _read(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    try:
        return response.read(), True
    except http.client.IncompleteRead as cut:
        return cut.partial, False


def _code(status: int, data: bytes, *, stream: bool) -> str:
    """The error's code; empty for a whole answer.

    Raises:
        AssertionError: It is neither.
    """
    if status == 200 and stream:
        if data.rstrip().endswith(b"data: [DONE]"):
            return ""
        data = data.rstrip().rpartition(b"data: ")[2]
    document: Any = json.loads(data)
    if status == 200 and not stream:
        assert document["choices"][0]["message"]["content"], document
        return ""
    assert document["error"]["message"], document
    return str(document["error"]["code"])


@dataclass(frozen=True, slots=True)
class Bench:
    """A simulated API and a house on it, each a process of its own.

    Attributes:
        api: The simulator.
        house: The supervisor.
        folder: Where both have their files.
    """

    api: Process
    house: Process
    folder: Path

    def set(self, **settings: Any) -> None:
        """Have the API behave differently from now on."""
        self.api.post("/_simulator/settings", settings)

    @contextmanager
    def fault(self, **faults: float) -> Generator[None]:
        """Faults that befall the API while the block lasts; the judge has forgotten all before."""
        self.api.post("/_simulator/reset", {})
        self.set(faults=faults)
        try:
            yield
        finally:
            self.set(faults=dict.fromkeys(faults, 0.0))

    @property
    def report(self) -> dict[str, Any]:
        """What the judge says."""
        report: dict[str, Any] = self.api.get("/_simulator/report")
        return report

    def ask_all(self, count: int = 2, *, streams: Sequence[bool] = (False, True)) -> list[Call]:
        """So many calls of every client in every form, side by side, until all have ended."""
        forms = [(client, stream) for _ in range(count) for client in CLIENTS for stream in streams]
        with ThreadPoolExecutor(len(forms)) as pool:
            calls = [pool.submit(ask, self.house, who, stream=stream) for who, stream in forms]
            return [call.result() for call in calls]

    def settle(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        self.house.wait_until(
            lambda: not any(one["queued"] or one["in_flight"] for one in self._classes()),
            "nothing waiting and nothing under way",
        )

    def settled_arrivals(self) -> None:
        """Wait until what was under way to the API has arrived there and was answered."""
        self.house.wait_until(
            lambda: not any(one["in_flight"] for one in self._classes()), "nothing under way"
        )

    def _classes(self) -> list[dict[str, Any]]:
        classes: list[dict[str, Any]] = self.house.get("/api/queue")["classes"]
        return classes

    def weigh(self) -> tuple[int, int]:
        """Open files of the house, and its bytes in memory."""
        place = Path(f"/proc/{self.house.popen.pid}")
        pages = int((place / "statm").read_text().split()[1])
        return len(os.listdir(place / "fd")), pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def bench(
    folder: Path, *settings: str, port: int = 0, host: str = "127.0.0.1", **simulated: Any
) -> Generator[Bench]:
    """A bench for as long as the block lasts.

    Args:
        folder: Where its files are.
        settings: More of the supervisor's.
        port: Of the API; 0 for a free one.
        host: By which name the supervisor looks for it.
        simulated: Settings of the API.
    """
    (folder / "roles").mkdir(exist_ok=True)
    with ExitStack() as stack:
        options = [f"--option={name}={json.dumps(value)}" for name, value in simulated.items()]
        api = stack.enter_context(simulator(folder, *options, port=port))
        base = f"upstream.base_url={api.base}/v1".replace("127.0.0.1", host)
        house = stack.enter_context(supervisor(folder, base, *SETTINGS, *settings))
        yield Bench(api, house, folder)


# -- the laws -------------------------------------------------------------------------------------


def check_ends(calls: Sequence[Call], *, within: float = ENDLESS) -> Counter[str]:
    """Every call has an answer or a typed error, in time; a broken stream is never a clean end.

    Returns:
        How often each code came; the empty one is an answer.
    """
    for call in calls:
        assert call.code in ERRORS | {""}, call
        assert call.seconds < within, call
        assert call.clean == (call.status != 200 or not call.code), call
        assert (call.status < 400) == (not call.code or not call.clean), call
    return Counter(call.code for call in calls)


def check_log(house: Process) -> None:
    """No traceback, no crash, and no key."""
    log = house.log.read_text()
    for mark in ("Traceback", "crashed", "blocked", KEY):
        assert mark not in log, log


def check_well(one: Bench) -> None:
    """After a fault everybody is answered, by itself and at once."""
    calls = one.ask_all(1)
    assert check_ends(calls) == {"": len(calls)}, calls
    one.settle()
