"""`schedules`: what the clock hands in and when, and one of them now."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from cyclopts import App

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson
from supervisor.cli.look import look
from supervisor.cli.output import talk
from supervisor.cli.place import HERE, Place
from supervisor.terminal.text import table

schedules = App(name="schedules", help="List schedules; run one now.", result_action="return_value")

_HEADS = ("name", "cron", "timezone", "role", "next", "last job", "status", "problem")


@schedules.default
@schedules.command(name="list")
def list_schedules(*, as_json: AsJson = False, place: Place = HERE) -> None:
    """List schedules with their next moment and their last job.

    Args:
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    empty = "there are no schedules; [[schedule]] in config.toml makes one"
    look("/api/schedules", _rendered, empty=empty, as_json=as_json, place=place)


@schedules.command
def run(name: str, /, *, place: Place = HERE) -> None:
    """Hand a schedule's job in now; its moments stay as they are.

    Args:
        name: The schedule.
        place: Which supervisor.
    """
    job = Connection(place.settings()).post(f"/api/schedules/{quote(name, safe='')}/run")
    talk(f"job {job['id']} of {job['role']} is {job['status']}")


def _rendered(document: dict[str, Any]) -> str:
    rows = [_row(each) for each in document["schedules"]]
    return table(_HEADS, rows) if rows else ""


def _row(schedule: dict[str, Any]) -> tuple[object, ...]:
    return (
        schedule["name"],
        schedule["cron"],
        schedule["timezone"],
        schedule["role"],
        _when(schedule["next"]),
        schedule["job"] or "-",
        schedule["job_status"] or "-",
        schedule["problem"],
    )


def _when(moment: float | None) -> str:
    if moment is None:
        return "-"
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M %Z")
