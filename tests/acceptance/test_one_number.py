"""The ledger is the one number: every door says what it says, and so does the next process."""

from __future__ import annotations

import http.client
import json
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.books import Views
from tests.acceptance.faulty import Bench, ask
from tests.acceptance.processes import Process, simulator, supervisor

ROLE = """
from supervisor import Context, Role


class Pair(Role[list[str], list[str]]):
    async def handle(self, job: list[str], ctx: Context) -> list[str]:
        return [(await ctx.ask(question)).text for question in job]
"""
CONFIG = """
[quota]
limits = ["100_000 requests / hour", "10_000_000 tokens / hour"]
jitter = "100ms"

[upstream]
max_retries = 0

[budget]
total = "50 usd / month"

[roles.pair]
budget = "1 usd / day"

[clients.editor]
priority = "high"
budget = "2 usd / day"

[clients.batch]
priority = "low"

[clients.poor]
budget = "0.0000001 usd / day"

[[schedule]]
cron = "0 3 29 2 *"
role = "pair"
input = ["good morning"]
name = "morning"

[[schedule]]
cron = "@yearly"
role = "nobody"

[[schedule]]
cron = "@yearly"
role = "pair"
input = "no list"
name = "wrong"
"""
ANSWERED = {"editor": 6, "batch": 4, "poor": 1, "pair": 3}


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_every_door_says_what_the_ledger_says(tmp_path: Path) -> None:
    """To the last attempt, token and tick, and after a kill no differently; schedules go on too."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "pair.py").write_text(ROLE)
    (tmp_path / "config.toml").write_text(CONFIG)
    file = tmp_path / "data" / "supervisor.sqlite"
    with simulator(tmp_path) as api:
        settings = (f"upstream.base_url={api.base}/v1",)
        with supervisor(tmp_path, *settings) as house:
            jobs = _all_kinds(Bench(api, house, tmp_path))
            report = api.get("/_simulator/report")
            before = Views.of(house, file)
            api.post("/_simulator/settings", {"latency": "30s"})
            _hang_up(house, "editor", then=lambda: _until_in_flight(api), kill=house)
        with supervisor(tmp_path, *settings) as house:
            after = Views.of(house, file)
            assert house.stop() == 0
    _check(before, report, jobs)
    _check_next(before, after)
    _check_schedules(before, after)


def _all_kinds(one: Bench) -> list[dict[str, Any]]:
    """Let calls end in every way there is; nothing is under way then.

    Returns:
        The jobs that have ended.
    """
    house = one.house
    jobs = [house.post("/api/jobs", {"role": "pair", "input": ["yes", "no"]})]
    jobs.append(house.post("/api/schedules/morning/run", None))
    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(ask, house, who, stream=bool(number % 2))
            for who in ("editor", "batch")
            for number in range(4)
        ]
        assert {call.result().code for call in calls} == {""}
    jobs = [house.get(f"/api/jobs/{job['id']}?wait=20s") for job in jobs]
    assert [job["status"] for job in jobs] == ["done", "done"]
    # A first request may be dearer than its budget; a second is refused and never sent.
    assert [ask(house, "poor").code for _ in range(2)] == ["", "budget_spent"]
    one.set(faults={"capacity": 1.0})
    assert ask(house, "batch").code == "upstream_unavailable"
    one.set(faults={"capacity": 0.0, "server_error": 1.0})
    assert ask(house, "editor", stream=True).code == "upstream_unavailable"
    one.set(faults={"server_error": 0.0}, limits=["1 requests / 1s"], retry_after="100ms")
    # The API is stricter than it says: one of these at least is refused, and asked again.
    with ThreadPoolExecutor(2) as pool:
        assert {call.code for call in pool.map(ask, [house] * 2, ["editor"] * 2)} == {""}
    one.set(limits=[], latency="30s")
    _hang_up(house, "batch", then=lambda: _until_in_flight(one.api))
    one.set(latency="0s")
    house.post("/api/pause", {"reason": "lunch"})
    _hang_up(house, "editor", then=lambda: _until_queued(house))
    house.post("/api/resume", {})
    one.settle()
    return jobs


def _hang_up(
    house: Process, client: str, *, then: Callable[[], None], kill: Process | None = None
) -> None:
    """Begin a call, and drop it when something is so; or kill whom it was given to."""
    parts = urlsplit(house.base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    body = {"model": "grok-4.7", "messages": [{"role": "user", "content": "wait for me"}]}
    headers = {"content-type": "application/json", "authorization": f"Bearer {client}"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    then()
    if kill is not None:
        kill.kill()
    connection.close()


def _until_in_flight(api: Process) -> None:
    api.wait_until(lambda: api.get("/_simulator/report")["in_flight"], "an attempt under way")


def _until_queued(house: Process) -> None:
    house.wait_until(lambda: house.get("/api/queue")["queued"], "a request that waits")


# -- the laws -------------------------------------------------------------------------------------


def _check(views: Views, report: dict[str, Any], jobs: list[dict[str, Any]]) -> None:
    """Ledger, health, metrics, usage, dashboard, budgets, jobs and the API itself agree."""
    ledger, *others = views.books().items()
    for name, book in others:
        assert book == ledger[1], name
    used = ledger[1].values()
    assert {name: one.answered for name, one in ledger[1].items()} == ANSWERED
    assert sum(one.attempts for one in used) == report["attempts"]
    assert sum(one.refused for one in used) == report["refused"] > 0
    assert sum(one.answered for one in used) == report["outcomes"]["200"]
    assert report["outcomes"]["hung_up"] == 1
    rows = [row for row in views.attempts if row["outcome"] not in ("stale", "gone")]
    tokens = sum(row["tokens"] for row in views.attempts)
    for name, windows in views.windows().items():
        assert list(windows.values()) == [len(views.attempts), tokens], name
    for job in jobs:
        own = [row for row in rows if row["job"] == job["id"]]
        assert job["cost"]["requests"] == len(own)
        assert job["cost"]["tokens"] == sum(row["tokens"] for row in own)
        assert round(job["cost"]["usd"] * 10**10) == sum(row["ticks"] for row in own)
    _check_money(views)


def _check_money(views: Views) -> None:
    """Budgets and forecast: what the ledger's answers cost, and what it has reserved for others."""
    held: defaultdict[str, int] = defaultdict(int)
    for row in views.hours:
        held[row["class"]] += row["reserved"]
        held["all"] += row["reserved"]
    ticks = {name: one.ticks for name, one in views.books()["rows"].items()}
    ticks["all"] = sum(ticks.values())
    for name in ("all", "editor", "pair", "poor"):
        (shown,) = set(views.money(name).values())
        assert shown[:3] == (ticks[name], 0, held[name])
    assert round(views.usage["forecast"]["month_usd"] * 10**10) == ticks["all"]


def _check_next(before: Views, after: Views) -> None:
    """The next process shows what the one that was killed did, and the attempt under way."""
    ledger, *others = after.books().items()
    for name, book in others:
        assert book == ledger[1], name
    was = before.books()["rows"]
    lost = replace(was["editor"], attempts=was["editor"].attempts + 1)
    assert ledger[1] == {**was, "editor": lost}
    tokens = sum(row["tokens"] for row in after.attempts)
    for name, windows in after.windows().items():
        assert list(windows.values()) == [len(before.attempts) + 1, tokens], name
    _check_money(after)
    reserved = sum(row["reserved"] for row in after.attempts) / 10**10
    assert reserved == sum(row["reserved"] for row in after.hours) / 10**10
    (total,) = (one for one in after.health["budgets"] if one["of"] == "all")
    (was_total,) = (one for one in before.health["budgets"] if one["of"] == "all")
    assert total["unpriced_usd"] == reserved > was_total["unpriced_usd"] > 0


def _check_schedules(before: Views, after: Views) -> None:
    """A good one has handed in its job, a wrong one says why it cannot, a kill changes neither."""
    problems = {each["name"]: each["problem"] for each in before.schedules}
    assert list(problems) == ["morning", "nobody", "wrong"]
    assert problems["morning"] == ""
    assert 'no role is called "nobody"' in problems["nobody"]
    assert "pair does not take this input" in problems["wrong"]
    for shown in (before.health, before.page["health"]):
        assert {name: one["problem"] for name, one in shown["schedules"].items()} == problems
    assert [each["job_status"] for each in before.schedules] == ["done", None, None]
    assert after.schedules == before.schedules
