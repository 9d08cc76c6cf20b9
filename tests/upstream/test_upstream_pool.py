"""The real transport on a real socket: what the HTTP edge of other tests cannot show."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from supervisor.messages import Request
from supervisor.upstream.client import Upstream
from supervisor.upstream.failures import FailureKind
from supervisor.upstream.key import Key
from tests.upstream.api import FAKE_KEY, WHOLE_STREAM, completion

BODY = completion()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ASKED = Request(id="a", traffic_class="code", body=b'{"model":"grok-4.7"}')
STREAMED = Request(id="a", traffic_class="code", body=b'{"model":"grok-4.7"}', stream=True)

Peer = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One connection as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heads: list[bytes] = []
        self.hung_up = anyio.Event()

    async def request(self) -> None:
        """Read one request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await self.reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def end(self) -> None:
        """Wait until the client hangs up."""
        while await self.reader.read(1024):
            pass
        self.hung_up.set()


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n" % len(data) + data + b"\r\n"


def saying(said: bytes) -> Peer:
    """A server that says one thing when it was asked, and hangs up."""

    async def peer(connection: Connection) -> None:
        await connection.request()
        await connection.say(said)

    return peer


@asynccontextmanager
async def served(
    peer: Peer, *, silence: float = 5.0, longest: float = 60.0
) -> AsyncGenerator[tuple[Upstream, list[Connection]]]:
    """An upstream over the pooled transport, talking to a scripted server."""
    connections: list[Connection] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        connections.append(connection)
        try:
            await peer(connection)
        except (asyncio.IncompleteReadError, ConnectionError):
            connection.hung_up.set()
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream = Upstream(
        f"http://127.0.0.1:{port}/v1/",
        Key(FAKE_KEY),
        timeout=silence,
        connect_timeout=1.0,
        longest=longest,
    )
    with anyio.fail_after(5):
        async with server:
            try:
                yield upstream, connections
            finally:
                await upstream.aclose()
                for connection in connections:
                    connection.writer.close()


async def test_one_connection_is_used_again() -> None:
    """Attempts one after the other share a connection, and the key goes with each."""

    async def peer(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.say(WHOLE)

    async with served(peer) as (upstream, connections):
        for _ in range(3):
            outcome = await upstream.send(ASKED)
            assert (outcome.status, outcome.body, outcome.failure) == (200, BODY, None)
    (connection,) = connections
    assert len(connection.heads) == 3
    assert all(head.startswith(b"POST /v1/chat/completions ") for head in connection.heads)
    assert all(FAKE_KEY.encode() in head for head in connection.heads)
    assert all(b"grok-supervisor" in head for head in connection.heads)


async def test_nobody_listens() -> None:
    """A refused connection is a failure that says where it was tried."""
    async with served(Connection.end) as (upstream, _):
        pass
    outcome = await upstream.send(ASKED)
    await upstream.aclose()
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.UNREACHABLE
    assert upstream.base_url in outcome.failure.hint


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        HEAD + b"content-length: 999\r\n\r\n" + BODY,
        CHUNKED + chunk(b'{"half":'),
    ],
    ids=["nothing", "half a head", "half a body", "half the chunks"],
)
async def test_a_cut_connection(said: bytes) -> None:
    """Wherever the server hangs up, the attempt has failed of its connection."""
    async with served(saying(said)) as (upstream, _):
        outcome = await upstream.send(ASKED)
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.CONNECTION


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"])
async def test_another_protocol(said: bytes) -> None:
    """A server that does not speak HTTP is a failed attempt, not a crash."""
    async with served(saying(said)) as (upstream, _):
        outcome = await upstream.send(ASKED)
    assert outcome.failure is not None


async def test_another_protocol_does_not_reveal_the_key() -> None:
    """Nothing that an attempt raises shows the key, in whatever form it is logged."""
    shown = ""
    async with served(saying(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")) as (upstream, _):
        try:
            shown = repr(await upstream.send(ASKED))
        except Exception as error:
            shown = repr(error)
    assert FAKE_KEY not in shown


async def test_a_silent_server_times_out() -> None:
    """Without a byte for `timeout` seconds the attempt is given up and the connection closed."""

    async def peer(connection: Connection) -> None:
        await connection.request()
        await connection.end()

    async with served(peer, silence=0.05) as (upstream, connections):
        outcome = await upstream.send(ASKED)
        await connections[0].hung_up.wait()
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.TIMEOUT


async def test_a_cut_stream() -> None:
    """A stream whose connection breaks has failed, after the events that came."""

    async def peer(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKED + chunk(WHOLE_STREAM[0]))

    passed = b""
    async with served(peer) as (upstream, _), upstream.stream(STREAMED) as attempt:
        assert attempt.events is not None
        async for raw in attempt.events:
            passed += raw
        assert attempt.failure is not None
        assert attempt.failure.kind is FailureKind.CONNECTION
    assert passed == WHOLE_STREAM[0]


async def endless(connection: Connection) -> None:
    """Begin a stream and wait for the client to hang up."""
    await connection.request()
    await connection.say(CHUNKED + chunk(WHOLE_STREAM[0]))
    await connection.end()


async def test_leaving_a_stream_hangs_up() -> None:
    """The server learns at once that nobody listens any more, and stops writing tokens."""
    async with served(endless) as (upstream, connections):
        async with upstream.stream(STREAMED) as attempt:
            assert attempt.failure is None
        await connections[0].hung_up.wait()


async def test_cancelling_a_stream_hangs_up() -> None:
    """So it does when the reader is cancelled in the middle."""
    async with served(endless) as (upstream, connections):
        begun = anyio.Event()

        async def listen() -> None:
            async with upstream.stream(STREAMED) as attempt:
                assert attempt.events is not None
                async for _ in attempt.events:
                    begun.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await begun.wait()
            tasks.cancel_scope.cancel()
        await connections[0].hung_up.wait()


async def test_cancelling_an_attempt_hangs_up() -> None:
    """An attempt that nobody waits for does not keep its connection."""

    async def peer(connection: Connection) -> None:
        await connection.request()
        asked.set()
        await connection.end()

    asked = anyio.Event()
    async with served(peer) as (upstream, connections):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upstream.send, ASKED)
            await asked.wait()
            tasks.cancel_scope.cancel()
        await connections[0].hung_up.wait()


# -- what never ends ------------------------------------------------------------------------------


async def trickling(connection: Connection) -> None:
    """An answer that goes on, a byte at a time and never silent for long."""
    await connection.request()
    await connection.say(HEAD + b"content-length: 1000000\r\n\r\n")
    while True:
        await connection.say(b" ")
        await asyncio.sleep(0.01)


async def test_an_answer_that_trickles_for_ever() -> None:
    """An answer that never ends is given up after `longest`, although it is never silent."""
    async with served(trickling, longest=0.1) as (upstream, connections):
        outcome = await upstream.send(ASKED)
        await connections[0].hung_up.wait()
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert "0.1 s to end" in outcome.failure.text


@pytest.mark.parametrize(
    ("said", "passes"), [(WHOLE_STREAM[0], True), (b": still at work\n\n", False)]
)
async def test_a_stream_without_end(said: bytes, *, passes: bool) -> None:
    """A stream that never ends has failed after `longest`, even if only comments came."""

    async def peer(connection: Connection) -> None:
        await connection.request()
        await connection.say(CHUNKED)
        while True:
            await connection.say(chunk(said))
            await asyncio.sleep(0.01)

    passed = b""
    async with served(peer, longest=0.1) as (upstream, connections):
        async with upstream.stream(STREAMED) as attempt:
            assert attempt.events is not None
            async for raw in attempt.events:
                passed += raw
            assert attempt.failure is not None
            assert attempt.failure.kind is FailureKind.TIMEOUT
        await connections[0].hung_up.wait()
    assert (WHOLE_STREAM[0] in passed) == passes


@pytest.mark.parametrize("asked", [ASKED, STREAMED])
@pytest.mark.parametrize(
    ("status", "kind"), [(b"200 OK", FailureKind.MALFORMED), (b"503 Gone", FailureKind.SERVER)]
)
async def test_an_answer_that_would_fill_the_memory(
    asked: Request, status: bytes, kind: FailureKind
) -> None:
    """A body beyond the largest answer is dropped as it comes; of a refusal its status is left."""

    async def peer(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 " + status + b"\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await connection.say(chunk(b" " * 2**20))

    async with served(peer) as (upstream, connections):
        if asked.stream:
            async with upstream.stream(asked) as attempt:
                failure = attempt.failure
        else:
            failure = (await upstream.send(asked)).failure
        await connections[0].hung_up.wait()
    assert failure is not None
    assert failure.kind is kind


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_server_that_does_not_read() -> None:
    """A large request that nobody takes off the line times out like any silence."""

    async def peer(connection: Connection) -> None:
        await given_up.wait()

    given_up = anyio.Event()
    large = Request(id="a", traffic_class="code", body=b" " * (16 * 2**20))
    async with served(peer, silence=0.1) as (upstream, _):
        outcome = await upstream.send(large)
        given_up.set()
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.TIMEOUT


async def test_more_bytes_than_the_content_length() -> None:
    """What follows an answer that was longer than it said is never taken for the next one."""

    async def peer(connection: Connection) -> None:
        await connection.request()
        short = HEAD + b"content-length: %d\r\n\r\n" % (len(BODY) - 5)
        await connection.say(short + BODY + WHOLE)
        await connection.end()

    async with served(peer) as (upstream, connections):
        outcomes = [await upstream.send(ASKED) for _ in range(2)]
    assert all(outcome.failure is not None for outcome in outcomes)
    assert len(connections) == 2


# -- names that are looked up ---------------------------------------------------------------------


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A resolver that does not answer before the event is set."""
    answer = threading.Event()
    known = socket.getaddrinfo

    def slowly(host: Any, *others: Any, **more: Any) -> Any:
        if host == "slow.test":
            answer.wait(5)
            return known("127.0.0.1", *others, **more)
        return known(host, *others, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    yield answer
    answer.set()


async def test_a_name_server_that_does_not_answer(slow_names: threading.Event) -> None:
    """Looking the API's name up counts as connecting: it ends with `connect_timeout`."""

    async def peer(connection: Connection) -> None:
        await connection.request()
        await connection.say(WHOLE)

    async with served(peer) as (near, _):
        port = near.base_url.rpartition(":")[2]
        upstream = Upstream(f"http://slow.test:{port}", Key(FAKE_KEY), connect_timeout=0.1)
        late = await upstream.send(ASKED)
        slow_names.set()
        found = await upstream.send(ASKED)
        await upstream.aclose()
    assert late.failure is not None
    assert late.failure.kind is FailureKind.UNREACHABLE
    assert found.failure is None
