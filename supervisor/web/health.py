"""How the house is, as one JSON value made of the snapshots. Pure.

`/health`, the start page and `status` on the command line all show this same value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from supervisor.broker.snapshot import BrokerSnapshot, ClassSnapshot
from supervisor.jobs.job import JobsSnapshot, RoleJobs
from supervisor.jobs.schedules import ScheduleSnapshot
from supervisor.quota.snapshot import QuotaSnapshot, WindowSnapshot
from supervisor.team.snapshot import RoleSnapshot, TeamSnapshot
from supervisor.upstream.reload import KeySnapshot
from supervisor.web.spending import budget_state


def brief(broker: BrokerSnapshot, *, version: str, uptime: float) -> dict[str, Any]:
    """What anybody may know.

    Args:
        broker: The broker as it is now.
        version: The version that runs.
        uptime: Seconds since the start.
    """
    status = "ok" if broker.state == "open" else broker.state
    return {"status": status, "version": version, "uptime_s": round(uptime, 1)}


def health(
    broker: BrokerSnapshot,
    team: TeamSnapshot,
    jobs: JobsSnapshot,
    *,
    key: KeySnapshot,
    version: str,
    uptime: float,
) -> dict[str, Any]:
    """Everything there is to know at a glance.

    Args:
        broker: The broker as it is now.
        team: The roles as they are now.
        jobs: How many jobs stand how.
        key: Where the key comes from, and what the last look for a new one came to.
        version: The version that runs.
        uptime: Seconds since the start.
    """
    traffic = {one.name: one for one in broker.classes}
    names = {role.name for role in team.roles}
    return {
        **brief(broker, version=version, uptime=uptime),
        "reason": broker.reason,
        "windows": [_window(window) for window in broker.quota.windows],
        "pause": _pause(broker.quota),
        "budgets": [budget_state(one) for one in broker.budgets],
        "key": _key(key, unusable=broker.unusable),
        "roles": {
            role.name: {
                **_role(role),
                **_traffic(traffic.get(role.name)),
                "jobs": _jobs(jobs.roles.get(role.name)),
            }
            for role in team.roles
        },
        "clients": {
            name: {"priority": one.priority, "share": one.share, **_traffic(one)}
            for name, one in traffic.items()
            if name not in names
        },
        # Not an illness of the whole: the gateway goes on.
        "jobs_trouble": jobs.trouble,
        "restarts": sum(role.restarts for role in team.roles),
        "broken_plugins": [
            {"file": one.file, "line": one.line, "message": one.message} for one in team.broken
        ],
    }


def scheduled(schedules: Iterable[ScheduleSnapshot]) -> dict[str, Any]:
    """The schedules at a glance, by name."""
    return {
        one.name: {
            "cron": one.cron,
            "timezone": one.timezone,
            "role": one.role,
            "next": one.next,
            "last": one.last,
            "job": one.job,
            "problem": one.problem,
        }
        for one in schedules
    }


def _window(window: WindowSnapshot) -> dict[str, Any]:
    return {
        "limit": window.limit,
        "used": window.used,
        "amount": window.amount,
        "fill": round(window.used / window.amount, 4),
        "others": window.others,
        "next_free_s": round(window.next_free, 3),
    }


def _pause(quota: QuotaSnapshot) -> dict[str, Any]:
    pause = quota.pause
    return {"by_hand": pause.by_hand, "probing": pause.probing, "refusals": pause.refusals}


def _key(key: KeySnapshot, *, unusable: str) -> dict[str, Any]:
    return {
        "source": key.source,
        "fingerprint": key.fingerprint,
        "since": key.since,
        "rotations": key.rotations,
        "unusable": unusable,
        "last_reload": None if key.last is None else asdict(key.last),
    }


def _role(role: RoleSnapshot) -> dict[str, Any]:
    return {
        "description": role.description,
        "state": role.state,
        "since_s": round(role.since_seconds, 1),
        "restarts": role.restarts,
        "last_error": role.last_error,
        "priority": role.priority,
        "share": role.share,
    }


def _jobs(jobs: RoleJobs | None) -> dict[str, int]:
    jobs = jobs or RoleJobs()
    return {
        "queued": jobs.queued,
        "running": jobs.running,
        "done": jobs.done,
        "failed": jobs.failed,
        "cancelled": jobs.cancelled,
    }


def _traffic(one: ClassSnapshot | None) -> dict[str, Any]:
    """What a class has asked for and used; a role that has no class yet has done neither."""
    if one is None:
        since_start = {"requests": 0, "answered": 0, "failed": 0}
        return {"queued": 0, "in_flight": 0, "attempts": 0, "since_start": since_start, "why": ""}
    return {
        "queued": one.queued,
        "in_flight": one.in_flight,
        "attempts": one.attempts,
        "answered": one.answered,
        "refused": one.refused,
        "tokens": {"prompt": one.prompt_tokens, "completion": one.completion_tokens},
        "cost_usd": one.cost_usd,
        "since_start": asdict(one.since_start),
        "waits": {"p50_s": round(one.wait_p50, 4), "p99_s": round(one.wait_p99, 4)},
        "why": one.why,
    }
