"""Plugins as a role author would write them, and a directory to put them into."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

GOOD = """\
from supervisor.role import Context, Role


class Echo(Role[str, str]):
    async def handle(self, job: str, ctx: Context) -> str:
        return job
"""

LONG_AGO = 1_000_000_000


def write(directory: Path, name: str, code: str) -> Path:
    """Write a plugin's file; `name` may lead through folders."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(code))
    return path


def private_modules() -> set[str]:
    """The modules that loading has put into `sys.modules`."""
    return {name for name in sys.modules if name.startswith("supervisor_plugin_")}
