"""Two processes on one store: one owns the key, the other waits, ready, until it has gone."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.acceptance.processes import Process, started, supervisor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def status(process: Process, path: str) -> tuple[int, dict[str, object]]:
    """What a path answers, errors too."""
    try:
        with urllib.request.urlopen(f"{process.base}{path}", timeout=5) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("end", [Process.stop, Process.kill], ids=["stop", "kill"])
def test_the_second_takes_over(tmp_path: Path, end: Callable[[Process], object]) -> None:
    """While the first runs, the second is alive and idle; when it ends the second is the owner."""
    (tmp_path / "roles").mkdir()
    arguments = ["run", "--simulate", "--set", "web.port=0"]
    with (
        supervisor(tmp_path, simulate=True) as first,
        started(arguments, tmp_path, name="second", ready="web.started") as second,
    ):
        code, answer = status(second, "/readyz")
        assert (code, answer["status"]) == (503, "unavailable")
        assert "another process owns the key" in str(answer["reason"])
        assert status(second, "/livez")[0] == 200
        assert status(second, "/health") == (200, {**answer, "status": "waiting"})
        code, answer = status(second, "/api/stats")
        assert (code, answer["error"]["code"]) == (503, "not_owner")  # type: ignore[index]
        end(first)
        gone = time.perf_counter()
        text = second.wait_for("ready:")
        assert time.perf_counter() - gone < 10, text
        assert second.stop() == 0


def test_who_waits_can_be_stopped(tmp_path: Path) -> None:
    """SIGTERM ends a process that waits, with 0, and the owner goes on."""
    (tmp_path / "roles").mkdir()
    arguments = ["run", "--simulate", "--set", "web.port=0"]
    with supervisor(tmp_path, simulate=True) as first:
        with started(arguments, tmp_path, name="second", ready="web.started") as second:
            second.popen.send_signal(signal.SIGTERM)
            assert second.popen.wait(20) == 0
        assert status(first, "/readyz")[0] == 200
