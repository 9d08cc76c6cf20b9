"""What is below HTTP, in real processes: names that are not found, bytes that are no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.faulty import SETTINGS, ask, bench, check_ends, check_log, check_well
from tests.acceptance.processes import supervisor
from tests.upstream.api import completion

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

SLOW_NAMES = """
import asyncio, pathlib
from aiohttp.resolver import ThreadedResolver

known, mark = ThreadedResolver.resolve, pathlib.Path(__file__).with_name("name-server-is-slow")

async def resolve(self, host, *others, **more):
    while mark.exists():
        await asyncio.sleep(0.02)
    return await known(self, host.replace("api.slow.test", "127.0.0.1"), *others, **more)

ThreadedResolver.resolve = resolve
"""
"""uvloop asks the name server in C: it is slowed down where that is called."""
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
GARBAGE = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "noise": bytes(range(256)) * 8,
    "a negative length": HEAD + b"content-length: -5\r\n\r\n{}",
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 9\r\n\r\n{}",
    "more than it says": HEAD + b'content-length: 2\r\n\r\n{"choices": []}',
    "a broken chunk": HEAD + b"transfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 100_000,
    "not gzip": HEAD + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
    "a redirect": b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
}
ANSWER = HEAD + b"content-length: %d\r\n\r\n" % len(completion()) + completion()
STREAMS = (False, True)


def test_a_slow_name_server(tmp_path: Path) -> None:
    """Looking the name up counts as connecting; when it is found again everybody is answered."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_NAMES)
    mark = tmp_path / "name-server-is-slow"
    mark.touch()
    with bench(tmp_path, "quota.limits=[]", host="api.slow.test") as one:
        ends = check_ends(one.ask_all(1))
        mark.unlink()
        assert ends == {"upstream_unavailable": 6}
        assert "Connection timeout to host http://api.slow.test" in one.house.log.read_text()
        check_well(one)
        assert one.house.stop() == 0
        check_log(one.house)


def test_bytes_that_are_no_answer(tmp_path: Path) -> None:
    """Whatever a server writes, each call ends with a typed error and nothing of it is left."""
    (tmp_path / "roles").mkdir()
    with talking() as server:
        base = f"upstream.base_url=http://127.0.0.1:{server.port}/v1"
        with supervisor(tmp_path, base, *SETTINGS, "upstream.max_retries=0") as house:
            for said in GARBAGE.values():
                server.says = said
                ends = check_ends([ask(house, "bot", stream=stream) for stream in STREAMS])
                assert set(ends) <= {"upstream_unavailable", "upstream_rejected"}, said[:40]
                server.says = ANSWER
                assert ask(house, "bot").code == ""
            assert house.stop() == 0
            check_log(house)


class Talker:
    """A server that reads a request's head and says one thing, whatever was asked.

    Attributes:
        port: Where it listens.
        says: What it says; then it hangs up.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self.says = b""

    def run(self) -> None:
        """Serve one connection after the other until the listener is closed."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(self.says)
                connection.shutdown(socket.SHUT_WR)


@contextmanager
def talking() -> Generator[Talker]:
    """A talker, for as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        talker = Talker(listener)
        thread = threading.Thread(target=talker.run, daemon=True)
        thread.start()
        yield talker
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
