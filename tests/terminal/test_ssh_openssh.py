"""The SSH door as OpenSSH's own client finds it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anyio
import pytest

from tests.terminal.ssh import QUEUE, Served, make_key, serving
from tests.waiting import until

SSH = shutil.which("ssh")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(SSH is None, reason="OpenSSH's client is not installed here"),
]


def words(served: Served, *more: str) -> list[str]:
    """The command line of a client with the key, and with nothing of this machine's settings."""
    identity = served.folder / "identity"
    if not identity.exists():
        identity.write_bytes(served.key.export_private_key())
        identity.chmod(0o600)
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": str(served.folder / "known_hosts"),
        "LogLevel": "ERROR",
    }
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    port = ["-p", str(served.port), "-i", str(identity)]
    return [SSH or "ssh", "-F", "none", *port, *given, *more]


async def run(served: Served, *more: str, typed: str = "") -> tuple[int, str, str]:
    """Run the client to its end: exit code, stdout, stderr."""
    with anyio.fail_after(10):
        done = await anyio.run_process(words(served, *more), input=typed.encode(), check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_commands(tmp_path: Path) -> None:
    """`ssh host "queue --json"` is one document; a wrong command is 2 and says what there is."""
    async with serving(tmp_path) as served:
        code, out, err = await run(served, "127.0.0.1", "queue --json")
        assert (code, json.loads(out), err) == (0, QUEUE, "")
        code, out, err = await run(served, "127.0.0.1", "queu")
        assert (code, out) == (2, "")
        assert 'did you mean "queue"?' in err


async def test_a_conversation(tmp_path: Path) -> None:
    """`ssh -tt host` talks; without a terminal it says what to do, and is 2."""
    async with serving(tmp_path) as served:
        code, out, _ = await run(served, "-tt", "127.0.0.1", typed="grüße\rbye\r")
        assert "ann@laptop on 80 said grüße\r\n" in out
        assert code == 0
        code, out, err = await run(served, "-T", "127.0.0.1")
        assert (code, out) == (2, "")
        assert f"ssh -t -p {served.port} HOST" in err


async def test_strangers(tmp_path: Path) -> None:
    """A key that is not listed is refused, and no other way in is offered."""
    async with serving(tmp_path) as served:
        served.key = make_key("eve")
        code, out, err = await run(served, "127.0.0.1", "queue")
    assert (code, out) == (255, "")
    assert "Permission denied (publickey)" in err
    assert served.shelf.asked == []


async def test_a_client_that_is_killed(tmp_path: Path) -> None:
    """A client that dies without a word ends its conversation at once."""
    async with serving(tmp_path) as served:
        async with await anyio.open_process(words(served, "-tt", "127.0.0.1")) as client:
            assert client.stdout is not None
            await client.stdout.receive()
            client.kill()
        await until(lambda: served.talk.ended == ["cancelled"])
