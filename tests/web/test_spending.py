"""What was spent, as one document: dollars to look at, and ticks to count with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.ledger.ledger import HourlyCost, UsageRow
from supervisor.quota.budgets import BudgetSnapshot
from supervisor.web.spending import spending

HOUR = 1_800_000_000.0
TICKS = 12_345_678_901_234_567
DOLLARS = Decimal(TICKS) / TICKS_PER_DOLLAR


def _document() -> dict[str, Any]:
    row = UsageRow("2027-01-15", "code", "grok-4.7", 1, 1, 0, 10, 2, 0, 0, DOLLARS)
    parts = {"spent": TICKS, "reserved": 1, "unpriced": 2, "amount": 10 * TICKS}
    budget = BudgetSnapshot("code", "9 usd / day", **parts, started=HOUR, ends=HOUR + 86_400)
    cost = HourlyCost(HOUR, "code", DOLLARS)
    return spending([row], [cost], budgets=[budget], wall=HOUR + 3_600)


def test_every_sum_is_exact_in_ticks() -> None:
    """What a float of dollars cannot hold, the ticks beside it do."""
    document = _document()
    (used,), (budget,), forecast = document["usage"], document["budgets"], document["forecast"]
    assert used["cost_ticks"] == budget["spent_ticks"] == forecast["month_ticks"] == TICKS
    assert forecast["burn_ticks_per_hour"] == budget["burn_ticks_per_hour"] == TICKS
    assert budget["left_ticks"] == 9 * TICKS - 3


def test_dollars_and_ticks_say_the_same() -> None:
    """Beside each sum in dollars stands the same one in ticks."""
    document = _document()
    tables: list[dict[str, Any]] = [*document["budgets"], document["forecast"]]
    for table in tables:
        dollars = {name for name in table if "_usd" in name}
        assert dollars
        for name in dollars:
            assert table[name] == table[name.replace("_usd", "_ticks")] / TICKS_PER_DOLLAR
