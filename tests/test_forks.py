"""What a fork does is what a program would have done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.forks import Fork, Order, can_fork, fork, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_fork(), reason="no forks here, or programs are measured"),
]

PROGRAM = """
import atexit, os, signal, sys, threading
atexit.register(print, "left in good order")
print(sys.argv[1:], __name__, os.path.basename(sys.argv[0]), os.getcwd())
print(os.environ.get("MARK"), os.environ.get("HOME"), sys.path[0])
print("supervisor.app" in sys.modules, threading.active_count())
print(sys.stdin.read(), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print("not well", file=sys.stderr)
sys.exit(7)
"""
WAITING = """
import signal, sys
print("here", flush=True)
signal.pause()
"""


def order(folder: Path, program: str, words: Sequence[str] = ()) -> Order:
    """Run a text as a module that lies in a folder."""
    (folder / "program_of_a_test.py").write_text(program)
    environment = {"MARK": "here", "PATH": os.environ["PATH"]}
    return Order("program_of_a_test", words, str(folder), environment)


def waiting(folder: Path) -> Fork:
    """A fork that waits for a signal."""
    with (folder / "errors").open("wb") as errors:
        made = fork(order(folder, WAITING), stderr=errors.fileno())
    assert made.stdout is not None
    assert made.stdout.readline() == b"here\n"
    made.stdout.close()
    return made


def test_it_is_as_its_order_says(tmp_path: Path) -> None:
    """Words, folder, environment, path and streams are its own; it ends as an interpreter does."""
    done = run(order(tmp_path, PROGRAM, ["a", "b c"]), text="told")
    assert done.stdout.splitlines() == [
        f"['a', 'b c'] __main__ program_of_a_test.py {tmp_path}",
        f"here None {tmp_path}",
        "True 1",
        "told True",
        "left in good order",
    ]
    assert (done.returncode, done.stderr) == (7, "not well\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    """It can be told from outside to end, and its exit code says what ended it."""
    made = waiting(tmp_path)
    assert made.poll() is None
    made.send_signal(number)
    assert made.wait(10) == -number
    assert (made.poll(), made.returncode) == (-number, -number)
    made.kill()


def test_forks_know_nothing_of_each_other(tmp_path: Path) -> None:
    """One that ends, or is killed, changes nothing for another one; none has the other's files."""
    first, second = waiting(tmp_path), waiting(tmp_path)
    if sys.platform.startswith("linux"):
        files = [len(os.listdir(f"/proc/{one.pid}/fd")) for one in (first, second)]
        assert files[0] == files[1]
    first.kill()
    assert first.wait(10) == -signal.SIGKILL
    assert second.poll() is None
    second.kill()
    assert second.wait(10) == -signal.SIGKILL


def test_what_it_raises_is_told(tmp_path: Path) -> None:
    """An error that nobody catches is a traceback on stderr, and the exit code 1."""
    done = run(order(tmp_path, "1 / 0"))
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
