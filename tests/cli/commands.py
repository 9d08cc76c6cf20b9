"""Runs commands against a house on a real socket, in a thread as they would in their process."""

from __future__ import annotations

from functools import partial

import pytest
from anyio import to_thread

from supervisor.cli import main


class Result:
    """What a command came to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


async def command(capsys: pytest.CaptureFixture[str], port: int, *words: str) -> Result:
    """Run a command against the supervisor on a port.

    Args:
        capsys: pytest's fixture of that name.
        port: Where the supervisor listens.
        words: The command.
    """
    capsys.readouterr()
    arguments = [*words, "--set", f"web.port={port}"]
    code = await to_thread.run_sync(partial(main, arguments), abandon_on_cancel=True)
    captured = capsys.readouterr()
    return Result(code, captured.out, captured.err)
