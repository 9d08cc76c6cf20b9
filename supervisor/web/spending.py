"""What was used, what it cost and where that leads, as one JSON value. Pure.

Each sum is there twice: in US dollars, as a number, which JSON's readers take for a float; and as
a whole number of the API's ticks of 1e-10 US dollars, which is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from supervisor.budget import ALL, TICKS_PER_DOLLAR
from supervisor.ledger.forecast import forecast, runs_out
from supervisor.ledger.ledger import HourlyCost, UsageRow
from supervisor.ledger.prices import ticks
from supervisor.quota.budgets import BudgetSnapshot


def spending(
    usage: Sequence[UsageRow],
    costs: Sequence[HourlyCost],
    *,
    budgets: Sequence[BudgetSnapshot],
    wall: float,
) -> dict[str, Any]:
    """The document of `/api/usage`.

    Args:
        usage: By day, class and model.
        costs: By hour and class, since `ledger.forecast.look_back`.
        budgets: What may be spent.
        wall: Unix time now.
    """
    return {
        "usage": [{**asdict(row), "cost_ticks": ticks(row.cost)} for row in usage],
        "budgets": [budget_row(one, costs, wall=wall) for one in budgets],
        "forecast": forecast_row(costs, wall=wall),
    }


def forecast_row(costs: Sequence[HourlyCost], *, wall: float) -> dict[str, Any]:
    """What is spent an hour of late, and what the month will come to.

    Args:
        costs: By hour and class.
        wall: Unix time now.
    """
    ahead = forecast(costs, wall)
    return {
        **_burn(ahead.burn),
        **_sum("month", ticks(ahead.month)),
        **_sum("month_total", ticks(ahead.month_total)),
    }


def budget_row(one: BudgetSnapshot, costs: Sequence[HourlyCost], *, wall: float) -> dict[str, Any]:
    """One budget with its own forecast.

    Args:
        one: The budget.
        costs: By hour and class.
        wall: Unix time now.
    """
    own = [cost for cost in costs if one.of in (ALL, cost.traffic_class)]
    burn = forecast(own, wall).burn
    left = Decimal(one.left) / TICKS_PER_DOLLAR
    return {
        **budget_state(one),
        **_burn(burn),
        "runs_out": runs_out(left, burn=burn, wall=wall, until=one.ends),
    }


def budget_state(one: BudgetSnapshot) -> dict[str, Any]:
    """One budget as `/health` shows it."""
    return {
        "of": one.of,
        "budget": one.budget,
        **_sum("spent", one.spent),
        **_sum("reserved", one.reserved),
        **_sum("unpriced", one.unpriced),
        **_sum("left", one.left),
        **_sum("amount", one.amount),
        "ends": one.ends,
    }


def _sum(name: str, exact: int) -> dict[str, Any]:
    return {f"{name}_usd": exact / TICKS_PER_DOLLAR, f"{name}_ticks": exact}


def _burn(rate: Decimal) -> dict[str, Any]:
    exact = ticks(rate)
    return {"burn_usd_per_hour": exact / TICKS_PER_DOLLAR, "burn_ticks_per_hour": exact}
