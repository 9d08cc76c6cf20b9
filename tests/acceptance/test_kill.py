"""After `kill -9` unfinished jobs go on, and what was answered is not asked again."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.processes import ROOT, Process, simulator, supervisor

# Real processes, several in a row: on a busy machine each needs seconds to start.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ROLE = """
from supervisor import Context, Role


class Steps(Role[int, list[str]]):
    concurrency = 4

    async def handle(self, job: int, ctx: Context) -> list[str]:
        return [(await ctx.ask(f"job {job} step {step}")).text for step in range(5)]
"""

WORKER = """
from supervisor import Brief, Context, Role


class Worker(Role[Brief, str]):
    async def handle(self, job: Brief, ctx: Context) -> str:
        return (await ctx.ask(job.task)).text
"""

JOBS = 6


def ended_jobs(process: Process, ids: list[str]) -> list[dict[str, Any]]:
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
            jobs = ended_jobs(process, ids)
            assert process.stop() == 0
        attempts = api.get("/_simulator/report")["attempts"]
    assert Counter(job["status"] for job in jobs) == {"done": JOBS}
    assert attempts <= JOBS * 5 + 2 * 4


def answered_at_least(process: Process, count: int, *, role: str = "steps") -> None:
    """Wait until so many attempts of the role were answered by this process."""
    while process.get("/health")["roles"][role]["answered"] < count:
        pass


def test_a_killed_goal_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed while its tasks run, a goal keeps its plan and what they came to."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "worker.py").write_text(WORKER)
    shutil.copytree(ROOT / "roles" / "ceo", tmp_path / "roles" / "ceo")
    needs: dict[str, list[str]] = {"a": [], "b": [], "c": ["a", "b"], "d": ["c"]}
    rest = {"role": "worker", "done_when": "", "max_calls": None, "max_usd": None}
    tasks = [{"id": id, "instruction": id, "needs": needs[id], **rest} for id in needs]
    script = tmp_path / "script.json"
    rule = {"system": "You plan work", "json": {"tasks": tasks}}
    script.write_text(json.dumps({"answers": [rule]}))
    with simulator(tmp_path, "--latency", "80ms", "--script", str(script)) as api:
        settings = (f"upstream.base_url={api.base}/v1", "quota.enabled=false")
        with supervisor(tmp_path, *settings) as process:
            goal = {"goal": "all of it", "max_usd": "1"}
            job = process.post("/api/jobs", {"role": "ceo", "input": goal})["id"]
            answered_at_least(process, 2, role="worker")
            process.kill()
        with supervisor(tmp_path, *settings) as process:
            (ended,) = ended_jobs(process, [job])
            children = process.get("/api/jobs?role=worker")["jobs"]
            assert process.stop() == 0
        attempts = api.get("/_simulator/report")["attempts"]
    assert ended["result"]["status"] == "done"
    assert [one["id"] for one in ended["result"]["done"]] == [*needs]
    assert len(children) == len(needs)
    assert attempts <= 1 + len(needs) + 1 + 1
