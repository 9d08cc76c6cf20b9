"""The command that prints the key, such as `pass show grok`.

It gets our environment without our own secrets: what unlocks the store of keys (an agent's socket,
a vault's token) has to reach it. Of what it says on stderr one line is shown, without anything that
could be a key.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
from collections.abc import Collection, Sequence
from typing import IO

from pydantic import SecretStr

from supervisor.clock import SystemClock
from supervisor.config.report import Report

PATIENCE = 10.0
"""Seconds for which it may run."""
_ORIGIN = "key.command"
_SHOWN = 200
_MOST = 64 * 1024
"""Bytes that are kept of each output: enough for any key, and for any complaint."""
_READS = 32
_LOOK = 0.02
"""Seconds between two looks at whether the command has ended, while it says nothing."""
_CLOCK = SystemClock()
_COULD_BE_A_KEY = re.compile(r"[A-Za-z0-9_+=-]{16,}")


def run_key_command(
    command: Sequence[str], withheld: Collection[str], report: Report, *, patience: float = PATIENCE
) -> SecretStr | None:
    """The first line that a command prints.

    Args:
        command: The program and its arguments.
        withheld: Environment variables that it does not get; ours never.
        report: Takes what went wrong.
        patience: Seconds for which it may run.
    """
    try:
        process = subprocess.Popen(
            list(command),
            env=_environment(withheld),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        report.add(_ORIGIN, f'"{command[0]}" cannot be run: {reason}')
        return None
    printed, said, in_time = _ended(process, patience)
    key = SecretStr(_first_line(printed))
    report.hide(key.get_secret_value())
    problem = _problem(process.returncode if in_time else None, key, patience=patience)
    if problem:
        words = _said(said, key)
        report.add(_ORIGIN, f'"{command[0]}" {problem}{f"; it said: {words}" if words else ""}')
        return None
    return key


def _problem(code: int | None, key: SecretStr, *, patience: float) -> str:
    if code is None:
        return f"did not end within {patience:g} s"
    if code:
        return f"ended with code {code}"
    return "" if key else "printed nothing: expected the key as its first line"


def _environment(withheld: Collection[str]) -> dict[str, str]:
    return {
        name: text
        for name, text in os.environ.items()
        if name not in withheld and not name.startswith("SUPERVISOR")
    }


def _ended(process: subprocess.Popen[bytes], patience: float) -> tuple[bytes, bytes, bool]:
    """What a process printed, what it said, and whether it ended in its time.

    What it has started may outlive it and keep its pipes open, as an agent does: what counts is
    what is there when the process itself has ended.
    """
    until = _CLOCK.monotonic() + patience
    with process, selectors.DefaultSelector() as open_pipes:
        printed, said = _Pipe(process.stdout), _Pipe(process.stderr)
        for pipe in (printed, said):
            open_pipes.register(pipe.file, selectors.EVENT_READ, pipe)
        while process.poll() is None and _CLOCK.monotonic() < until:
            _read(open_pipes, _LOOK)
        in_time = process.poll() is not None
        if not in_time:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        # No pipe holds more than so many reads take; whoever keeps it open may write for ever.
        for _ in range(_READS):
            if not _read(open_pipes, 0.0):
                break
    return bytes(printed.text), bytes(said.text), in_time


class _Pipe:
    """One of a process's outputs, and the beginning of what came out of it."""

    def __init__(self, file: IO[bytes] | None) -> None:
        assert file is not None
        self.file = file
        self.text = bytearray()


def _read(open_pipes: selectors.BaseSelector, patience: float) -> bool:
    """Read what has come, or comes in this time; tells whether anything has."""
    ready = open_pipes.select(patience)
    for key, _ in ready:
        pipe: _Pipe = key.data
        part = os.read(pipe.file.fileno(), _MOST)
        pipe.text += part[: _MOST - len(pipe.text)]
        if not part:
            open_pipes.unregister(pipe.file)
    return bool(ready)


def _first_line(printed: bytes) -> str:
    return printed.decode("utf-8", "replace").strip("\r\n").partition("\n")[0].strip()


def _said(said: bytes, key: SecretStr) -> str:
    """The last line of its complaint, without what it printed and what looks like a key."""
    lines = said.decode("utf-8", "replace").split("\n")
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if key:
        line = line.replace(key.get_secret_value(), "***")
    return _COULD_BE_A_KEY.sub("***", line)[:_SHOWN]
