"""A person at a real terminal talks through a real process with a real socket."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.processes import ROOT, Process, supervisor

pytestmark = pytest.mark.slow

_ANSWERS = """
[[answers]]
pattern = "hold"
delay = "60s"
answer = "never"

[[answers]]
pattern = "story"
answer = '''Once upon a time.

{more}'''

[[answers]]
pattern = ""
answer = "Short and good."
"""
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\r")
_PATIENCE = 10


class Terminal:
    """A terminal with a command in it.

    Args:
        master: Our end of it.
        popen: The command.
    """

    def __init__(self, master: int, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen
        self._master = master
        self._seen = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def sees(self, text: str) -> str:
        """Wait until something can be read; all up to it is forgotten and returned."""
        while text not in (shown := _SEQUENCE.sub("", self._seen)):
            ready, _, _ = select.select([self._master], [], [], _PATIENCE)
            assert ready, f"{text!r} never came, only:\n{shown}"
            self._seen += self._read()
        before, self._seen = shown.split(text, 1)
        return before

    def ends(self) -> int:
        """Wait for the end; the exit code."""
        # Whoever writes into a full terminal does not end: it is read until there is nobody.
        while self.popen.poll() is None:
            if select.select([self._master], [], [], 0.02)[0]:
                self._read()
        return self.popen.returncode

    def is_cooked(self) -> bool:
        """Whether the terminal echoes and reads lines, as a shell wants it."""
        modes: int = termios.tcgetattr(self._master)[3]
        return modes & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON

    def _read(self) -> str:
        return os.read(self._master, 65536).decode(errors="replace")


@contextmanager
def terminal(folder: Path, *words: str) -> Generator[Terminal]:
    """Run `python -m supervisor WORDS` in a terminal of 80 by 24."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    popen = subprocess.Popen(
        [sys.executable, "-m", "supervisor", *words],
        cwd=folder,
        env=environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    try:
        yield Terminal(master, popen)
    finally:
        os.close(slave)
        if popen.poll() is None:
            popen.kill()
        popen.wait(_PATIENCE)
        os.close(master)


def environment() -> dict[str, str]:
    """Ours, without keys, for a terminal that does not tell where its cursor is."""
    mine = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
    return mine | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where supervisor and terminal run."""
    folder = tmp_path_factory.mktemp("chat")
    (folder / "roles").mkdir()
    more = "And then. " * 400
    (folder / "answers.toml").write_text(_ANSWERS.format(more=more))
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
    before = process.get("/health")["clients"]["chat"]["requests"]
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
    assert (chat["priority"], chat["requests"] - before, chat["queued"]) == (0, 3, 0)


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
    words = [sys.executable, "-m", "supervisor", "chat", "-p", "why?", here]
    done = subprocess.run(
        words, cwd=folder, env=environment(), input=b"", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Short and good.\n", b"")
    with terminal(folder, "ask", "hold it", here) as one:
        one.sees("no word yet")
        one.popen.send_signal(signal.SIGINT)
        assert one.ends() == 130


def test_nobody_there(folder: Path, free_port: int) -> None:
    """Where no supervisor runs, chat says how to start one, and exits with 3."""
    with terminal(folder, "chat", f"--set=web.port={free_port}") as one:
        one.sees("python -m supervisor run")
        assert one.ends() == 3
