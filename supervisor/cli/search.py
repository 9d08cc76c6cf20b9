"""`search` and `index`: find something in the indexed folders, and index one."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from supervisor.cli.connection import Connection
from supervisor.cli.flag import AsJson
from supervisor.cli.look import look
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.errors import ConfigError

_LINES = 6


def search(
    *words: str,
    source: str = "",
    limit: int = 10,
    as_json: AsJson = False,
    place: Place = HERE,
) -> None:
    """Find passages of the indexed folders; asks no model.

    Args:
        words: What to look for.
        source: Only this folder.
        limit: Most passages to show.
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    sought = " ".join(words)
    if not sought.strip():
        raise ConfigError("expected words to look for, got: none")
    query: dict[str, object] = {"q": sought, "limit": limit}
    if source:
        query["source"] = str(Path(source).absolute())
    path = f"/api/search?{urlencode(query)}"
    empty = "nothing was found; `index FOLDER` makes a folder known"
    look(path, _rendered, empty=empty, as_json=as_json, place=place)


def index(
    folder: str,
    /,
    *,
    as_json: AsJson = False,
    place: Place = HERE,
) -> None:
    """Index a folder or a git repository, or bring it up to date.

    Args:
        folder: The folder.
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    document = {"folder": str(Path(folder).absolute())}
    done = Connection(place.settings()).post("/api/memory", document)
    if as_json:
        print_json(done)
        return
    talk(
        f"{done['source']}: {done['files']} files, {done['passages']} passages"
        f" ({done['changed']} changed, {done['removed']} removed, {done['skipped']} left out)"
    )


def _rendered(document: dict[str, Any]) -> str:
    return "\n\n".join(_shown(hit) for hit in document["hits"])


def _shown(hit: dict[str, Any]) -> str:
    name = f"  {hit['name']}" if hit["name"] else ""
    lines = hit["text"].splitlines()
    text = "\n".join(f"    {line}" for line in lines[:_LINES])
    more = f"\n    … {len(lines) - _LINES} more lines" if len(lines) > _LINES else ""
    return f"{hit['source']}/{hit['path']}:{hit['start']}{name}\n{text}{more}"
