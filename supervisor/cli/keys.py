"""`keys`: where the key comes from, and using a new one without a restart."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from supervisor.cli.connection import Connection
from supervisor.cli.exits import FAILURE, OK
from supervisor.cli.flag import AsJson
from supervisor.cli.look import look
from supervisor.cli.output import print_json, talk
from supervisor.cli.place import HERE, Place
from supervisor.terminal.text import local_time

keys = App(
    name="keys",
    help="Show where the key comes from; use a new one without a restart.",
    result_action="return_value",
)

_WELL = {"rotated", "unchanged"}


@keys.default
@keys.command(name="show")
def show_keys(*, as_json: AsJson = False, place: Place = HERE) -> None:
    """Show where the key comes from, its fingerprint, and what the last look for a new one gave.

    Args:
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    look("/api/keys", rendered, as_json=as_json, place=place)


@keys.command
def reload(*, as_json: AsJson = False, place: Place = HERE) -> int:
    """Look for a new key; it is used if the API takes it, and the old one goes on otherwise.

    Args:
        as_json: Print one JSON document.
        place: Which supervisor.
    """
    # A command that prints the key, and then the API, may take their time.
    document = Connection(place.settings()).post("/api/keys/reload")
    last: dict[str, Any] = document["last"]
    if as_json:
        print_json(document)
    else:
        talk(f"{last['result']}: {last['detail']}")
        if last["hint"]:
            talk(f"→ {last['hint']}")
    return OK if last["result"] in _WELL else FAILURE


def rendered(document: dict[str, Any]) -> str:
    """The key's state for people.

    Args:
        document: What `/api/keys` answers.
    """
    lines = [
        f"source       {document['source']}",
        f"fingerprint  {document['fingerprint'] or '(no key)'}",
        f"in use since {local_time(document['since'])}, rotated {document['rotations']} times",
    ]
    last: dict[str, Any] | None = document["last"]
    if last is None:
        lines.append("last reload  none")
    else:
        told = f"{local_time(last['at'])}, {last['cause']}: {last['result']}: {last['detail']}"
        lines.append(f"last reload  {told}")
        lines += [f"             → {last['hint']}"] if last["hint"] else []
    return "\n".join(lines)
