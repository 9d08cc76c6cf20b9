"""`usage`: tokens and money by day, class and model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.terminal.text import table

_COUNTS = ("attempts", "answered", "refused", "prompt", "cached", "completion", "reasoning")
_HEADS = ("day", "who", "model", *_COUNTS, "usd")


def usage(
    *,
    as_json: AsJson = False,
    place: Place = HERE,
) -> None:
    """Show tokens and money by day, role or client, and model.

    Args:
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    document = Connection(place.settings()).get("/api/usage")
    if as_json:
        print_json(document)
    elif document["usage"]:
        print(rendered(document["usage"]))
    else:
        talk("nothing was used yet")


def rendered(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of usage as a table with their sum.

    Args:
        rows: As `/api/usage` gives them.
    """
    cells: list[list[object]] = [
        [
            row["day"],
            row["traffic_class"],
            row["model"] or "-",
            *(row[name] for name in _COUNTS),
            f"{row['cost']:.4f}",
        ]
        for row in rows
    ]
    total: list[object] = ["total", "", "", *(sum(row[name] for row in rows) for name in _COUNTS)]
    total.append(f"{sum(row['cost'] for row in rows):.4f}")
    return table(_HEADS, [*cells, total], right=(*_COUNTS, "usd"))
