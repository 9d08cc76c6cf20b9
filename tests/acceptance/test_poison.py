"""A handler that ends the whole process is found out, and costs the others nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.processes import supervisor

# Real processes, four in a row.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

FATAL = """
import os

from supervisor import Context, Role
from supervisor.jobs import suspects

suspects.FIRST_DELAY = 0.01


class Fatal(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        if job == "die":
            os._exit(7)
        return (await ctx.ask(job)).text
"""


def test_who_ends_the_process_is_set_aside_after_the_third_time(tmp_path: Path) -> None:
    """The fourth process says so, and does what the others have left."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "fatal.py").write_text(FATAL)
    with supervisor(tmp_path, simulate=True) as process:
        fatal = process.post("/api/jobs", {"role": "fatal", "input": "die"})["id"]
        assert process.popen.wait(20) == 7
    for _ in range(2):
        # Before or after it has said that it is ready.
        with suppress(AssertionError), supervisor(tmp_path, simulate=True) as process:
            process.popen.wait(20)
    with supervisor(tmp_path, simulate=True) as process:
        poisoned = process.get(f"/api/jobs/{fatal}?wait=15s")
        job = process.post("/api/jobs", {"role": "fatal", "input": "hello"})["id"]
        assert process.get(f"/api/jobs/{job}?wait=15s")["status"] == "done"
        assert process.stop() == 0
    assert (poisoned["status"], poisoned["runs"]) == ("failed", 3)
    assert poisoned["error"].startswith("JobPoisoned: the process ended 3 times")
