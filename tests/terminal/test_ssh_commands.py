"""What a command over SSH answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from supervisor.errors import NotRunning
from supervisor.terminal.ssh_commands import FAILURE, OK, USAGE, answer

pytestmark = pytest.mark.anyio

JOB = {
    "id": "j1",
    "role": "quality",
    "status": "failed",
    "created": 1_800_000_000.0,
    "runs": 2,
    "error": "it broke\n" + "x" * 80,
}
ROLE = {
    "name": "quality",
    "description": "reviews changes",
    "state": "running",
    "restarts": 1,
    "last_error": "",
    "running_jobs": 2,
    "priority": 40,
    "share": 0.1,
}
USED = dict.fromkeys(
    ("attempts", "answered", "refused", "prompt", "cached", "completion", "reasoning"), 7
)
DOCUMENTS: dict[str, dict[str, Any]] = {
    "/health": {"status": "ok", "reason": "", "version": "1.2.3", "uptime_s": 5.0},
    "/api/queue": {
        "state": "paused",
        "reason": "by hand",
        "queued": 2,
        "classes": [
            {"name": "slow", "priority": 60, "queued": 2, "in_flight": 0, "why": "the brake"},
            {"name": "fast", "priority": 20, "queued": 0, "in_flight": 1, "why": ""},
        ],
    },
    "/api/roles": {
        "roles": [ROLE],
        "broken": [{"file": "roles/x.py", "line": 3, "message": "no Role"}],
    },
    "/api/jobs?limit=20": {"jobs": [JOB]},
    "/api/usage": {
        "usage": [
            {"day": "2026-10-01", "traffic_class": "quality", "model": "", "cost_ticks": 5, **USED}
        ],
        "budgets": [],
        "forecast": {"burn_usd_per_hour": 0.25, "month_usd": 0.5, "month_total_usd": 9.0},
    },
}


class House:
    """The running house as far as commands look."""

    def __init__(self, documents: dict[str, dict[str, Any]] | None = None) -> None:
        self._documents = DOCUMENTS if documents is None else documents

    async def get(self, path: str) -> dict[str, Any]:
        """A document, or an error like that of a house that is stopping."""
        if path not in self._documents:
            raise NotRunning("nobody answers", hint="wait")
        return self._documents[path]


@pytest.mark.parametrize(
    ("command", "path", "shown"),
    [
        ("status", "/health", ["ok, version 1.2.3, up 5 s"]),
        ("queue", "/api/queue", ["paused: by hand, 2 waiting", "slow waits: the brake"]),
        ("roles", "/api/roles", ["quality  running", "reviews changes", "roles/x.py:3: no Role"]),
        ("jobs", "/api/jobs?limit=20", ["j1  quality  failed", "it broke xxx", "x…"]),
        ("usage", "/api/usage", ["2026-10-01  quality  -", "total", "0.2500 usd / hour"]),
    ],
)
async def test_commands(command: str, path: str, shown: list[str]) -> None:
    """Each command is text for people, or with `--json` the document as the house gives it."""
    text = await answer(command, House())
    assert (text.code, text.talk) == (OK, "")
    assert [part for part in shown if part not in text.data] == []
    document = await answer(f"--json {command}", House())
    assert (document.code, document.talk) == (OK, "")
    assert json.loads(document.data) == DOCUMENTS[path]


async def test_nothing_yet() -> None:
    """Where there is nothing to list it is said so."""
    empty = House(
        {
            "/api/jobs?limit=20": {"jobs": []},
            "/api/usage": {"usage": [], "budgets": []},
            "/api/roles": {"roles": [], "broken": []},
        }
    )
    said = [(await answer(name, empty)).data for name in ("jobs", "usage", "roles")]
    assert said == ["there are no jobs yet\n", "nothing was used yet\n", "no roles\n"]


@pytest.mark.parametrize("line", ["help", "--help", "-h", ""])
async def test_help(line: str) -> None:
    """Help lists every command; as JSON too."""
    text = await answer(line, House())
    assert text.code == OK
    listed = json.loads((await answer("help --json", House())).data)["commands"]
    assert list(listed) == ["status", "queue", "roles", "jobs", "usage", "help"]
    assert [name for name in listed if f"  {name} " not in text.data] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("staus", 'did you mean "status"? there are: status, queue'),
        ("bash -i", 'no command is called "bash" (there are:'),
        ("status now", "status takes --json and nothing else, got: now"),
        ("status --jsn", "got: --jsn"),
        ("xai-not-a-real-key", 'no command is called "xai-***"'),
        ("status xai-not-a-real-key", "nothing else, got: xai-***"),
        ("'", "expected a command"),
    ],
)
async def test_wrong_commands(line: str, said: str) -> None:
    """What is wrong with a command is said on stderr, with what there is; the code is 2."""
    wrong = await answer(line, House())
    assert (wrong.code, wrong.data) == (USAGE, "")
    assert said in wrong.talk


async def test_a_house_that_does_not_answer() -> None:
    """An error of the house is said on stderr; the code is 1."""
    failed = await answer("status --json", House({}))
    assert (failed.code, failed.data) == (FAILURE, "")
    assert failed.talk == "error: nobody answers (wait)\n"


async def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    """Errors quote models and plugins: what a terminal would obey is left out."""
    role = {**ROLE, "description": "\x1b]0;owned\x07\x9b2J\rtext"}
    text = await answer("roles", House({"/api/roles": {"roles": [role], "broken": []}}))
    assert text.data.endswith("  text\n")
    assert set("\x1b\x07\x9b\r") & set(text.data) == set()
