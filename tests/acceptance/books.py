"""What a house says it has used, by every door there is, in one form to compare."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.processes import ROOT, Process, ran

Table = Mapping[str, Any]
_SAMPLE = re.compile(r"^supervisor_(\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Used:
    """What a class has used of all time.

    Attributes:
        attempts: HTTP requests sent.
        answered: Those that were answered.
        refused: Those refused for quota.
        prompt: Prompt tokens.
        answer: Answer tokens, reasoning included.
        ticks: Price in 1e-10 US dollars.
    """

    attempts: int
    answered: int
    refused: int
    prompt: int
    answer: int
    ticks: int


Book = dict[str, Used]
"""By class, of those that have used anything."""


def book(rows: Iterable[tuple[Any, ...]]) -> Book:
    """Rows of class, attempts, answered, refused, prompt, answer and US dollars, added up."""
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0] * 6)
    for name, *counts, usd in rows:
        for place, count in enumerate((*counts, round(usd * 10**10))):
            sums[name][place] += count
    return {name: Used(*map(int, total)) for name, total in sums.items() if any(total)}


@dataclass(frozen=True)
class Views:
    """Everything that a house shows at one moment.

    Attributes:
        attempts: The rows of the ledger's file, one an attempt.
        hours: Its hourly sums.
        health: `/health`.
        stats: `/api/stats`.
        metrics: `/metrics`.
        usage: `/api/usage`.
        printed: What `usage --json` prints.
        page: What the dashboard is told.
        schedules: `/api/schedules`.
    """

    attempts: Sequence[Table]
    hours: Sequence[Table]
    health: Table
    stats: Table
    metrics: str
    usage: Table
    printed: Table
    page: Table
    schedules: Sequence[Table]

    @classmethod
    def of(cls, house: Process, file: Path) -> Views:
        """Look at a house in which nothing is under way.

        Args:
            house: The house.
            file: Its ledger.
        """
        # First of all: what has ended a moment ago is written down for whoever asks for usage.
        usage = house.get("/api/usage")
        with closing(sqlite3.connect(file)) as ledger:
            ledger.row_factory = sqlite3.Row
            attempts = [dict(row) for row in ledger.execute("SELECT * FROM attempts")]
            hours = [dict(row) for row in ledger.execute("SELECT * FROM hours")]
        with urllib.request.urlopen(f"{house.base}/metrics", timeout=20) as response:
            metrics = response.read().decode()
        return cls(
            attempts,
            hours,
            house.get("/health"),
            house.get("/api/stats"),
            metrics,
            usage,
            _printed(house),
            _page(house),
            house.get("/api/schedules")["schedules"],
        )

    def books(self) -> dict[str, Book]:
        """What was used, as each of them says it."""
        traffic = {**self.health["roles"], **self.health["clients"]}
        page = {**self.page["health"]["roles"], **self.page["health"]["clients"]}
        return {
            "rows": book(
                (
                    row["class"],
                    row["outcome"] not in ("stale", "gone"),
                    row["outcome"] == "answered",
                    row["outcome"] == "quota",
                    row["prompt"] or 0,
                    (row["completion"] or 0) + (row["reasoning"] or 0),
                    (row["ticks"] or 0) / 10**10,
                )
                for row in self.attempts
            ),
            "sums": book(
                (
                    row["class"],
                    row["attempts"],
                    row["answered"],
                    row["refused"],
                    row["prompt"],
                    row["completion"] + row["reasoning"],
                    row["ticks"] / 10**10,
                )
                for row in self.hours
            ),
            "health": _traffic(traffic),
            "stats": book(
                (
                    one["name"],
                    one["attempts"],
                    one["answered"],
                    one["refused"],
                    one["prompt_tokens"],
                    one["completion_tokens"],
                    one["cost_usd"],
                )
                for one in self.stats["broker"]["classes"]
            ),
            "metrics": self._counters(),
            "usage": _rows(self.usage["usage"], "traffic_class"),
            "printed": _rows(self.printed["usage"], "traffic_class"),
            "page": _rows(self.page["usage"]["all"], "name"),
            "page's health": _traffic(page),
        }

    def money(self, budget: str) -> dict[str, tuple[int, ...]]:
        """Ticks of a budget that are spent, reserved, unpriced and left, as each of them says."""
        tables = {
            "health": self.health["budgets"],
            "usage": self.usage["budgets"],
            "printed": self.printed["budgets"],
            "page": self.page["health"]["budgets"],
            "page's budgets": self.page["budgets"],
        }
        names = ("spent_usd", "reserved_usd", "unpriced_usd", "left_usd")
        found = {
            where: tuple(round(one[name] * 10**10) for name in names)
            for where, table in tables.items()
            for one in table
            if one["of"] == budget
        }
        (one,) = (one for one in self.stats["broker"]["budgets"] if one["of"] == budget)
        taken = one["spent"], one["reserved"], one["unpriced"]
        return {**found, "stats": (*taken, one["amount"] - sum(taken))}

    def windows(self) -> dict[str, dict[str, int]]:
        """How full each window is, as each of them says it."""
        return {
            "health": {one["limit"]: one["used"] for one in self.health["windows"]},
            "page": {one["limit"]: one["used"] for one in self.page["health"]["windows"]},
            "metrics": {
                labels["window"]: int(value)
                for name, labels, value in self._samples()
                if name == "quota_used"
            },
            "stats": {
                one["limit"]: one["used"] for one in self.stats["broker"]["quota"]["windows"]
            },
        }

    def _samples(self) -> Iterable[tuple[str, dict[str, str], float]]:
        for name, labels, value in _SAMPLE.findall(self.metrics):
            yield name, dict(_LABEL.findall(labels)), float(value)

    def _counters(self) -> Book:
        places = {
            ("attempts_total", ""): 0,
            ("answered_total", ""): 1,
            ("refused_total", ""): 2,
            ("tokens_total", "prompt"): 3,
            ("tokens_total", "completion"): 4,
            ("cost_usd_total", ""): 5,
        }
        found: defaultdict[str, list[float]] = defaultdict(lambda: [0] * 6)
        for name, labels, value in self._samples():
            place = places.get((name, labels.get("type", "")))
            if place is not None:
                found[labels["role"]][place] = value
        return book((name, *one) for name, one in found.items())


def _traffic(classes: Mapping[str, Table]) -> Book:
    return book(
        (
            name,
            one["attempts"],
            one["answered"],
            one["refused"],
            one["tokens"]["prompt"],
            one["tokens"]["completion"],
            one["cost_usd"],
        )
        for name, one in classes.items()
    )


def _rows(rows: Iterable[Table], name: str) -> Book:
    return book(
        (
            row[name],
            row["attempts"],
            row["answered"],
            row["refused"],
            row["prompt"],
            row["completion"] + row["reasoning"],
            row["cost"],
        )
        for row in rows
    )


def _printed(house: Process) -> Table:
    port = house.base.rpartition(":")[2]
    ended = ran("usage", "--json", f"--set=web.port={port}", folder=ROOT, key="")
    assert ended.returncode == 0, ended.stderr
    document: Table = json.loads(ended.stdout)
    return document


def _page(house: Process) -> Table:
    """The first view of a page that was opened just now."""
    with urllib.request.urlopen(f"{house.base}/api/events", timeout=20) as stream:
        for line in stream:
            if line == b"event: view\n":
                view: Table = json.loads(next(stream).removeprefix(b"data: "))
                return view
    raise AssertionError("the stream has ended before it showed anything")
