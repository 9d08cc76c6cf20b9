"""A key under full load whose owner is killed again and again: the API must not notice."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.acceptance.processes import Process, simulator, supervisor

LIMITS = ["10 requests / 1s", "24 requests / 4s"]
LIVES = 5
EACH = 6
"""Attempts of a life, five of which fill the longer window and go on into the next."""
BODY = {"model": "grok-4.7", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_kills_under_saturation_exceed_no_limit(tmp_path: Path) -> None:
    """However often the process is killed, the windows go on where they were: 0 over a limit."""
    (tmp_path / "roles").mkdir()
    report = _live(tmp_path)
    assert report["over"] == 0
    assert report["refused"] == 0
    # Nothing is lost to caution either: each life has got its part.
    assert report["attempts"] >= LIVES * EACH > 24


def _live(folder: Path) -> dict[str, int]:
    limits = f"quota.limits={LIMITS}".replace("'", '"')
    told = [f"--limit={limit}" for limit in LIMITS]
    with simulator(folder, *told) as api, ThreadPoolExecutor(12) as clients:
        for life in range(LIVES):
            settings = f"upstream.base_url={api.base}/v1", limits
            with supervisor(folder, *settings) as house:
                for _ in range(12):
                    clients.submit(_ask_on, house)
                _until_arrived(api, EACH * (life + 1))
                house.kill()
        return _report(api)


def _until_arrived(api: Process, count: int) -> None:
    api.wait_until(lambda: _report(api)["attempts"] >= count, f"{count} attempts")


def _report(api: Process) -> dict[str, int]:
    report: dict[str, int] = api.get("/_simulator/report")
    return report


def _ask_on(house: Process) -> None:
    """Ask for as long as somebody answers."""
    with suppress(URLError, OSError, http.client.HTTPException):
        while True:
            house.post("/v1/chat/completions", BODY)
