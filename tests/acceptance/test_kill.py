"""After `kill -9` unfinished jobs go on, and what was answered is not asked again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.processes import Process, simulator, supervisor

pytestmark = pytest.mark.slow

ROLE = """
from supervisor import Context, Role


class Steps(Role[int, list[str]]):
    concurrency = 4

    async def handle(self, job: int, ctx: Context) -> list[str]:
        return [(await ctx.ask(f"job {job} step {step}")).text for step in range(5)]
"""

JOBS = 6


def ended(process: Process, ids: list[str]) -> list[dict[str, object]]:
    """The jobs once all have ended."""
    return [process.get(f"/api/jobs/{job}?wait=15s") for job in ids]


def test_nothing_answered_is_asked_twice(tmp_path: Path) -> None:
    """Two kills in the middle cost at most the asks in flight at each."""
    roles = tmp_path / "roles"
    roles.mkdir()
    (roles / "steps.py").write_text(ROLE)
    with simulator(tmp_path, "--latency", "60ms") as api:
        settings = (f"upstream.base_url={api.base}/v1", "quota.enabled=false")
        with supervisor(tmp_path, *settings) as process:
            ids = [
                process.post("/api/jobs", {"role": "steps", "input": number})["id"]
                for number in range(JOBS)
            ]
            answered_at_least(process, 5)
            process.kill()
        with supervisor(tmp_path, *settings) as process:
            answered_at_least(process, 5)
            process.kill()
        with supervisor(tmp_path, *settings) as process:
            jobs = ended(process, ids)
            assert process.stop() == 0
        attempts = api.get("/_simulator/report")["attempts"]
    assert Counter(job["status"] for job in jobs) == {"done": JOBS}
    assert attempts <= JOBS * 5 + 2 * 4


def answered_at_least(process: Process, count: int) -> None:
    """Wait until so many attempts of the role were answered by this process."""
    while process.get("/health")["roles"]["steps"]["answered"] < count:
        pass
