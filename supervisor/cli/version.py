"""`version`."""

from __future__ import annotations

from supervisor.web.version import version as installed


def version() -> None:
    """Print the version."""
    print(installed())
