"""Tokens and money for people: by day, class and model, budgets, and where it leads. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.terminal.text import shortened, table

By = Literal["day", "role", "model"]
EVERY: tuple[By, ...] = ("day", "role", "model")

NOTHING = "nothing was used yet"
COUNTS = ("attempts", "answered", "refused", "prompt", "cached", "completion", "reasoning")
FIELDS: Mapping[By, str] = {"day": "day", "role": "traffic_class", "model": "model"}
_HEADS: Mapping[By, str] = {"day": "day", "role": "who", "model": "model"}
_WIDEST = 32
"""Characters of a name in the table; clients name themselves and their models as they like."""


def usage_text(document: Mapping[str, Any]) -> str:
    """What was used, as a table, with budgets and forecast.

    Args:
        document: What `/api/usage` answers.
    """
    if document["usage"]:
        return f"{rendered(summed(document['usage'], EVERY))}\n\n{outlook(document)}"
    return NOTHING + (f"\n\n{outlook(document)}" if document["budgets"] else "")


def summed(rows: Sequence[dict[str, Any]], groups: Sequence[By]) -> list[dict[str, Any]]:
    """Rows of usage with those that are equal in these groups put together, in their order.

    Args:
        rows: As `/api/usage` gives them.
        groups: What tells them apart.
    """
    sums: defaultdict[tuple[Any, ...], dict[str, Any]] = defaultdict(dict)
    for row in rows:
        total = sums[tuple(row[FIELDS[group]] for group in groups)]
        total.update({FIELDS[group]: row[FIELDS[group]] for group in groups})
        for name in (*COUNTS, "cost_ticks"):
            total[name] = total.get(name, 0) + row[name]
    return [{**total, "cost": total["cost_ticks"] / TICKS_PER_DOLLAR} for total in sums.values()]


def rendered(rows: Sequence[dict[str, Any]], groups: Sequence[By] = EVERY) -> str:
    """Rows of usage as a table with their sum.

    Args:
        rows: As `summed` gives them.
        groups: What tells them apart.
    """
    lines = [_cells(row, groups) for row in rows]
    total: list[object] = ["total", *[""] * (len(groups) - 1)]
    total += [sum(row[name] for row in rows) for name in COUNTS]
    total.append(f"{sum(row['cost_ticks'] for row in rows) / TICKS_PER_DOLLAR:.4f}")
    return table(heads(groups), [*lines, total], right=(*COUNTS, "usd"))


def heads(groups: Sequence[By]) -> tuple[str, ...]:
    """The titles of the columns.

    Args:
        groups: What tells the rows apart.
    """
    return (*(_HEADS[group] for group in groups), *COUNTS, "usd")


def _cells(row: Mapping[str, Any], groups: Sequence[By]) -> list[object]:
    return [
        *(shortened(row[FIELDS[group]] or "-", _WIDEST) for group in groups),
        *(row[name] for name in COUNTS),
        f"{row['cost']:.4f}",
    ]


def outlook(document: Mapping[str, Any]) -> str:
    """Budgets and forecast as lines.

    Args:
        document: As `/api/usage` gives it.
    """
    lines = [_budget(one) for one in document["budgets"]]
    ahead = document["forecast"]
    lines.append(
        f"{ahead['burn_usd_per_hour']:.4f} usd / hour of late; this month "
        f"{ahead['month_usd']:.4f} usd so far, {ahead['month_total_usd']:.2f} usd if it goes on so"
    )
    return "\n".join(lines)


def _budget(one: Mapping[str, Any]) -> str:
    end = "lasts until its end" if one["runs_out"] is None else f"ends {_moment(one['runs_out'])}"
    held = one["reserved_usd"] + one["unpriced_usd"]
    reserved = f"{held:.4f} reserved, " if held > 0 else ""
    return (
        f"budget of {one['of']}: {one['spent_usd']:.4f} of {one['budget']} spent, {reserved}"
        f"{one['left_usd']:.4f} left until {_moment(one['ends'])}; {end}"
    )


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M UTC")
