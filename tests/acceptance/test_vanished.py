"""The store is removed under a process at work: nothing is forgotten, and nobody else sends."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.processes import Process, simulator, started, supervisor
from tests.acceptance.test_owner import status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

BODY = {"model": "grok-4.7", "messages": [{"role": "user", "content": "hello"}]}
CLIENTS = 4


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the second may be quicker")
def test_a_removed_folder_forgets_nothing(tmp_path: Path) -> None:
    """The first goes on, the second waits, and after a kill has the windows that the first had."""
    (tmp_path / "roles").mkdir()
    data = tmp_path / "data"
    with simulator(tmp_path) as api, ThreadPoolExecutor(CLIENTS) as clients:
        settings = f"upstream.base_url={api.base}/v1", 'quota.limits=["1000 requests / hour"]'
        words = [word for setting in (*settings, "web.port=0") for word in ("--set", setting)]
        with supervisor(tmp_path, *settings) as first:
            ask(first)
            asking = [clients.submit(ask, first, times=10) for _ in range(CLIENTS)]
            shutil.rmtree(data)
            with started(["run", *words], tmp_path, name="second", ready="web.started") as second:
                code, answer = status(second, "/readyz")
                assert (code, "another process owns the key" in str(answer["reason"])) == (503, 1)
                first.wait_for("app.owner_regained")
                for one in asking:
                    one.result(20)
                shutil.rmtree(data)
                ask(first)
                first.kill()
                owner = replace(second, base=second.wait_for("ready:").split()[1])
                ask(owner)
                sent = api.get("/_simulator/report")["attempts"]
                health = owner.get("/health")
                assert second.stop() == 0
        log = first.log.read_text()
    assert sent == 1 + 10 * CLIENTS + 1 + 1
    # What was granted when the lock vanished is not sent, and keeps its place.
    stale = (log + second.log.read_text()).count("broker.grant_stale")
    assert health["windows"][0]["used"] == sent + stale
    assert health["clients"]["gateway"]["attempts"] == sent
    assert ("ledger.rescued" in log, "its file" in log) == (True, True)
    assert "Traceback" not in log, log


def ask(process: Process, *, times: int = 1) -> None:
    """Ask through the gateway; an error fails."""
    for _ in range(times):
        process.post("/v1/chat/completions", BODY)
