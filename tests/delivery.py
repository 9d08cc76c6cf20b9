"""How soon DBOS delivers again what a stop or a death has interrupted."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

AT_ONCE = {"polling_interval_sec": 0.01}
"""Seconds between two looks at the queue that it is delivered through; one, else."""


def queue_defaults() -> MutableMapping[str, Any]:
    """What DBOS takes for a queue where nothing is said; there is no setting for its own one."""
    from dbos._queue import Queue  # noqa: PLC0415 - half a second that few tests need

    defaults = Queue.__init__.__kwdefaults__ or {}
    assert AT_ONCE.keys() <= defaults.keys()
    return defaults
