"""Clients of a house whose API is at fault, and how their calls ended."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.processes import Process

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


@dataclass(frozen=True, slots=True)
class Call:
    """How a call ended.

    Attributes:
        status: HTTP status; that of a stream is 200 once it has begun.
        code: Of the error; empty for an answer.
        seconds: How long it took.
        attempts: HTTP requests that were sent for it; 0 where it is not said.
        dropped: The connection was dropped at its end, as it must be for a stream that broke off.
    """

    status: int
    code: str
    seconds: float
    attempts: int = 0
    dropped: bool = False


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
    body = {
        "model": "grok-4.7",
        "messages": [{"role": "user", "content": f"hello {client}"}],
        "stream": stream,
    }
    headers = {"content-type": "application/json", "authorization": f"Bearer {client}"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        data, dropped = _read(response)
    finally:
        connection.close()
    took = time.perf_counter() - began
    attempts = int(response.headers.get("x-supervisor-attempts", 0))
    code = _code(response.status, data, stream=stream)
    return Call(response.status, code, took, attempts, dropped)


def _read(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    try:
        return response.read(), False
    except http.client.IncompleteRead as cut:
        return cut.partial, True


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
    code = document["error"]["code"]
    assert document["error"]["message"], document
    return str(document["code"]) if code is None else str(code)


def ask_all(
    house: Process, clients: Sequence[str], count: int, *, streams: bool = True, apart: float = 0.0
) -> list[Call]:
    """Calls of all clients side by side, half of them streamed, until all have ended."""
    with ThreadPoolExecutor(len(clients) * count) as pool:
        calls = [
            pool.submit(ask, house, client, stream=streams and bool(number % 2))
            for number in range(count)
            for client in clients
        ]
        return [call.result() for call in calls]


def settle(house: Process) -> None:
    """Wait until nothing waits and nothing is under way."""
    while any(one["queued"] or one["in_flight"] for one in house.get("/api/queue")["classes"]):
        pass


def open_files(house: Process) -> int:
    """File descriptors of the process."""
    return len(os.listdir(f"/proc/{house.popen.pid}/fd"))


def resident(house: Process) -> int:
    """Bytes of the process that are in memory."""
    fields = Path(f"/proc/{house.popen.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
