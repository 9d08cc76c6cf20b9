"""A person at a real terminal with a command in it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.processes import ROOT

ANSWERS = """
[[answers]]
pattern = "hold"
delay = "60s"
answer = "never"

[[answers]]
pattern = ""
answer = "Short and good."
"""
"""What a simulated API is to say to a person: nothing for a minute, or something short."""
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

    def resizes(self, rows: int, columns: int) -> None:
        """Give it another size, which its program is told."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        self.popen.send_signal(signal.SIGWINCH)

    def _read(self) -> str:
        return os.read(self._master, 65536).decode(errors="replace")


@contextmanager
def terminal(folder: Path, command: Sequence[str]) -> Generator[Terminal]:
    """Run a command in a terminal of 80 by 24."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    popen = subprocess.Popen(
        command,
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
