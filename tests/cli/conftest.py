"""Commands see neither the developer's configuration nor his keys."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def _empty_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, with an environment that says nothing about a supervisor."""
    for name in list(os.environ):
        if name.startswith(("SUPERVISOR", "GROK_", "XAI_", "ENABLE_RATE")) or name == "PORT":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _quiet_house() -> Iterator[None]:
    """Keep the events of a house in this process out of what its commands print.

    Commands set logging up as their own process would; afterwards it is as it was.
    """
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    with capture_logs():
        yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
