"""`usage --csv`: what was used, budgets and forecast as one table for other programs. Pure.

Money is exact, in US dollars. The rows of usage come first; those of budgets and of the forecast
use the columns behind theirs, and count nothing, so that sums over a column stay right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.terminal.usage_text import COUNTS, FIELDS, By, heads

_RATE, _RATE_TICKS = "burn_usd_per_hour", "burn_ticks_per_hour"
_SUMS = ("amount", "spent", "reserved", "unpriced", "left", "month", "month_total")
_MORE = ("kind", "of", "budget", *(f"{name}_usd" for name in _SUMS), _RATE, "ends", "runs_out")

Cell = str | int


def table(
    document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], groups: Sequence[By]
) -> Iterator[Sequence[Cell]]:
    """The lines, the first of which has the columns' names.

    Args:
        document: What `/api/usage` answers.
        rows: Its usage, as `summed` gives it.
        groups: What tells those rows apart.
    """
    yield (*heads(groups), *_MORE)
    for row in rows:
        names = [row[FIELDS[group]] or "-" for group in groups]
        counts = [row[name] for name in COUNTS]
        yield (*names, *counts, _dollars(row["cost_ticks"]), *_more("usage", {}))
    nothing: list[Cell] = [*[""] * len(groups), *[0] * len(COUNTS), "0"]
    for budget in document["budgets"]:
        yield (*nothing, *_more("budget", budget))
    yield (*nothing, *_more("forecast", document["forecast"]))


def _more(kind: str, told: Mapping[str, Any]) -> Sequence[Cell]:
    """The columns behind those of usage; empty where there is nothing to tell."""
    sums = [_dollars(told.get(f"{name}_ticks")) for name in _SUMS]
    moments = [_moment(told.get(name)) for name in ("ends", "runs_out")]
    rate = _dollars(told.get(_RATE_TICKS))
    return (kind, told.get("of", ""), told.get("budget", ""), *sums, rate, *moments)


def _dollars(ticks: int | None) -> str:
    return "" if ticks is None else f"{Decimal(ticks) / TICKS_PER_DOLLAR:f}"


def _moment(wall: float | None) -> str:
    if wall is None:
        return ""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
