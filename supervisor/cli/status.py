"""`status`: how the house is, from `/health`."""

from __future__ import annotations

import sys

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson
from supervisor.cli.output import print_json
from supervisor.cli.place import HERE, Place
from supervisor.terminal.status_text import status_text
from supervisor.terminal.text import painter_for


def status(
    *,
    as_json: AsJson = False,
    place: Place = HERE,
) -> None:
    """Show roles, clients, what waits and why, windows, budgets, schedules and the key.

    Args:
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    connection = Connection(place.settings())
    report = connection.get("/health")
    if "roles" not in report and report["status"] != "waiting":
        # Anybody may know that it lives. Asking for more says what is wrong with our token.
        connection.get("/api/queue")
    if as_json:
        print_json(report)
    else:
        print(status_text(report, painter_for(sys.stdout)))
