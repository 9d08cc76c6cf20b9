"""The start page: how the house is, as a plain page without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from supervisor.web.health_api import HealthApi

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_LINKS = (
    "/health",
    "/readyz",
    "/metrics",
    "/api/stats",
    "/api/roles",
    "/api/jobs",
    "/api/queue",
    "/api/usage",
    "/v1/models",
)
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem}"
    "table{border-collapse:collapse;margin:0 0 1.5rem}"
    "th,td{text-align:left;padding:.2rem .9rem .2rem 0;border-bottom:1px solid #ddd}"
    "meter{width:12rem}"
)


class Page:
    """`/`.

    Args:
        health: Knows how the house is.
    """

    def __init__(self, health: HealthApi) -> None:
        self._health = health

    async def show(self, request: Request) -> Response:
        """The page."""
        return HTMLResponse(render(self._health.report()), headers=_HEADERS)


def render(report: Mapping[str, Any]) -> str:
    """The page of a health report.

    Args:
        report: What `health` made.
    """
    reason = f": {escape(report['reason'])}" if report["reason"] else ""
    broken = [(one["file"], one["line"], one["message"]) for one in report["broken_plugins"]]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Supervisor</title>",
        f"<style>{_STYLE}</style><h1>Supervisor {escape(report['version'])}</h1>",
        f"<p><b>{escape(report['status'])}</b>{reason}, up {report['uptime_s']:.0f} s</p>",
        _windows(report["windows"]),
        _table(
            "Roles",
            ("role", "state", "jobs", "queued", "in flight", "requests", "restarts", "why"),
            [
                (
                    name,
                    one["state"],
                    one["jobs"]["running"],
                    one["queued"],
                    one["in_flight"],
                    one["requests"],
                    one["restarts"],
                    one["why"] or one["last_error"],
                )
                for name, one in report["roles"].items()
            ],
        ),
        _table(
            "Clients",
            ("client", "queued", "in flight", "requests", "why"),
            [
                (name, one["queued"], one["in_flight"], one["requests"], one["why"])
                for name, one in report["clients"].items()
            ],
        ),
        _table("Broken plugins", ("file", "line", "what is wrong"), broken) if broken else "",
        "<p>" + " · ".join(f'<a href="{link}">{link}</a>' for link in _LINKS) + "</p></html>",
    ]
    return "".join(parts)


def _windows(windows: Iterable[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(one['limit'])}<td><meter value={one['used']} max={one['amount']}></meter>"
        f"<td>{one['used']} of {one['amount']}<td>next free in {one['next_free_s']:.1f} s"
        for one in windows
    )
    return f"<h2>Quota</h2><table>{rows}</table>"


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{escape(text)}" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in row) for row in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{head}{body}</table>"
