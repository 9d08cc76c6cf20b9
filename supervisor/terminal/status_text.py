"""A health report for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from supervisor.terminal.text import Color, Painter, table
from supervisor.terminal.waiting import duration

_BAR, _NAME = 24, 26
_STATES = {
    "ok": Color.GOOD,
    "running": Color.GOOD,
    "paused": Color.WARNING,
    "draining": Color.WARNING,
    "starting": Color.WARNING,
    "stopping": Color.WARNING,
    "backing_off": Color.WARNING,
    "halted": Color.BAD,
    "failed": Color.BAD,
}


def status_text(report: Mapping[str, Any], painter: Painter) -> str:
    """The report as lines.

    Args:
        report: What `/health` answers.
        painter: Colours it, or not.
    """
    sections = [_head(report, painter)]
    if "windows" not in report:
        return sections[0]
    sections.append("\n".join(_window(window, painter) for window in report["windows"]))
    sections.append(_budgets(report.get("budgets", ()), painter))
    sections.append(_roles(report["roles"], painter))
    sections.append(_clients(report["clients"]))
    sections.append(_waiting({**report["roles"], **report["clients"]}))
    sections.append(_broken(report["broken_plugins"], painter))
    sections.append(_schedules(report.get("schedules", {}), painter))
    sections.append(_key(report.get("key"), painter))
    return "\n\n".join(section for section in sections if section)


def _head(report: Mapping[str, Any], painter: Painter) -> str:
    state = report["status"]
    shown = painter.paint(state, _STATES.get(state, Color.STRONG))
    reason = f": {report['reason']}" if report.get("reason") else ""
    head = f"{shown}{reason}, version {report['version']}, up {duration(report['uptime_s'])}"
    pause = report.get("pause", {})
    if pause.get("refusals"):
        text = f"the API refused {pause['refusals']} times in a row for quota; sending is held back"
        head += "\n" + painter.paint(text, Color.WARNING)
    if report.get("jobs_trouble"):
        text = f"no job runs until the store can be used again: {report['jobs_trouble']}"
        head += "\n" + painter.paint(text, Color.BAD)
    return head


def _window(window: Mapping[str, Any], painter: Painter) -> str:
    filled = min(_BAR, round(window["fill"] * _BAR))
    color = Color.BAD if window["fill"] >= 1 else Color.GOOD
    bar = painter.paint("#" * filled, color) + "." * (_BAR - filled)
    free = f", next free in {window['next_free_s']:.1f} s" if window["next_free_s"] > 0 else ""
    return f"{window['limit']:<{_NAME}} [{bar}] {window['used']} of {window['amount']}{free}"


def _budgets(budgets: Sequence[Mapping[str, Any]], painter: Painter) -> str:
    names = [f"{_whose(one)} {one['budget']}" for one in budgets]
    width = max(_NAME, *map(len, names), 0)
    lines = zip(names, budgets, strict=True)
    return "\n".join(f"{name:<{width}} {_budget(one, painter)}" for name, one in lines)


def _whose(one: Mapping[str, Any]) -> str:
    return "everybody" if one["of"] == "all" else str(one["of"])


def _budget(one: Mapping[str, Any], painter: Painter) -> str:
    amount, left = one["amount_usd"], one["left_usd"]
    filled = _BAR if left <= 0 else max(0, min(_BAR, round((amount - left) / amount * _BAR)))
    bar = painter.paint("#" * filled, Color.BAD if left <= 0 else Color.GOOD)
    bar += "." * (_BAR - filled)
    ends = datetime.fromtimestamp(one["ends"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = f"{one['spent_usd']:.4f} spent, {max(0.0, left):.4f} left until {ends}"
    held = one["reserved_usd"] + one["unpriced_usd"]
    reserved = f", {held:.4f} reserved" if held > 0 else ""
    return f"[{bar}] {text}{reserved}"


def _roles(roles: Mapping[str, Any], painter: Painter) -> str:
    if not roles:
        return painter.paint("no roles", Color.FAINT)
    rows = [
        (
            name,
            one["state"],
            one["jobs"]["running"],
            one["jobs"]["queued"],
            *_traffic(one),
            one["restarts"],
            one["last_error"][:60],
        )
        for name, one in roles.items()
    ]
    heads = ("role", "state", "jobs", "to do", *_TRAFFIC, "restarts", "last error")
    text = table(heads, rows, right=("jobs", "to do", "restarts", *_TRAFFIC))
    return _paint_states(text, painter)


def _clients(clients: Mapping[str, Any]) -> str:
    rows = [(name, *_traffic(one)) for name, one in clients.items()]
    return table(("client", *_TRAFFIC), rows, right=_TRAFFIC) if rows else ""


_TRAFFIC = ("queued", "in flight", "attempts", "p50", "p99")


def _traffic(one: Mapping[str, Any]) -> tuple[object, ...]:
    waits = one.get("waits", {"p50_s": 0.0, "p99_s": 0.0})
    return (
        one["queued"],
        one["in_flight"],
        one["attempts"],
        f"{waits['p50_s']:.1f}s",
        f"{waits['p99_s']:.1f}s",
    )


def _waiting(classes: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} waits: {one['why']}" for name, one in classes.items() if one["why"])


def _broken(broken: list[Mapping[str, Any]], painter: Painter) -> str:
    places = (f"{one['file']}:{one['line']}" if one["line"] else one["file"] for one in broken)
    lines = [f"{place}: {one['message']}" for place, one in zip(places, broken, strict=True)]
    return "\n".join(painter.paint(line, Color.BAD) for line in lines)


def _schedules(schedules: Mapping[str, Any], painter: Painter) -> str:
    if not schedules:
        return ""
    rows = [
        (name, one["role"], one["cron"], _when(one["next"]), _when(one["last"]))
        for name, one in schedules.items()
    ]
    lines = [table(("schedule", "role", "cron", "next", "last"), rows)]
    lines += [
        painter.paint(f"{name} cannot hand in its jobs: {one['problem']}", Color.BAD)
        for name, one in schedules.items()
        if one["problem"]
    ]
    return "\n".join(lines)


def _key(key: Mapping[str, Any] | None, painter: Painter) -> str:
    if key is None:
        return ""
    lines = [f"key from {key['source']}, in use since {_moment(key['since'])}"]
    if key["unusable"]:
        lines.append(painter.paint(f"it is refused: {key['unusable']}", Color.BAD))
    last = key["last_reload"]
    if last is not None and last["result"] not in {"rotated", "unchanged"}:
        told = f"a new one is {last['result']}: {last['detail']}"
        lines.append(painter.paint(told, Color.WARNING))
    return "\n".join(lines)


def _when(moment: float | None) -> str:
    return "-" if moment is None else _moment(moment)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def _paint_states(text: str, painter: Painter) -> str:
    """Colour the states only now: colours have a length that would spoil the columns."""
    lines = text.splitlines()
    for number, line in enumerate(lines[1:], start=1):
        state = line.split(maxsplit=2)[1]
        color = _STATES.get(state, Color.FAINT)
        lines[number] = line.replace(f" {state} ", f" {painter.paint(state, color)} ", 1)
    return "\n".join(lines)
