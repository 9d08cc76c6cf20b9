"""`start`, `stop`, `restart`, `reload`: act on one role."""

from __future__ import annotations

from urllib.parse import quote

from supervisor.cli.connection import Connection
from supervisor.cli.output import talk
from supervisor.cli.place import HERE, Place


def start(role: str, /, *, place: Place = HERE) -> None:
    """Start a role that was stopped or has failed.

    Args:
        role: Its name.
        place: Which supervisor.
    """
    _act("start", role, place)


def stop(role: str, /, *, place: Place = HERE) -> None:
    """Stop a role; its jobs wait until it is started again.

    Args:
        role: Its name.
        place: Which supervisor.
    """
    _act("stop", role, place)


def restart(role: str, /, *, place: Place = HERE) -> None:
    """Restart a role with a fresh restart budget.

    Args:
        role: Its name.
        place: Which supervisor.
    """
    _act("restart", role, place)


def reload(role: str, /, *, place: Place = HERE) -> None:
    """Read a role's file again; the old version goes on where the new one is wrong.

    Args:
        role: Its name.
        place: Which supervisor.
    """
    _act("reload", role, place)


def _act(action: str, role: str, place: Place) -> None:
    answer = Connection(place.settings()).post(f"/api/roles/{quote(role, safe='')}/{action}")
    error = f": {answer['last_error']}" if answer["state"] == "failed" else ""
    talk(f"{role} is {answer['state']}{error}")
