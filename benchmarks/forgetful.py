"""The supervisor with its ledger in memory: what the one on disk costs is told beside it.

    python -m benchmarks.forgetful run --config config.toml

Not for use: it has forgotten what it sent when it starts again, so limits and budgets break then.
That is why no setting asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from supervisor import app
from supervisor.cli import main
from supervisor.ledger.memory import MemoryLedger


class _InMemory(MemoryLedger):
    """Made as the ledger in a file is."""

    def __init__(self, path: Path, *, kept: float, alone: Callable[[], bool]) -> None:
        super().__init__(kept=kept)


if __name__ == "__main__":
    setattr(app, "SqliteLedger", _InMemory)  # noqa: B010 - what is swapped is no variable
    sys.exit(main())
