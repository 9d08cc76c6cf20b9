"""`pause` and `resume`: stop sending, and go on."""

from __future__ import annotations

from supervisor.cli.connection import Connection
from supervisor.cli.output import talk
from supervisor.cli.place import HERE, Place


def pause(reason: str = "by hand", /, *, place: Place = HERE) -> None:
    """Send nothing until resumed; requests go on queueing.

    Args:
        reason: What everybody who waits is told.
        place: Which supervisor.
    """
    answer = Connection(place.settings()).post("/api/pause", {"reason": reason})
    also = "" if answer["state"] == "paused" else f", and {answer['state']}"
    talk(f"paused{also}: {answer['reason']}")


def resume(*, place: Place = HERE) -> None:
    """Send again.

    Args:
        place: Which supervisor.
    """
    answer = Connection(place.settings()).post("/api/resume")
    talk("sending" if answer["state"] == "open" else f"{answer['state']}: {answer['reason']}")
