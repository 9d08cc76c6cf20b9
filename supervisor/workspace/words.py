"""The words of running commands: what one may use, what it came to, and who runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a command may use at most.

    Attributes:
        seconds: Time on the wall.
        memory: Bytes of address space, of each of its processes.
        output: Bytes that are kept of what it prints: its beginning and its end.
    """

    seconds: float = 120.0
    memory: int = 4 * 2**30
    output: int = 32 * 2**10


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that has ended.

    Attributes:
        code: Its exit code; negative for the signal that ended it.
        output: What it printed to stdout; with what it printed to stderr in between unless they
            were asked for apart. The middle is left out where it was too much, and says so.
        errors: What it printed to stderr, where that was asked for apart.
        timed_out: Whether it was ended because its time was up.
        seconds: How long it ran.
    """

    code: int
    output: str
    errors: str = ""
    timed_out: bool = False
    seconds: float = 0.0


class Sandbox(Protocol):
    """Runs commands that nobody has read, away from the key and from the user's files."""

    @property
    def level(self) -> str:
        """What stands between a command and this machine: `bubblewrap`, or `plain` for nothing."""
        ...

    async def run(
        self,
        command: str | Sequence[str],
        *,
        folder: Path,
        bounds: Bounds = ...,
        apart: bool = False,
        readable: Sequence[Path] = (),
    ) -> Ran:
        """Run a command to its end; when cancelled or out of time, it and its children are killed.

        It gets a scrubbed environment, in which no key and no token is, and may write in `folder`
        and in a temporary folder of its own.

        Args:
            command: A line for the shell, or the words of a command.
            folder: Where it runs.
            bounds: What it may use.
            apart: Keep stderr apart from stdout.
            readable: What it must be able to read, wherever that lies; all else that is hidden
                stays so.

        Raises:
            JobFailed: It could not be started.
        """
        ...
