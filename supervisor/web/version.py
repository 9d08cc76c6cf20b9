"""Which version runs, for health, metrics and the command line."""

from __future__ import annotations

DISTRIBUTION = "grok-supervisor"
"""The name under which this project is installed; `supervisor` on PyPI is Supervisord."""


def version() -> str:
    """The installed version; `0+source` when run from a tree that is not installed."""
    # 20 ms of imports that only this needs; every command of the CLI would pay for them.
    from importlib.metadata import PackageNotFoundError  # noqa: PLC0415
    from importlib.metadata import version as installed  # noqa: PLC0415

    try:
        return installed(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+source"
