"""`usage --csv`: one table for other programs."""

from __future__ import annotations

import csv
import io
from typing import Any

from supervisor.cli.usage_csv import table
from supervisor.terminal.usage_text import COUNTS, EVERY, By, summed

ROW = {"day": "2026-10-01", "traffic_class": "code", "model": "", **dict.fromkeys(COUNTS, 7)}
BUDGET = {
    "of": "code",
    "budget": "5 usd / day",
    "spent_ticks": 1,
    "reserved_ticks": 2,
    "unpriced_ticks": 3,
    "left_ticks": -4,
    "amount_ticks": 50_000_000_000,
    "ends": 1_800_057_600.0,
    "burn_ticks_per_hour": 10_000_000_001,
    "runs_out": None,
}
FORECAST = {"burn_ticks_per_hour": 6, "month_ticks": 7, "month_total_ticks": 80_000_000_000}


def printed(rows: list[dict[str, Any]], *groups: By) -> list[dict[str, str]]:
    """The rows as a reader of CSV gets them."""
    document = {"budgets": [BUDGET], "forecast": FORECAST}
    out = io.StringIO()
    csv.writer(out).writerows(table(document, summed(rows, groups), groups))
    out.seek(0)
    return list(csv.DictReader(out))


def test_each_kind_of_row_tells_its_own() -> None:
    """Usage, budgets and forecast are in one table, each with exact dollars in its columns."""
    used, budget, forecast = printed([{**ROW, "cost_ticks": 123_456_789_012_345_678}], *EVERY)
    assert {name: cell for name, cell in used.items() if cell} == {
        **{"day": "2026-10-01", "who": "code", "model": "-", "kind": "usage"},
        **dict.fromkeys(COUNTS, "7"),
        "usd": "12345678.9012345678",
    }
    assert {name: cell for name, cell in budget.items() if cell not in {"", "0"}} == {
        **{"kind": "budget", "of": "code", "budget": "5 usd / day", "amount_usd": "5"},
        **{"spent_usd": "0.0000000001", "reserved_usd": "0.0000000002"},
        **{"unpriced_usd": "0.0000000003", "left_usd": "-0.0000000004"},
        **{"burn_usd_per_hour": "1.0000000001", "ends": "2027-01-16T00:00:00Z"},
    }
    assert {name: cell for name, cell in forecast.items() if cell not in {"", "0"}} == {
        **{"kind": "forecast", "burn_usd_per_hour": "0.0000000006", "month_usd": "0.0000000007"},
        "month_total_usd": "8",
    }


def test_sums_over_a_column_are_those_of_usage() -> None:
    """Budgets and forecast add nothing to what is counted, however the rows are summed up."""
    rows = [{**ROW, "model": model, "cost_ticks": 1} for model in ("a", "b")]
    lines = printed(rows, "role")
    assert [line["kind"] for line in lines] == ["usage", "budget", "forecast"]
    for name in COUNTS:
        assert sum(int(line[name]) for line in lines) == 14
    assert sum(float(line["usd"]) for line in lines) == 2e-10
