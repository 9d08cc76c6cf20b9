"""`usage`: tokens and money by day, class and model; budgets, and where it leads."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

from cyclopts import Parameter

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson, Flag
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.cli.usage_csv import table
from supervisor.terminal.usage_text import EVERY, NOTHING, By, outlook, rendered, summed


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
        as_csv: Print the rows, the budgets and the forecast as CSV, with exact money.
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    document = Connection(place.settings()).get("/api/usage")
    groups = by or EVERY
    rows = summed(document["usage"], groups)
    if as_json:
        print_json({**document, "usage": rows} if by else document)
    elif as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(table(document, rows, groups))
    elif rows:
        print(rendered(rows, groups))
        print("\n" + outlook(document))
    else:
        talk(NOTHING)
        if document["budgets"]:
            print(outlook(document))
