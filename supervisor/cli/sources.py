"""`sources`: which folders the memory knows, and forgetting one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclopts import App

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson
from supervisor.cli.look import look
from supervisor.cli.output import talk
from supervisor.cli.place import HERE, Place
from supervisor.terminal.text import local_time, table

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
    empty = "no folder is indexed; `index FOLDER` makes one known"
    look("/api/memory", _rendered, empty=empty, as_json=as_json, place=place)


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


def _rendered(document: dict[str, Any]) -> str:
    rows = [_row(each) for each in document["sources"]]
    return table(_HEADS, rows, right=_NUMBERS) if rows else ""


def _row(source: dict[str, Any]) -> tuple[object, ...]:
    return (
        source["path"],
        source["kind"],
        source["files"],
        source["passages"],
        source["described"],
        local_time(source["updated"]),
        "yes" if source["kept"] else "no",
    )
