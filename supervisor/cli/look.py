"""A look at the supervisor that runs: fetch a document, print it for machines or for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisor.cli.connection import Connection
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import Place


def look(
    path: str,
    text: Callable[[dict[str, Any]], str],
    *,
    empty: str = "",
    as_json: bool,
    place: Place,
) -> None:
    """Show what a route answers.

    Args:
        path: The route, with its query.
        text: Makes of the document what people read; empty where there is nothing to see.
        empty: What to say then.
        as_json: Print the document as it is.
        place: Which supervisor.

    Raises:
        SupervisorError: No supervisor answers, or it refuses.
    """
    document = Connection(place.settings()).get(path)
    if as_json:
        print_json(document)
    elif shown := text(document):
        print(shown)
    else:
        talk(empty)
