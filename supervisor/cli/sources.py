"""`sources`: which folders the memory knows, and forgetting one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from cyclopts import App

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.terminal.text import table

sources = App(
    name="sources",
    help="List the indexed folders; forget one.",
    result_action="return_value",
)

_HEADS = ("path", "kind", "files", "passages", "described", "last indexed", "kept up to date")
_NUMBERS = ("files", "passages", "described")


@sources.default
@sources.command(name="list")
def list_sources(*, as_json: AsJson = False, place: Place = HERE) -> None:
    """List the indexed folders.

    Args:
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    document = Connection(place.settings()).get("/api/memory")
    if as_json:
        print_json(document)
    elif document["sources"]:
        print(table(_HEADS, [_row(each) for each in document["sources"]], right=_NUMBERS))
    else:
        talk("no folder is indexed; `index FOLDER` makes one known")


@sources.command
def forget(folder: str, /, *, place: Place = HERE) -> None:
    """Forget a folder and all that is known of it, its descriptions too.

    Args:
        folder: The folder, which need not be there any more.
        place: Which supervisor.
    """
    given = {"folder": str(Path(folder).absolute())}
    done = Connection(place.settings()).post("/api/memory/forget", given)
    talk(f"{done['source']} is forgotten")


def _row(source: dict[str, Any]) -> tuple[object, ...]:
    when = datetime.fromtimestamp(source["updated"]).astimezone()
    return (
        source["path"],
        source["kind"],
        source["files"],
        source["passages"],
        source["described"],
        when.strftime("%Y-%m-%d %H:%M"),
        "yes" if source["kept"] else "no",
    )
