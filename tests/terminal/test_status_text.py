"""A health report for people."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pytest

from supervisor.terminal.status_text import status_text
from supervisor.terminal.text import Color, Painter, painter_for, table
from supervisor.terminal.usage_text import outlook

PLAIN = Painter(enabled=False)
VIVID = Painter(enabled=True)
NOON = 1_800_014_400.0
TRAFFIC = {"queued": 0, "in_flight": 1, "attempts": 2, "why": ""}
ROLE = {
    "state": "running",
    "jobs": {"running": 1, "queued": 2},
    "restarts": 3,
    "last_error": "",
    "waits": {"p50_s": 0.1, "p99_s": 2.0},
    **TRAFFIC,
}


def _report(**more: Any) -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": "",
        "version": "1.2.3",
        "uptime_s": 5.0,
        "windows": [],
        "pause": {"refusals": 0},
        "roles": {},
        "clients": {},
        "broken_plugins": [],
        "schedules": {},
        **more,
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.9, "up 6 s"), (65, "up 1 min 5 s"), (3661, "up 1 h 1 min"), (90_000, "up 25 h 0 min")],
)
def test_uptime_is_told_in_words(seconds: float, text: str) -> None:
    """Uptime is told to what matters at its length."""
    assert text in status_text(_report(uptime_s=seconds), PLAIN)


def test_columns_stay_straight_in_colour() -> None:
    """Colours change what is seen, not where it stands."""
    roles = {"quality": ROLE, "a": {**ROLE, "state": "failed", "last_error": "ValueError: x"}}
    report = _report(roles=roles, windows=[_window(0.5)], clients={"gateway": TRAFFIC})
    vivid, plain = status_text(report, VIVID), status_text(report, PLAIN)
    assert vivid != plain
    for color in Color:
        vivid = vivid.replace(f"\x1b[{color.value}m", "")
    assert vivid.replace("\x1b[0m", "") == plain


def test_windows_have_bars() -> None:
    """A window's bar is as long as it is full, and a full one says when room returns."""
    half = status_text(_report(windows=[_window(0.5)]), PLAIN)
    full = status_text(_report(windows=[_window(1.0)]), PLAIN)
    assert "[############............] 50 of 100" in half
    assert "next free" not in half
    assert "[########################] 100 of 100, next free in 3.0 s" in full


def test_short_report_of_strangers_is_shown() -> None:
    """Whoever may see only the short report sees that."""
    short = {"status": "ok", "version": "1", "uptime_s": 1.0}
    assert status_text(short, PLAIN) == "ok, version 1, up 1 s"


def test_trouble_is_told() -> None:
    """A reason, a pause for quota, and what waits all have their line."""
    report = _report(
        status="halted",
        reason="bad key",
        pause={"refusals": 2},
        clients={"editor": {**TRAFFIC, "why": "first in line; paused"}},
    )
    text = status_text(report, PLAIN)
    assert text.startswith("halted: bad key, version")
    assert "refused 2 times in a row" in text
    assert "editor waits: first in line; paused" in text
    assert "no roles" in text


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour goes to a terminal only, and not where NO_COLOR or a dumb terminal forbids it."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert painter_for(Terminal()).paint("x", Color.BAD) == "\x1b[31mx\x1b[0m"
    assert painter_for(io.StringIO()).paint("x", Color.BAD) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert painter_for(Terminal()).paint("x", Color.BAD) == "x"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert painter_for(Terminal()).paint("x", Color.BAD) == "x"


def test_table_aligns_numbers_to_the_right() -> None:
    """Columns are as wide as their widest cell; numbers stand to the right."""
    assert table(("name", "n"), [("a", 5), ("long name", 100)], right=("n",)) == (
        "name         n\na            5\nlong name  100"
    )


def _window(fill: float) -> dict[str, Any]:
    return {
        "limit": "100 requests / minute",
        "fill": fill,
        "used": int(fill * 100),
        "amount": 100,
        "next_free_s": 3.0 if fill >= 1 else 0.0,
    }


def test_schedules_are_told() -> None:
    """Each with its next and last moment, and what keeps one from its jobs."""
    one = {"role": "memory", "cron": "0 3 * * *", "next": None, "last": None, "problem": ""}
    schedules = {
        "nightly": {**one, "problem": 'no role is called "memory"'},
        "hourly": {**one, "cron": "@hourly", "role": "ceo", "next": NOON, "last": NOON},
    }
    lines = status_text(_report(schedules=schedules), PLAIN).splitlines()
    place = lines.index("schedule  role    cron       next              last")
    assert lines[place + 1] == "nightly   memory  0 3 * * *  -                 -"
    moment = datetime.fromtimestamp(NOON).astimezone().strftime("%Y-%m-%d %H:%M")
    assert lines[place + 2] == f"hourly    ceo     @hourly    {moment}  {moment}"
    assert lines[place + 3] == 'nightly cannot hand in its jobs: no role is called "memory"'


@pytest.mark.parametrize(
    ("left", "bar", "says"),
    [
        (1.5, "#########...............", "0.7500 spent, 1.5000 left until"),
        (0.0, "########################", "2.2500 spent, 0.0000 left until"),
        (-0.5, "########################", "2.7500 spent, 0.0000 left until"),
    ],
)
def test_budgets_have_bars(left: float, bar: str, says: str) -> None:
    """A bar is as long as what is spent or reserved; what is reserved is told, by `usage` too."""
    budget = {
        "of": "all",
        "budget": "2.4 usd / day",
        "amount_usd": 2.4,
        "spent_usd": 2.25 - left,
        "reserved_usd": 0.1,
        "unpriced_usd": 0.05,
        "left_usd": left,
        "ends": NOON,
    }
    ahead = {"burn_usd_per_hour": 0.0, "month_usd": 0.0, "month_total_usd": 0.0}
    used = {"budgets": [{**budget, "runs_out": None}], "forecast": ahead}
    assert f"spent, 0.1500 reserved, {left:.4f} left until" in outlook(used)
    text = status_text(_report(budgets=[budget]), PLAIN)
    assert f"everybody 2.4 usd / day    [{bar}] {says}" in text
    assert text.endswith(", 0.1500 reserved\n\nno roles")


def test_the_key_is_told() -> None:
    """Where it comes from; that it is refused, or that a new one is."""
    key = {"source": ".env", "since": NOON, "unusable": "", "last_reload": None}
    text = status_text(_report(key=key), PLAIN)
    assert "\nkey from .env, in use since 20" in text
    assert "refused" not in text
    last = {"result": "refused", "detail": "the API refused the new key"}
    key |= {"unusable": "bad key", "last_reload": last}
    lines = status_text(_report(key=key), PLAIN).splitlines()
    assert lines[-2:] == [
        "it is refused: bad key",
        "a new one is refused: the API refused the new key",
    ]
