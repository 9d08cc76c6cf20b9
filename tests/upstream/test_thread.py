"""What may never come is waited for in a thread that ends with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from supervisor.upstream.thread import ask_in_thread

ABANDONED = """
import threading
import anyio
from supervisor.upstream.thread import ask_in_thread

async def main():
    with anyio.move_on_after(0.05):
        await ask_in_thread(threading.Event().wait)

anyio.run(main)
"""


async def test_what_comes_of_it() -> None:
    """The call's value, or its error."""

    def wrong() -> None:
        raise KeyError("no")

    assert await ask_in_thread(lambda: 5) == 5
    with pytest.raises(KeyError):
        await ask_in_thread(wrong)


def test_a_call_that_never_returns_keeps_no_process_alive() -> None:
    """Whoever is cancelled goes on at once, and so does the process's end."""
    ended = subprocess.run([sys.executable, "-c", ABANDONED], timeout=15, check=False)
    assert ended.returncode == 0
