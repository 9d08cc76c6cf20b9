"""After `kill -9` unfinished jobs go on, and what was answered is not asked again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kills import Killable, Plan, begin_program, endure, program_environment
from tests.acceptance.processes import ROOT, Process, simulator, supervisor
from tests.forks import Order, can_fork, fork

# Real processes, several in a row: on a busy machine each needs seconds to start.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

_TOKENS = ("prompt", "completion", "reasoning")

WORKER = """
from supervisor import Brief, Context, Role


class Worker(Role[Brief, str]):
    async def handle(self, job: Brief, ctx: Context) -> str:
        return (await ctx.ask(job.task)).text
"""


PATIENT = """
from supervisor import Context, Role


class Patient(Role[str, str]):
    deferred = True

    async def handle(self, job: str, ctx: Context) -> str:
        return (await ctx.ask(job)).text
"""


def ended_jobs(process: Process, ids: list[str]) -> list[dict[str, Any]]:
    """The jobs once all have ended."""
    return [process.get(f"/api/jobs/{job}?wait=15s") for job in ids]


def begin(words: Sequence[str], folder: Path, errors: int) -> Killable:
    """Start a supervisor without the imports' time: no kill meets those."""
    order = Order("supervisor", words, str(folder), program_environment())
    return (
        fork(order, stderr=errors, stdout=errors)
        if can_fork()
        else begin_program(words, folder, errors)
    )


def test_kills_at_random_moments_lose_nothing_and_ask_nothing_twice(tmp_path: Path) -> None:
    """Every job ends once with all its answers; each kill repeats at most the asks in flight."""
    plan = Plan(jobs=12, asks=5, kills=3, slots=4, latency=0.1, life=1.5, seed=3)
    toll = endure(plan, tmp_path, begin=begin)
    assert toll.done == plan.jobs
    assert max(toll.ends.values()) == 1
    assert set(toll.answers.values()) == {plan.asks}
    assert max(toll.in_flight) <= plan.slots
    assert toll.attempts == plan.jobs * plan.asks + sum(toll.in_flight)
    assert toll.asked_again <= sum(toll.in_flight)


def answered_at_least(process: Process, count: int, *, role: str) -> None:
    """Wait until so many attempts of the role were answered by this process."""
    process.wait_until(
        lambda: process.get("/health")["roles"][role]["answered"] >= count,
        f"{count} answers for {role}",
    )


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
    # A plan, its tasks, a report; and again what no job had on record yet when it was killed: at
    # most `a` and `b`, whose answers had just come, or `c`.
    assert attempts <= 1 + len(needs) + 1 + 2


def test_a_killed_process_fetches_what_was_promised(tmp_path: Path) -> None:
    """Answers in flight at a kill are fetched after it: nothing is posted, or paid, twice."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "patient.py").write_text(PATIENT)
    asked = ["a", "b", "c"]
    with simulator(tmp_path, "--latency", "1500ms") as api:
        settings = (f"upstream.base_url={api.base}/v1",)
        with supervisor(tmp_path, *settings) as process:
            jobs = [
                process.post("/api/jobs", {"role": "patient", "input": one})["id"] for one in asked
            ]
            process.wait_for("broker.answer_deferred", times=len(asked))
            why = process.get("/health")["roles"]["patient"]["why"]
            process.kill()
        with supervisor(tmp_path, *settings) as process:
            ended = ended_jobs(process, jobs)
            usage = process.get("/api/usage")["usage"]
            assert process.stop() == 0
        posts = api.get("/_simulator/report")["attempts"]
    assert "waits for the deferred answer" in why
    assert [(one["status"], one["runs"]) for one in ended] == [("done", 2)] * 3
    assert posts == len(asked)
    tokens = sum(one["cost"]["tokens"] for one in ended)
    assert [one["answered"] for one in usage] == [len(asked)]
    assert sum(one[kind] for one in usage for kind in _TOKENS) == tokens > 0
