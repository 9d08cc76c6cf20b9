"""Health, readiness, statistics, metrics, and the page made of them."""

from __future__ import annotations

import re
from functools import partial

import pytest

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.messages import TrafficClass
from tests.waiting import until
from tests.web.house import CHAT, QUESTION, beside, open_house, paper_role, waiting

pytestmark = pytest.mark.anyio


async def test_health_shows_all_at_a_glance() -> None:
    """Health has roles, clients, windows, restarts and broken plugins, with why somebody waits."""
    async with open_house(limits=["1 requests / minute"]) as house:
        await house.client.post(CHAT, json=QUESTION)
        async with beside(partial(house.client.post, CHAT, json=QUESTION)):
            await until(lambda: waiting(house))
            response = await house.client.get("/health")
    report = response.json()
    assert response.status_code == 200
    assert (report["status"], report["version"]) == ("ok", "1.2.3")
    role = report["roles"]["quality"]
    assert (role["state"], role["restarts"], role["jobs"]["queued"]) == ("running", 2, 0)
    client = report["clients"]["gateway"]
    assert (client["queued"], client["attempts"], client["answered"]) == (1, 1, 1)
    assert client["since_start"] == {"requests": 2, "answered": 1, "failed": 0}
    assert client["tokens"] == {"prompt": 3, "completion": 2}
    assert "1 of 1 requests / minute used" in client["why"]
    window = report["windows"][0]
    assert (window["limit"], window["used"], window["fill"]) == ("1 requests / minute", 1, 1.0)
    assert 0 < window["next_free_s"] <= 60
    assert report["key"] == {
        "source": "key.file",
        "fingerprint": "0123abcd",
        "since": 1_800_000_000.0,
        "rotations": 0,
        "unusable": "",
        "last_reload": None,
    }
    assert report["restarts"] == 4
    assert report["broken_plugins"][0]["file"] == "roles/bad.py"
    nightly = report["schedules"]["nightly"]
    assert (nightly["cron"], nightly["last"], nightly["problem"]) == ("0 3 * * *", None, "")


async def test_health_tells_states_that_need_a_person() -> None:
    """Paused and halted are told with their reason, still with 200: the house itself is well."""
    async with open_house() as house:
        await house.client.post("/api/pause", json={"reason": "lunch"})
        paused = await house.client.get("/health")
        await house.client.post("/api/resume")
        house.api.refuse(401, {"code": "unauthenticated", "error": "no"})
        await house.client.post(CHAT, json=QUESTION)
        halted = await house.client.get("/health")
    assert paused.status_code == halted.status_code == 200
    assert (paused.json()["status"], paused.json()["reason"]) == ("paused", "lunch")
    assert halted.json()["status"] == "halted"
    assert "XAI_API_KEY" in halted.json()["reason"]
    assert paused.json()["key"]["unusable"] == ""
    assert halted.json()["key"]["unusable"] == halted.json()["reason"]


async def test_role_without_traffic_has_asked_for_nothing() -> None:
    """A role that the broker has never seen is shown all the same."""
    async with open_house() as house:
        house.team.roles["memory"] = paper_role("memory", state="failed")
        report = (await house.client.get("/health")).json()
    assert report["roles"]["memory"]["state"] == "failed"
    assert report["roles"]["memory"]["since_start"]["requests"] == 0
    assert report["roles"]["memory"]["jobs"]["done"] == 0


async def test_readiness_follows_the_house() -> None:
    """Readiness is 503 with the reason while starting and while draining."""
    async with open_house() as house:
        house.reason.append("starting")
        starting = await house.client.get("/readyz")
        house.reason.clear()
        ready = await house.client.get("/readyz")
        await house.broker.drain(0.0)
        draining = await house.client.get("/readyz")
        live = await house.client.get("/livez")
    assert (starting.status_code, starting.json()["reason"]) == (503, "starting")
    assert ready.status_code == 200
    assert draining.status_code == 503
    assert live.status_code == 200


async def test_stats_are_the_snapshots() -> None:
    """Statistics are the same snapshots that every view renders."""
    async with open_house(limits=["5 requests / minute"]) as house:
        await house.client.post(CHAT, json=QUESTION)
        stats = (await house.client.get("/api/stats")).json()
    assert stats["broker"]["quota"]["windows"][0]["used"] == 1
    assert {one["name"] for one in stats["broker"]["classes"]} >= {"gateway", "quality"}
    assert stats["team"]["roles"][0]["name"] == "quality"
    assert stats["jobs"]["roles"]["quality"]["concurrency"] == 4


async def test_metrics_are_prometheus_text() -> None:
    """Every metric has help and type, every sample a number, and no label holds an id."""
    async with open_house(limits=["5 requests / minute"]) as house:
        await house.client.post(CHAT, json=QUESTION)
        response = await house.client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.splitlines()
    assert 'supervisor_requests_total{role="gateway",outcome="answered"} 1' in lines
    assert 'supervisor_tokens_total{role="gateway",type="prompt"} 3' in lines
    assert 'supervisor_quota_used{window="5 requests / minute"} 1' in lines
    assert 'supervisor_quota_limit{window="5 requests / minute"} 5' in lines
    assert 'supervisor_restarts_total{role="quality"} 2' in lines
    assert 'supervisor_info{version="1.2.3"} 1' in lines
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    for line in lines:
        if not line.startswith("#"):
            assert line.split("{")[0].split(" ")[0] in named
            float(line.rsplit(" ", 1)[1])
    assert "gw-" not in response.text


async def test_metrics_tell_of_each_budget() -> None:
    """What it holds, what is gone, and when it begins anew: enough to draw it and to be warned."""
    async with open_house() as house:
        budgets = ("0.0000000001 usd / month", "0.5 usd / hour", "0.50 usd / hour")
        house.broker.set_class(TrafficClass("gateway", budget=budgets))
        await house.client.post(CHAT, json=QUESTION)
        lines = (await house.client.get("/metrics")).text.splitlines()
        (_, shown) = house.broker.snapshot().budgets
        left = shown.ends - house.hub.clock.wall()
    told = dict(line.rsplit(" ", 1) for line in lines if line.startswith("supervisor_budget_"))
    assert len(told) == 2 * 5
    labels = '{role="gateway",budget="0.5 usd / hour"}'
    assert float(told[f"supervisor_budget_limit_usd{labels}"]) == 0.5
    assert float(told[f"supervisor_budget_spent_usd{labels}"]) == shown.spent / TICKS_PER_DOLLAR
    assert float(told[f"supervisor_budget_reserved_usd{labels}"]) == 0
    assert float(told[f"supervisor_budget_unpriced_usd{labels}"]) == shown.unpriced / 1e10 > 0
    assert 0 <= float(told[f"supervisor_budget_reset_seconds{labels}"]) - left < 5


async def test_metrics_tell_how_many_tasks_there_are() -> None:
    """A request that waits has tasks of its own, and leaves none behind."""
    async with open_house() as house:

        async def tasks() -> int:
            text = (await house.client.get("/metrics")).text
            found = re.search(r"^supervisor_tasks (\d+)$", text, re.MULTILINE)
            assert found is not None
            return int(found[1])

        house.broker.pause("")
        before = await tasks()
        async with beside(partial(house.client.post, CHAT, json=QUESTION)):
            await until(lambda: waiting(house))
            assert await tasks() > before
        assert await tasks() == before


async def test_labels_are_escaped() -> None:
    """A name with quotes, backslashes or line ends cannot break the text."""
    async with open_house() as house:
        house.broker.set_class(TrafficClass('a"b\\c\nd'))
        text = (await house.client.get("/metrics")).text
    assert 'role="a\\"b\\\\c\\nd"' in text
