"""Schedules of a real process: shown, run, what is wrong with them, and kept over a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.processes import supervisor

ROLE = """
from supervisor import Context, Role


class Echo(Role[list[int], int]):
    async def handle(self, job: list[int], ctx: Context) -> int:
        return len(job)
"""
CONFIG = """
[[schedule]]
cron = "0 3 29 2 *"
role = "echo"
input = [1, 2, 3]

[[schedule]]
cron = "@yearly"
role = "nobody"

[[schedule]]
cron = "@yearly"
role = "echo"
input = "no list"
name = "wrong"
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_schedules_work_and_survive(tmp_path: Path) -> None:
    """A good one hands in its job, a wrong one says why it cannot, and a kill changes neither."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "echo.py").write_text(ROLE)
    (tmp_path / "config.toml").write_text(CONFIG)
    with supervisor(tmp_path, simulate=True) as process:
        job = process.post("/api/schedules/echo/run", None)
        ended = process.get(f"/api/jobs/{job['id']}?wait=15s")
        process.wait_for("jobs.schedule_refused")
        before = process.get("/api/schedules")["schedules"]
        health = process.get("/health")
        process.kill()
    with supervisor(tmp_path, simulate=True) as process:
        after = process.get("/api/schedules")["schedules"]
        assert process.stop() == 0
    assert (ended["status"], ended["result"]) == ("done", 3)
    problems = {each["name"]: each["problem"] for each in before}
    assert list(problems) == ["echo", "nobody", "wrong"]
    assert problems["echo"] == ""
    assert 'no role is called "nobody"' in problems["nobody"]
    assert "echo does not take this input" in problems["wrong"]
    assert {name: each["problem"] for name, each in health["schedules"].items()} == problems
    assert before[0]["job"] == after[0]["job"] == job["id"]
    assert before[0]["next"] == after[0]["next"]
    assert after[0]["job_status"] == "done"
