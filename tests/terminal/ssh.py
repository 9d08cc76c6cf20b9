"""A served SSH door with a small conversation behind it, and a client that sits at a terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import asyncssh
from anyio.abc import TaskStatus
from prompt_toolkit import PromptSession

from supervisor.config.settings import SshSettings
from supervisor.errors import StoreError
from supervisor.terminal.door import Door
from supervisor.terminal.ssh_server import serve_ssh
from supervisor.terminal.ssh_session import Converse

_ATTRIBUTES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""What moves the cursor and sets colours."""

QUEUE = {
    "state": "open",
    "reason": "",
    "queued": 3,
    "classes": [{"name": "gateway", "priority": 40, "queued": 3, "in_flight": 1, "why": "room"}],
}


def make_key(comment: str = "ann@laptop") -> asyncssh.SSHKey:
    """A fresh key."""
    return asyncssh.generate_private_key("ssh-ed25519", comment)  # pyright: ignore


def line_of(key: asyncssh.SSHKey) -> str:
    """A key's line for the file of keys."""
    return key.export_public_key().decode()


class Talk:
    """A conversation that says what it was told; it remembers what became of it."""

    def __init__(self) -> None:
        self.doors: list[Door] = []
        self.ended: list[str] = []

    async def __call__(self, door: Door) -> None:
        self.doors.append(door)
        end = "cancelled"
        try:
            await self.talk(door)
            end = "done"
        except Exception as error:
            end = type(error).__name__
            raise
        finally:
            self.ended.append(end)

    async def talk(self, door: Door) -> None:
        """Echo lines until one says good-bye."""
        session = PromptSession[str](input=door.input, output=door.output)
        while True:
            try:
                text = await session.prompt_async(
                    "> ", handle_sigint=False, set_exception_handler=False
                )
            except KeyboardInterrupt:
                text = "Ctrl-C"
            if text == "bye":
                return
            if text == "fail":
                raise ValueError("planted")
            if text == "exit":
                raise SystemExit(3)
            say(door, f"{door.person} on {door.columns()} said {text}\n")


def say(door: Door, text: str) -> None:
    """Write to a door's screen."""
    door.output.write_raw(text)
    door.output.flush()


class Shelf:
    """The running house, as far as commands look: one document, or an error."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = QUEUE
        self.wait: asyncio.Event | None = None
        self.asked: list[str] = []

    async def get(self, path: str) -> dict[str, Any]:
        """The document, once it may be had."""
        self.asked.append(path)
        if self.wait is not None:
            await self.wait.wait()
        if path == "/api/usage":
            raise StoreError("the store is gone")
        return self.document


@dataclass
class Served:
    """A door that is open."""

    folder: Path
    port: int = 0
    key: asyncssh.SSHKey = field(default_factory=make_key)
    talk: Talk = field(default_factory=Talk)
    shelf: Shelf = field(default_factory=Shelf)
    stop: Callable[[], None] = lambda: None

    @property
    def file(self) -> Path:
        """The file of keys."""
        return self.folder / "authorized_keys"

    def allow(self, *lines: str) -> None:
        """Write the file of keys."""
        self.file.write_text("\n".join(lines) + "\n")
        self.file.chmod(0o600)

    def connect(self, **options: Any) -> Any:
        """Log in as somebody with the key; an async context manager."""
        given: dict[str, Any] = {
            "port": self.port,
            "username": "anybody",
            "client_keys": [self.key],
            "known_hosts": None,
            "config": None,
            "agent_path": None,
            "gss_host": None,
            **options,
        }
        return asyncssh.connect("127.0.0.1", **given)


@asynccontextmanager
async def serving(
    folder: Path, *, converse: Converse | None = None, options: str = ""
) -> AsyncGenerator[Served]:
    """Open the door in a folder; it closes at the end, or when `stop` says so."""
    served = Served(folder)
    served.allow(f"{options} {line_of(served.key)}".strip())
    settings = SshSettings(
        port=0, authorized_keys=served.file, host_key=folder / "state" / "ssh_host_key"
    )
    scope = anyio.CancelScope()
    served.stop = scope.cancel

    async def serve(*, task_status: TaskStatus[int]) -> None:
        with scope:
            await serve_ssh(
                settings,
                converse=converse or served.talk,
                house=served.shelf,
                task_status=task_status,
            )

    async with anyio.create_task_group() as tasks:
        served.port = await tasks.start(serve)
        yield served
        served.stop()


class Terminal:
    """Somebody at a terminal: reads what is shown and answers as a terminal does."""

    def __init__(self, process: asyncssh.SSHClientProcess[str]) -> None:
        self.process = process
        self.shown = ""

    async def sees(self, text: str) -> None:
        """Wait until a text is shown, and forget what came up to there."""
        with anyio.fail_after(5):
            while text not in self.shown:
                await self._read()
        self.shown = self.shown.partition(text)[2]

    async def closed(self) -> int | None:
        """Wait for the end; the exit code."""
        with anyio.fail_after(5):
            while not self.process.stdout.at_eof():
                await self._read()
            await self.process.wait_closed()
        return self.process.exit_status

    def types(self, text: str) -> None:
        """Press keys."""
        self.process.stdin.write(text)

    async def _read(self) -> None:
        text = await self.process.stdout.read(65536)
        if not text and self.process.stdout.at_eof():
            await asyncio.sleep(0)
        self.shown = _ATTRIBUTES.sub("", self.shown + text)
        if "\x1b[6n" in text:
            with suppress(OSError):
                self.process.stdin.write("\x1b[1;1R")


async def sit_down(
    connection: asyncssh.SSHClientConnection, *, columns: int = 80, **options: Any
) -> Terminal:
    """Open a terminal on a connection."""
    process: asyncssh.SSHClientProcess[str] = await connection.create_process(  # pyright: ignore
        term_type="xterm", term_size=(columns, 24), **options
    )
    return Terminal(process)
