"""Names are looked up where nobody has to wait for an answer that does not come."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from supervisor.upstream.names import resolver

SILENT = """
import socket, sys, threading
import anyio
from supervisor.messages import Request
from supervisor.upstream.client import Upstream
from supervisor.upstream.key import Key

def silent(*of, **how):
    threading.Event().wait()

async def main():
    socket.getaddrinfo = silent
    upstream = Upstream("http://api.silent.test/v1", Key(""), connect_timeout=0.1)
    outcome = await upstream.send(Request(id="a", traffic_class="code", body=b"{}"))
    print(outcome.failure.kind, outcome.failure.text)
    await upstream.aclose()

anyio.run(main, backend_options={"use_uvloop": sys.platform != "win32"})
"""


async def test_a_name_has_its_addresses() -> None:
    """What the system knows of a name is what is connected to."""
    found = await resolver().resolve("localhost", 80, socket.AF_INET)
    assert {one["host"] for one in found} == {"127.0.0.1"}


async def test_a_name_that_cannot_be_one() -> None:
    """What no name server can be asked for is an error of the system's kind."""
    with pytest.raises(socket.gaierror):
        await resolver().resolve("a" * 70 + ".test", 80, socket.AF_INET)


async def test_an_error_of_the_system() -> None:
    """What the system says goes to whoever asked."""
    with pytest.raises(socket.gaierror):
        await resolver().resolve("::1", 80, socket.AF_INET)


def test_a_silent_name_server_keeps_no_process_alive() -> None:
    """Looking up takes the time to connect and no more, also at the process's end."""
    ended = subprocess.run(
        [sys.executable, "-c", SILENT], capture_output=True, text=True, timeout=15, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("unreachable the connection failed: Connection timeout")
