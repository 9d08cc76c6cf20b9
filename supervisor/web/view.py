"""What the dashboard shows, as one JSON value made of snapshots. Pure.

Its numbers are those of `/health`; jobs, usage and what money will come to are added. Two views
that differ only in how long something has lasted are the same: the page counts on by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, cast

from supervisor.jobs.job import Job
from supervisor.ledger.ledger import HourlyCost, UsageRow
from supervisor.quota.budgets import BudgetSnapshot
from supervisor.web.spending import budget_row, forecast_row

_BULKY = frozenset({"input", "result", "detail", "key"})
_LONGEST_ERROR = 300
_LASTING = frozenset({"uptime_s", "since_s"})
_USED = ("attempts", "answered", "refused", "prompt", "completion", "reasoning", "cached", "cost")


@dataclass(frozen=True, slots=True)
class Money:
    """What the ledger says of tokens and money.

    Attributes:
        usage: Usage by day, class and model.
        costs: By hour and class, since `ledger.forecast.look_back`.
        wall: When that was read, in Unix time.
    """

    usage: Sequence[UsageRow]
    costs: Sequence[HourlyCost]
    wall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a view is made of.

    Attributes:
        health: What `/health` says.
        ready: Why the process is not ready; empty when it is.
        jobs: The newest jobs, newest first.
        money: What the ledger says.
        budgets: What may be spent.
        endings: How each schedule's last job stands.
        trouble: Why any of it cannot be read now; empty when it can.
    """

    health: Mapping[str, Any]
    ready: str
    jobs: Sequence[Job]
    money: Money
    budgets: Sequence[BudgetSnapshot]
    endings: Mapping[str, str | None]
    trouble: str


def view(sources: Sources, *, now: float) -> dict[str, Any]:
    """Everything the page shows.

    Args:
        sources: What it is made of.
        now: Unix time in seconds; all lengths of time in the view count from there.
    """
    today = datetime.fromtimestamp(now, UTC).date().isoformat()
    usage, costs, wall = sources.money.usage, sources.money.costs, sources.money.wall
    return {
        "now": now,
        "ready": sources.ready,
        "trouble": sources.trouble,
        "health": sources.health,
        "jobs": [_summary(job) for job in sources.jobs],
        "schedules": [
            {"name": name, **schedule, "job_status": sources.endings.get(name)}
            for name, schedule in sources.health["schedules"].items()
        ],
        "budgets": [budget_row(one, costs, wall=wall) for one in sources.budgets],
        "forecast": forecast_row(costs, wall=wall),
        "usage": {
            "day": today,
            "today": _by_class(row for row in usage if row.day == today),
            "all": _by_class(usage),
        },
    }


def lasting(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of a view without the lengths of time in it, to tell whether it has changed.

    Args:
        shown: What `view` made.
    """
    health = shown["health"]
    now: float = shown["now"]
    return {
        **shown,
        "now": 0,
        "health": {
            **_without(health),
            "windows": [
                {**window, "next_free_s": _moment(window["next_free_s"], now)}
                for window in health["windows"]
            ],
            "roles": {name: _without(role) for name, role in health["roles"].items()},
        },
    }


def _without(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in _LASTING}


def _moment(seconds: float, now: float) -> int:
    """The second at which something ends that lasts so long yet; 0 when nothing lasts."""
    return round(now + seconds) if seconds else 0


def _summary(job: Job) -> dict[str, Any]:
    """A job without what it was given and what came out; the page asks for those by id."""
    short = {name: value for name, value in asdict(job).items() if name not in _BULKY}
    error = cast("str | None", short["error"])
    if error and len(error) > _LONGEST_ERROR:
        short["error"] = f"{error[:_LONGEST_ERROR]}…"
    return short


def _by_class(rows: Iterable[UsageRow]) -> list[dict[str, Any]]:
    """Sums over days and models, in the order of the names."""
    sums: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = sums.setdefault(
            row.traffic_class, {"name": row.traffic_class} | dict.fromkeys(_USED, 0)
        )
        for field in _USED:
            one[field] += getattr(row, field)
    return [sums[name] for name in sorted(sums)]
