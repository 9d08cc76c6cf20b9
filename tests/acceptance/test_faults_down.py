"""An API that is down or says "too much": all wait together, and go on by themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from supervisor.simulator.tally import caller_label
from tests.acceptance.faulty import (
    CLIENTS,
    Bench,
    Call,
    ask,
    bench,
    check_ends,
    check_log,
)
from tests.acceptance.processes import KEY, simulator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ROLE = """
from supervisor import Context, Role


class Steps(Role[int, list[str]]):
    concurrency = 4
    ceiling = ()

    async def handle(self, job: int, ctx: Context) -> list[str]:
        return [(await ctx.ask(f"job {job} step {step}")).text for step in range(3)]
"""
BODY = {"model": "grok-4.7", "messages": [{"role": "user", "content": "hello"}]}
LIMIT = "50 requests / 2s"
DOWN = 3.0
"""Seconds; `python -m benchmarks.faults` takes a minute."""


@pytest.fixture
def one(tmp_path: Path, free_port: int) -> Iterator[Bench]:
    """An API that can come back where it was, and a house with a role and patient callers."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "steps.py").write_text(ROLE)
    limits = f'quota.limits=["{LIMIT}"]'
    patience = "upstream.patience=1m", "roles.steps.ceiling=[]"
    with bench(tmp_path, limits, *patience, port=free_port, limits=[LIMIT]) as made:
        yield made
        assert made.house.stop() == 0
        check_log(made.house)


def test_down_for_a_while(one: Bench) -> None:
    """Nobody listens, and then somebody does: all calls and jobs are answered, few sent in vain."""
    one.set(latency="100ms")
    house, port = one.house, int(one.api.base.rpartition(":")[2])
    with ThreadPoolExecutor(16) as clients:
        jobs = [house.post("/api/jobs", {"role": "steps", "input": n})["id"] for n in range(4)]
        one.api.kill()
        calls = [
            clients.submit(ask, house, client, stream=stream)
            for client in CLIENTS
            for stream in (False, True)
        ]
        house.wait_for("broker.api_down")
        began = time.perf_counter()
        while time.perf_counter() - began < DOWN:
            health = house.get("/health")
            assert health["status"] == "halted"
            assert "the API has answered nobody" in health["reason"]
            house.wait_a_moment("the API is back")
        with simulator(one.folder, "--limit", LIMIT, port=port) as api:
            check_ends([call.result() for call in calls], within=DOWN + 30)
            assert [call.result().code for call in calls] == [""] * len(calls)
            for job in jobs:
                assert house.get(f"/api/jobs/{job}?wait=20s")["status"] == "done"
            house.wait_for("broker.api_back")
            report = api.get("/_simulator/report")
            assert (report["over"], report["refused"]) == (0, 0)
    attempts = sum(one["attempts"] for one in house.get("/api/stats")["broker"]["classes"])
    needed = len(calls) + 3 * len(jobs)
    assert attempts <= needed + 4 * (len(calls) + len(jobs))


@pytest.mark.parametrize("retry_after", [None, 2], ids=["no Retry-After", "Retry-After"])
def test_too_much(one: Bench, retry_after: float | None) -> None:
    """One refusal holds everybody back; a probe goes, and all are answered when there is room."""
    one.set(limits=["1 requests / 1h"], retry_after=retry_after)
    with ThreadPoolExecutor(12) as clients:
        first: Future[Call] = clients.submit(ask, one.house, "bot")
        assert first.result().code == ""
        calls = [clients.submit(ask, one.house, client) for client in CLIENTS * 4]
        one.house.wait_for("broker.paused")
        one.settled_arrivals()
        refusals, arrived = look(one)
        began = time.perf_counter()
        while time.perf_counter() - began < (0.6 if retry_after is None else 1.5):
            # Nobody goes but a probe at the end of each pause, and each is refused.
            more, attempts = look(one)
            assert attempts - arrived == more - refusals
            assert attempts - arrived <= (time.perf_counter() - began) / (retry_after or 1) + 1
            one.house.wait_a_moment("the limit was lifted")
        one.set(limits=[LIMIT])
        ends = check_ends([call.result() for call in calls])
    assert ends == {"": len(calls)}
    assert arrived <= 1 + len(calls)


def look(one: Bench) -> tuple[int, int]:
    """Refusals in a row and arrivals, at a moment of a pause in which no probe is under way."""

    def found() -> tuple[int, int] | None:
        before, arrived, after = pause(), one.report["attempts"], pause()
        return (after["refusals"], arrived) if before == after and not after["probing"] else None

    def pause() -> dict[str, int]:
        shown: dict[str, int] = one.house.get("/health")["pause"]
        return shown

    look = one.house.wait_until(found, "a pause without a probe")
    assert look is not None
    return look


def test_the_limit_is_halved(one: Bench) -> None:
    """A server that grants half of what it did is found out, and everybody is answered."""
    one.set(limits=["20 requests / 2s"])
    with ThreadPoolExecutor(45) as clients:
        calls = [clients.submit(ask, one.house, client) for client in CLIENTS * 15]
        ends = check_ends([call.result() for call in calls], within=40)
        report = one.report
    assert ends == {"": len(calls)}
    assert 0 < report["refused"] <= 12
    assert "broker.paused" in one.house.log.read_text()


def test_somebody_else_uses_the_key(one: Bench) -> None:
    """Another program takes a part of the limit: ours keep to the rest, and all are answered."""
    gone = threading.Event()

    def somebody() -> None:
        while not gone.wait(0.1):
            one.api.post("/v1/chat/completions", BODY, authorization="Bearer xai-somebody-else")

    with ThreadPoolExecutor(41) as clients:
        asking = clients.submit(somebody)
        try:
            one.house.wait_until(lambda: one.report["attempts"] >= 10, "ten attempts of theirs")
            assert ask(one.house, "bot").code == ""
            calls = [clients.submit(ask, one.house, client) for client in CLIENTS * 20]
            ends = check_ends([call.result() for call in calls], within=40)
        finally:
            gone.set()
        asking.result()
    assert ends == {"": len(calls)}
    ours = one.report["bearers"][caller_label(KEY)]
    assert ours["refused"] <= 5
    (window,) = one.house.get("/health")["windows"]
    assert 0 < window["others"] <= 30
