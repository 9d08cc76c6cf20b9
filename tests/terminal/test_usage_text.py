"""Usage for people."""

from __future__ import annotations

from typing import Any

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.quota.budgets import BudgetSnapshot
from supervisor.terminal.usage_text import COUNTS, EVERY, rendered, summed, usage_text
from supervisor.web.spending import spending

LONG = "x" * 5_000


def row(traffic_class: str, model: str) -> dict[str, Any]:
    """A row as `/api/usage` gives it."""
    who = {"day": "2026-10-01", "traffic_class": traffic_class, "model": model}
    return {**who, **dict.fromkeys(COUNTS, 10**9), "cost_ticks": 25_000_000}


def test_no_name_widens_the_table() -> None:
    """However long names are, a line stays readable; what they begin with is shown."""
    lines = rendered(summed([row(f"r{LONG}", f"m{LONG}"), row("code", "grok-4.7")], EVERY))
    first, *others = lines.splitlines()[1:]
    assert all(len(line) < 200 for line in (first, *others))
    assert "rxxx" in first
    assert "mxxx" in first
    assert first.count("…") == 2
    assert "…" not in "".join(others)


def test_long_names_are_not_taken_for_one() -> None:
    """Rows are told apart by whole names: what is shortened is only shown so."""
    rows = summed([row("code", f"{LONG}1"), row("code", f"{LONG}2")], ["model"])
    assert [one["model"] for one in rows] == [f"{LONG}1", f"{LONG}2"]


def test_a_budget_of_which_nothing_was_used_is_shown() -> None:
    """Whoever has set one sees that it is there; without one there is nothing to show."""
    sums = {"spent": 0, "reserved": 0, "unpriced": 0, "amount": 9 * TICKS_PER_DOLLAR}
    budget = BudgetSnapshot("all", "9 usd / day", **sums, started=0.0, ends=86_400.0)
    text = usage_text(spending([], [], budgets=[budget], wall=0.0))
    assert text.startswith("nothing was used yet\n\nbudget of all: 0.0000 of 9 usd / day spent")
    assert usage_text(spending([], [], budgets=[], wall=0.0)) == "nothing was used yet"
