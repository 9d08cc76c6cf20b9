"""`usage`: tokens and money by day, class and model; budgets, and where it leads."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson, Flag
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.terminal.text import table

By = Literal["day", "role", "model"]

_COUNTS = ("attempts", "answered", "refused", "prompt", "cached", "completion", "reasoning")
_FIELDS: Mapping[By, str] = {"day": "day", "role": "traffic_class", "model": "model"}
_HEADS: Mapping[By, str] = {"day": "day", "role": "who", "model": "model"}


def usage(
    *,
    by: Annotated[tuple[By, ...], Parameter(negative=(), show_default=False)] = (),
    as_csv: Annotated[Flag, Parameter(name="--csv")] = False,
    as_json: AsJson = False,
    place: Place = HERE,
) -> None:
    """Show tokens and money by day, role or client, and model; budgets, and what the month costs.

    Args:
        by: Sum up by day, role or model only; can be given again.
        as_csv: Print the rows as CSV.
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    document = Connection(place.settings()).get("/api/usage")
    groups = by or ("day", "role", "model")
    rows = summed(document["usage"], groups)
    if as_json:
        print_json({**document, "usage": rows} if by else document)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow((*(_HEADS[group] for group in groups), *_COUNTS, "usd"))
        writer.writerows(_cells(row, groups) for row in rows)
    elif rows:
        print(rendered(rows, groups))
        print("\n" + outlook(document))
    else:
        talk("nothing was used yet")


def summed(rows: Sequence[dict[str, Any]], groups: Sequence[By]) -> list[dict[str, Any]]:
    """Rows of usage with those that are equal in these groups put together, in their order.

    Args:
        rows: As `/api/usage` gives them.
        groups: What tells them apart.
    """
    sums: defaultdict[tuple[Any, ...], dict[str, Any]] = defaultdict(dict)
    for row in rows:
        total = sums[tuple(row[_FIELDS[group]] for group in groups)]
        total.update({_FIELDS[group]: row[_FIELDS[group]] for group in groups})
        for name in (*_COUNTS, "cost"):
            total[name] = total.get(name, 0) + row[name]
    return list(sums.values())


def rendered(
    rows: Sequence[dict[str, Any]], groups: Sequence[By] = ("day", "role", "model")
) -> str:
    """Rows of usage as a table with their sum.

    Args:
        rows: As `summed` gives them.
        groups: What tells them apart.
    """
    cells = [_cells(row, groups) for row in rows]
    total: list[object] = ["total", *[""] * (len(groups) - 1)]
    total += [sum(row[name] for row in rows) for name in _COUNTS]
    total.append(f"{sum(row['cost'] for row in rows):.4f}")
    heads = (*(_HEADS[group] for group in groups), *_COUNTS, "usd")
    return table(heads, [*cells, total], right=(*_COUNTS, "usd"))


def outlook(document: Mapping[str, Any]) -> str:
    """Budgets and forecast as lines.

    Args:
        document: As `/api/usage` gives it.
    """
    lines = [_budget(one) for one in document["budgets"]]
    ahead = document["forecast"]
    lines.append(
        f"{ahead['burn_usd_per_hour']:.4f} usd / hour of late; this month "
        f"{ahead['month_usd']:.4f} usd so far, {ahead['month_total_usd']:.2f} usd if it goes on so"
    )
    return "\n".join(lines)


def _budget(one: Mapping[str, Any]) -> str:
    end = "lasts until its end" if one["runs_out"] is None else f"ends {_moment(one['runs_out'])}"
    return (
        f"budget of {one['of']}: {one['spent_usd']:.4f} of {one['budget']} spent, "
        f"{one['left_usd']:.4f} left until {_moment(one['ends'])}; {end}"
    )


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _cells(row: Mapping[str, Any], groups: Sequence[By]) -> list[object]:
    return [
        *(row[_FIELDS[group]] or "-" for group in groups),
        *(row[name] for name in _COUNTS),
        f"{row['cost']:.4f}",
    ]
