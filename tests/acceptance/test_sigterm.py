"""SIGTERM: nothing new is sent, what is under way is answered, the rest is kept, the end is 0."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired

import pytest

from tests.acceptance.faulty import Call, ask
from tests.acceptance.processes import simulator, supervisor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ROLE = """
from supervisor import Context, Role


class Steps(Role[int, list[str]]):
    concurrency = 4

    async def handle(self, job: int, ctx: Context) -> list[str]:
        return [(await ctx.ask(f"job {job} step {step}")).text for step in range(3)]
"""


def test_it_drains(tmp_path: Path) -> None:
    """Answers under way arrive, who waits is told, jobs go on later; more change nothing."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "steps.py").write_text(ROLE)
    limits = 'quota.limits=["4 requests / 1h"]', "roles.steps.ceiling=[]"
    with simulator(tmp_path, "--latency", "1500ms") as api, ThreadPoolExecutor(8) as clients:
        settings = (f"upstream.base_url={api.base}/v1", "clients.ide.ceiling=[]")
        with supervisor(tmp_path, *settings, *limits) as house:
            job = house.post("/api/jobs", {"role": "steps", "input": 1})["id"]
            calls = [clients.submit(ask, house, "ide") for _ in range(6)]
            # The last of these is under way still, and there are no more in this hour.
            api.wait_until(lambda: api.get("/_simulator/report")["attempts"] == 4, "four attempts")
            # As platforms do, to the last moment of the process.
            while house.popen.poll() is None:
                house.popen.send_signal(signal.SIGTERM)
                with suppress(TimeoutExpired):
                    house.popen.wait(0.001)
            assert house.popen.wait(30) == 0
            ends: list[Call] = [call.result(10) for call in calls]
            assert api.get("/_simulator/report")["attempts"] == 4
            assert house.log.read_text().count("app.stopping") == 1
        assert {end.code for end in ends} == {"", "draining"}
        assert sum(end.status == 200 for end in ends) in {3, 4}
        api.post("/_simulator/settings", {"latency": "0s"})
        with supervisor(tmp_path, *settings, "quota.enabled=false") as house:
            assert house.get(f"/api/jobs/{job}?wait=20s")["status"] == "done"
            assert house.stop() == 0
