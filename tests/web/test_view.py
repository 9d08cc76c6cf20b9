"""What the page is told, from snapshots on paper."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.ledger.ledger import HourlyCost, UsageRow
from supervisor.quota.budgets import BudgetSnapshot
from supervisor.web.view import Money, Sources, lasting, view

NOON = 1_800_014_400.0
HEALTH: dict[str, Any] = {
    "uptime_s": 1.0,
    "windows": [{"limit": "1 requests / minute", "next_free_s": 3.0}],
    "roles": {"code": {"since_s": 5.0}},
    "schedules": {
        "nightly": {"role": "code", "next": NOON + 60, "last": None, "job": "j", "problem": ""},
        "never": {"role": "x", "next": NOON + 90, "last": None, "job": None, "problem": "none"},
    },
}
USAGE = UsageRow("2027-01-15", "code", "grok-4.7", 3, 2, 1, 10, 20, 5, 1, Decimal("2.5"))
COSTS = (HourlyCost(NOON - 3_600, "code", Decimal(1)), HourlyCost(NOON, "ceo", Decimal("1.5")))


def budget(of: str, spent: float) -> BudgetSnapshot:
    """A budget of four dollars a day, half a dollar of it reserved."""
    half = TICKS_PER_DOLLAR // 4
    return BudgetSnapshot(
        of=of,
        budget="4 usd / day",
        spent=int(spent * TICKS_PER_DOLLAR),
        reserved=half,
        unpriced=half,
        amount=4 * TICKS_PER_DOLLAR,
        started=NOON - 43_200,
        ends=NOON + 43_200,
    )


def sources(*budgets: BudgetSnapshot, usage: UsageRow = USAGE) -> Sources:
    """All that a view is made of."""
    return Sources(
        health=HEALTH,
        ready="",
        jobs=(),
        money=Money((usage,), COSTS, NOON),
        budgets=budgets,
        endings={"nightly": "done"},
        trouble="",
    )


def test_budgets_come_with_their_end() -> None:
    """Spent, reserved, left, and when it ends at the rate of late, of all or of one."""
    shown = view(sources(budget("all", 2.5), budget("code", 0.5)), now=NOON)
    total, own = shown["budgets"]
    assert (total["spent_usd"], total["reserved_usd"], total["unpriced_usd"]) == (2.5, 0.25, 0.25)
    assert (total["left_usd"], total["amount_usd"], total["ends"]) == (1.0, 4.0, NOON + 43_200)
    assert total["burn_usd_per_hour"] == 2.5
    assert total["runs_out"] == pytest.approx(NOON + 1_440)
    assert own["runs_out"] == pytest.approx(NOON + 3 * 3_600)
    assert shown["forecast"]["month_usd"] == 2.5


def test_schedules_come_with_their_last_job() -> None:
    """In the order of the settings, each with how its last job stands."""
    nightly, never = view(sources(), now=NOON)["schedules"]
    assert (nightly["name"], nightly["next"], nightly["job_status"]) == (
        *("nightly", NOON + 60, "done"),
    )
    assert (never["name"], never["problem"], never["job_status"]) == ("never", "none", None)


def test_usage_is_of_today_and_of_all_time() -> None:
    """By class, over all models."""
    today = view(sources(), now=NOON)["usage"]
    later = view(sources(), now=NOON + 86_400)["usage"]
    (row,) = today["today"]
    assert (row["name"], row["attempts"], row["cost"]) == ("code", 3, Decimal("2.5"))
    assert today["all"] == later["all"] == [row]
    assert later["today"] == []


def test_time_alone_is_no_news() -> None:
    """A second later the view is the same as long as nothing else has changed."""
    one = view(sources(budget("all", 2.5)), now=NOON)
    aged = {**HEALTH, "uptime_s": 2.0, "windows": [{**HEALTH["windows"][0], "next_free_s": 2.0}]}
    again = sources(budget("all", 2.5))
    other = view(
        Sources(
            health=aged,
            ready="",
            jobs=(),
            money=again.money,
            budgets=again.budgets,
            endings=again.endings,
            trouble="",
        ),
        now=NOON + 1,
    )
    assert lasting(one) == lasting(other)
    spent = view(sources(budget("all", 2.6)), now=NOON + 1)
    assert lasting(one) != lasting(spent)
