"""What the house answers, as lines for the conversation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from supervisor.messages import Cost
from supervisor.terminal.session import Session
from supervisor.terminal.text import table


def queue_text(queue: Mapping[str, Any]) -> str:
    """What waits.

    Args:
        queue: What `/api/queue` answers.
    """
    reason = f": {queue['reason']}" if queue["reason"] else ""
    head = f"{queue['state']}{reason}, {queue['queued']} waiting"
    busy = [one for one in queue["classes"] if one["queued"] or one["in_flight"]]
    if not busy:
        return head
    rows = [(one["name"], one["priority"], one["queued"], one["in_flight"]) for one in busy]
    counts = ("priority", "queued", "in flight")
    lines = [head, table(("who", *counts), rows, right=counts)]
    lines += [f"{one['name']} waits: {one['why']}" for one in busy if one["why"]]
    return "\n".join(lines)


def roles_text(team: Mapping[str, Any]) -> str:
    """The roles.

    Args:
        team: What `/api/roles` answers.
    """
    rows = [
        (one["name"], one["state"], one["running_jobs"], one["restarts"], one["description"])
        for one in team["roles"]
    ]
    lines = [
        table(("role", "state", "jobs", "restarts", ""), rows, right=("jobs", "restarts"))
        if rows
        else "no roles"
    ]
    lines += [f"{one['file']}:{one['line']}: {one['message']}" for one in team["broken"]]
    return "\n".join(lines)


def cost_text(cost: Cost, rows: Sequence[Mapping[str, Any]]) -> str:
    """What this session has cost, and the whole house.

    Args:
        cost: The session's.
        rows: The rows of `/api/usage`.
    """
    tokens = sum(row["prompt"] + row["completion"] + row["reasoning"] for row in rows)
    usd = sum((Decimal(str(row["cost"])) for row in rows), Decimal(0))
    answers = sum(row["answered"] for row in rows)
    lines = [
        ("this session", cost.requests, f"{cost.tokens:,}", money(cost.usd)),
        ("the house, in all", answers, f"{tokens:,}", money(usd)),
    ]
    counts = ("answers", "tokens", "usd")
    return table(("", *counts), lines, right=counts)


def models_text(names: Sequence[str], current: str) -> str:
    """The models, with a mark at the one that is asked."""
    known = names if current in names else [current, *names]
    return "\n".join(f"{'*' if name == current else ' '} {name}" for name in known)


def sessions_text(sessions: Sequence[Session]) -> str:
    """Sessions in columns, as they come.

    Args:
        sessions: Some of them.
    """
    rows = [
        (
            one.id,
            datetime.fromtimestamp(one.started).astimezone().strftime("%Y-%m-%d %H:%M"),
            one.person,
            len(one.exchanges),
            one.title,
        )
        for one in sessions
    ]
    return table(("id", "begun", "by", "answers", "first question"), rows, right=("answers",))


def money(usd: Decimal | None) -> str:
    """An amount of US dollars; a dash where nobody told one."""
    return "-" if usd is None else f"{usd:.4f}"
