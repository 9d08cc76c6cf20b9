"""A person at a real terminal talks through a real process with a real socket."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.acceptance.processes import Process, ran, supervisor
from tests.acceptance.terminals import ANSWERS, Terminal
from tests.acceptance.terminals import terminal as at_terminal

pytestmark = pytest.mark.slow

_STORY = """
[[answers]]
pattern = "story"
answer = '''Once upon a time.

{more}'''
"""


def terminal(folder: Path, *words: str) -> AbstractContextManager[Terminal]:
    """Run `python -m supervisor WORDS` in a terminal."""
    return at_terminal(folder, [sys.executable, "-m", "supervisor", *words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where supervisor and terminal run."""
    folder = tmp_path_factory.mktemp("chat")
    (folder / "roles").mkdir()
    more = "And then. " * 400
    (folder / "answers.toml").write_text(_STORY.format(more=more) + ANSWERS)
    return folder


@pytest.fixture(scope="module")
def process(folder: Path) -> Iterator[Process]:
    """One supervisor on the simulator for all tests here."""
    slow = ("simulator.answers=answers.toml", "simulator.latency=0s", "simulator.jitter=0s")
    with supervisor(folder, *slow, "simulator.chunk_delay=20ms", simulate=True) as process:
        yield process


@pytest.fixture
def here(process: Process) -> str:
    """The option that says where it is."""
    return f"--set=web.port={process.base.rpartition(':')[2]}"


def test_a_conversation(folder: Path, here: str, process: Process) -> None:
    """Ask, see the answer come, stop it alone, ask again, leave, and go on later."""
    before = process.get("/health")["clients"]["chat"]["since_start"]["requests"]
    with terminal(folder, "chat", here) as one:
        one.sees("/help")
        one.type("tell a story\r")
        one.sees("Once upon a time.")
        one.sees("Ctrl-C stops")
        one.type("\x03")
        one.sees("stopped")
        one.type("and now?\r")
        one.sees("Short and good.")
        one.type("/quit\r")
        assert one.ends() == 0
        assert one.is_cooked()
    with terminal(folder, "chat", "-c", here) as one:
        one.sees("2 answers so far")
        one.sees("Short and good.")
        one.type("hold it\r")
        one.sees("no word yet")
        one.type("\x1b")
        one.sees("> hold it")
        one.type("\x03\x04")
        assert one.ends() == 0
    chat = process.get("/health")["clients"]["chat"]
    assert (chat["priority"], chat["queued"]) == (0, 0)
    assert chat["since_start"]["requests"] - before == 3


def test_a_signal_leaves_the_terminal_as_it_was(folder: Path, here: str) -> None:
    """SIGTERM in the middle of a question ends the program and not the terminal."""
    with terminal(folder, "chat", here) as one:
        one.sees("/help")
        one.type("hold it\r")
        one.sees("no word yet")
        assert not one.is_cooked()
        one.popen.send_signal(signal.SIGTERM)
        assert one.ends() == 143
        assert one.is_cooked()


def test_one_question(folder: Path, here: str) -> None:
    """-p prints the answer and nothing else; Ctrl-C exits with 130."""
    done = ran("chat", "-p", "why?", here, folder=folder, key="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Short and good.\n", "")
    with terminal(folder, "ask", "hold it", here) as one:
        one.sees("no word yet")
        one.popen.send_signal(signal.SIGINT)
        assert one.ends() == 130


def test_nobody_there(folder: Path, free_port: int) -> None:
    """Where no supervisor runs, chat says how to start one, and exits with 3."""
    with terminal(folder, "chat", f"--set=web.port={free_port}") as one:
        one.sees("python -m supervisor run")
        assert one.ends() == 3
