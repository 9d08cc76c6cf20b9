"""A disk that is full for a while: nothing ends, nothing fails but who asks meanwhile."""

from __future__ import annotations

import resource
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.acceptance.processes import Process, simulator, supervisor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prlimit"),
]

WORKER = """
from supervisor import Context, Role


class Worker(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        first = await ctx.ask(job + " first")
        second = await ctx.ask(job + " second")
        return first.text + second.text
"""
QUESTION = {"model": "grok-4.7", "messages": [{"role": "user", "content": "hello"}]}


@contextmanager
def full_disk(process: Process) -> Generator[None]:
    """Let each write of the process fail, as on a full disk, but in a file's first page."""
    pid, limit = process.popen.pid, resource.RLIMIT_FSIZE
    before = resource.prlimit(pid, limit, (4096, resource.RLIM_INFINITY))
    yield
    resource.prlimit(pid, limit, before)


def refusal(process: Process, path: str, document: object) -> tuple[int, str]:
    """Status and code of what is refused."""
    with pytest.raises(HTTPError) as refused:
        process.post(path, document)
    with refused.value as response:
        return response.status or 0, response.read().decode()


def test_a_full_disk_stops_nobody_for_good(tmp_path: Path) -> None:
    """The gateway says so, jobs wait, and all go on by themselves when there is room again."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "worker.py").write_text(WORKER)
    with simulator(tmp_path, "--latency", "300ms") as api:
        with supervisor(tmp_path, f"upstream.base_url={api.base}/v1") as process:
            job = process.post("/api/jobs", {"role": "worker", "input": "hello"})["id"]
            process.wait_until(lambda: api.get("/_simulator/report")["attempts"], "an attempt")
            with full_disk(process):
                process.wait_until(lambda: process.get("/health")["jobs_trouble"], "the trouble")
                status, text = refusal(process, "/v1/chat/completions", QUESTION)
                assert (status, '"ledger_unavailable"' in text) == (503, True)
                status, text = refusal(process, "/api/jobs", {"role": "worker", "input": "more"})
                assert (status, '"job_store_error"' in text) == (503, True)
                assert process.get(f"/api/jobs/{job}")["status"] == "running"
            ended = process.get(f"/api/jobs/{job}?wait=15s")
            assert process.post("/v1/chat/completions", QUESTION)["choices"]
            health = process.get("/health")
            assert process.stop() == 0
        attempts = api.get("/_simulator/report")["attempts"]
    assert (ended["status"], health["jobs_trouble"], health["restarts"]) == ("done", "", 0)
    # The first answer came while it could not be written down: it alone was paid twice.
    assert attempts <= 2 + 1 + 1
    assert "supervisor.child_crashed" not in process.log.read_text()
