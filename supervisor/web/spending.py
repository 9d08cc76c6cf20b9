"""What was used, what it cost and where that leads, as one JSON value. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.ledger.forecast import forecast, runs_out
from supervisor.ledger.ledger import HourlyCost, UsageRow
from supervisor.quota.budgets import ALL, BudgetSnapshot

_EXACT = Decimal("1e-10")


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
        "usage": [asdict(row) for row in usage],
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
        "burn_usd_per_hour": _dollars(ahead.burn),
        "month_usd": _dollars(ahead.month),
        "month_total_usd": _dollars(ahead.month_total),
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
        "burn_usd_per_hour": _dollars(burn),
        "runs_out": runs_out(left, burn=burn, wall=wall, until=one.ends),
    }


def budget_state(one: BudgetSnapshot) -> dict[str, Any]:
    """One budget as `/health` shows it."""
    return {
        "of": one.of,
        "budget": one.budget,
        "spent_usd": _dollars(Decimal(one.spent) / TICKS_PER_DOLLAR),
        "reserved_usd": _dollars(Decimal(one.reserved) / TICKS_PER_DOLLAR),
        "unpriced_usd": _dollars(Decimal(one.unpriced) / TICKS_PER_DOLLAR),
        "left_usd": _dollars(Decimal(one.left) / TICKS_PER_DOLLAR),
        "amount_usd": _dollars(Decimal(one.amount) / TICKS_PER_DOLLAR),
        "ends": one.ends,
    }


def _dollars(amount: Decimal) -> float:
    return float(amount.quantize(_EXACT))
