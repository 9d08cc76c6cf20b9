"""A person at another machine talks through OpenSSH's client with a real process."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.processes import Process, supervisor
from tests.acceptance.terminals import ANSWERS, terminal
from tests.terminal.ssh import line_of, make_key

SSH = shutil.which("ssh")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SSH is None, reason="OpenSSH's client is not installed here"),
]


@dataclass(frozen=True)
class Door:
    """A process with an SSH door, and the command that knocks there."""

    process: Process
    folder: Path
    command: list[str]

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run one command there."""
        return subprocess.run(
            [*self.command, line],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def serving(folder: Path) -> Generator[Door]:
    """A supervisor on the simulator, with an SSH door for one key."""
    (folder / "roles").mkdir()
    (folder / "answers.toml").write_text(ANSWERS)
    key = make_key()
    (folder / "id").write_bytes(key.export_private_key())
    (folder / "id").chmod(0o600)
    (folder / "keys").write_text(line_of(key))
    quick = ("simulator.answers=answers.toml", "simulator.latency=0s", "simulator.jitter=0s")
    ssh = ("ssh.port=0", "ssh.authorized_keys=keys")
    with supervisor(folder, *quick, *ssh, simulate=True) as process:
        port = re.search(r"port\W+(\d+)", process.wait_for("ssh.listening"))
        assert port is not None
        options = ("IdentitiesOnly=yes", "IdentityAgent=none", "LogLevel=ERROR", "BatchMode=yes")
        known = ("UserKnownHostsFile=known", "StrictHostKeyChecking=accept-new")
        given = [word for option in (*options, *known) for word in ("-o", option)]
        command = [SSH or "", "-F", "none", "-i", "id", "-p", port[1], *given, "127.0.0.1"]
        yield Door(process, folder, command)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One supervisor for all tests here that leave it as it is."""
    with serving(tmp_path_factory.mktemp("ssh")) as door:
        yield door


def test_a_conversation(door: Door) -> None:
    """The same conversation as here: ask, stop an answer alone, resize, leave, go on later."""
    with terminal(door.folder, door.command) as one:
        one.sees("/help")
        one.type("what now?\r")
        one.sees("Short and good.")
        one.type("hold it\r")
        one.sees("no word yet")
        one.resizes(20, 50)
        one.type("\x03")
        one.sees("stopped")
        one.type("\x03\x04")
        assert one.ends() == 0
    [kept] = (door.folder / "data" / "chat").iterdir()
    assert json.loads(kept.read_text().splitlines()[0])["person"] == "ann@laptop"


def test_commands(door: Door) -> None:
    """`ssh host "status --json"` is what the house's own door says; a wrong command is 2."""
    done = door.run("status --json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout).keys() == door.process.get("/health").keys()
    for name in ("status", "queue", "roles", "jobs", "usage", "help"):
        assert door.run(name).returncode == 0, name
    assert door.run("reboot").returncode == 2


def test_its_key_lies_beside_the_store(door: Door) -> None:
    """Clients know the server again as long as its store is kept."""
    assert (door.folder / "data" / "ssh_host_key").stat().st_mode & 0o777 == 0o600


def test_stopping(tmp_path: Path) -> None:
    """When the process stops, who is there is told, and it ends with 0."""
    with serving(tmp_path) as door, terminal(door.folder, door.command) as one:
        one.sees("/help")
        assert door.process.stop() == 0
        one.sees("the supervisor stops")
        assert one.ends() == 1
        assert "ssh.session_failed" not in door.process.log.read_text()
