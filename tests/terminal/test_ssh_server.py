"""The SSH door with a real client on a socket: who gets in, what they get, and that it ends."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import asyncssh
import pytest
from structlog.testing import capture_logs

from supervisor.config.settings import SshSettings
from supervisor.errors import ConfigError
from supervisor.terminal.door import Door
from supervisor.terminal.ssh_connection import (
    CONNECTIONS,
    SESSIONS,
    Connections,
    Gatekeeper,
    SshConnection,
)
from supervisor.terminal.ssh_keys import Permit
from supervisor.terminal.ssh_server import serve_ssh
from supervisor.terminal.ssh_session import SshSession
from tests.terminal.ssh import QUEUE, Shelf, Talk, line_of, make_key, say, serving, sit_down
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def events(logs: list[Any], name: str) -> list[dict[str, Any]]:
    """The events of one name."""
    return [entry for entry in logs if entry["event"] == name]


def sockets() -> list[str]:
    """The open sockets, where the system shows them."""
    place = "/proc/self/fd"
    names = os.listdir(place) if os.path.isdir(place) else []
    links = [os.path.realpath(os.path.join(place, name)) for name in names]
    return sorted(link for link in links if "socket:" in link or "pipe:" in link)


# -- who gets in ----------------------------------------------------------------------------------


async def test_a_listed_key_gets_in(tmp_path: Path) -> None:
    """Whoever has a listed key is let in, whatever they call themselves; the log knows them."""
    with capture_logs() as logs:
        async with serving(tmp_path) as served, served.connect(username="root") as connection:
            done = await connection.run("queue --json")
    assert json.loads(done.stdout) == QUEUE
    [came] = events(logs, "ssh.connected")
    assert (came["person"], came["address"]) == ("ann@laptop", "127.0.0.1")
    assert events(logs, "ssh.disconnected")[0]["person"] == "ann@laptop"
    assert served.key.export_public_key().decode().split()[1] not in str(logs)


async def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A key that is not listed lets nobody in, and the log says which it was."""
    eve = make_key("eve")
    with capture_logs() as logs:
        async with serving(tmp_path) as served:
            with pytest.raises(asyncssh.PermissionDenied):
                await served.connect(client_keys=[eve])
    [refused] = events(logs, "ssh.refused")
    assert refused["reason"] == f"no such key is listed: {eve.get_fingerprint()}"


async def test_no_password_is_taken(tmp_path: Path) -> None:
    """There is no way in but by key: neither a password nor an answer to a question."""
    with capture_logs() as logs:
        async with serving(tmp_path) as served:
            with pytest.raises(asyncssh.PermissionDenied):
                await served.connect(client_keys=None, password="guessed")
            methods = await asyncssh.get_server_auth_methods(
                "127.0.0.1", served.port, username="x", config=None
            )
    assert methods == ["publickey"]
    assert {entry["reason"] for entry in events(logs, "ssh.refused")} == {"no key was offered"}


async def test_a_removed_key_is_refused_at_the_next_login(tmp_path: Path) -> None:
    """The file of keys is read at each login: adding and removing needs no restart."""
    bob = make_key("bob")
    async with serving(tmp_path) as served:
        async with served.connect() as connection:
            served.allow(line_of(bob))
            assert (await connection.run("queue")).exit_status == 0
        with pytest.raises(asyncssh.PermissionDenied):
            await served.connect()
        async with served.connect(client_keys=[bob]) as connection:
            assert (await connection.run("queue")).exit_status == 0


async def test_a_file_that_others_can_write_lets_nobody_in(tmp_path: Path) -> None:
    """When the file of keys goes wrong while we run, nobody gets in and the log says why."""
    with capture_logs() as logs:
        async with serving(tmp_path) as served:
            served.file.chmod(0o666)
            with pytest.raises(asyncssh.PermissionDenied):
                await served.connect()
    [refused] = events(logs, "ssh.refused")
    assert "writable by its owner alone" in refused["reason"]


async def test_a_broken_line_is_told_once_and_lets_nobody_in(tmp_path: Path) -> None:
    """A line that is not understood whole is reported, once, and the others go on."""
    eve = make_key("eve")
    with capture_logs() as logs:
        async with serving(tmp_path) as served:
            served.allow(f'expiry-time="20200101" {line_of(eve)}', line_of(served.key))
            for _ in range(2):
                with pytest.raises(asyncssh.PermissionDenied):
                    await served.connect(client_keys=[eve])
            async with served.connect():
                pass
    [told] = events(logs, "ssh.key_refused")
    assert told["line"] == 1
    assert "expiry-time" in told["reason"]


async def test_no_forwarding_and_no_files(tmp_path: Path) -> None:
    """Sessions are all there is: no ports, no sockets, no agent, no screens, no files, no shell."""
    async with serving(tmp_path) as served, served.connect() as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", served.port)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection("/tmp/x")
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", served.port)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.start_sftp_client()
        done = await connection.run("$(id); sh -c id")
        assert (done.stdout, done.exit_status) == ("", 2)


async def test_options_narrow(tmp_path: Path) -> None:
    """A key for one command gives that command, whatever is asked for, and no terminal."""
    options = 'restrict,from="127.0.0.*",command="queue --json"'
    async with serving(tmp_path, options=options) as served, served.connect() as connection:
        assert json.loads((await connection.run("status")).stdout) == QUEUE
        assert json.loads((await connection.run()).stdout) == QUEUE
        with pytest.raises(asyncssh.ChannelOpenError):
            await sit_down(connection)
    assert served.shelf.asked == ["/api/queue"] * 2


async def test_a_key_for_elsewhere_is_refused(tmp_path: Path) -> None:
    """`from` holds: the same key from another address is not listed."""
    async with serving(tmp_path, options='from="10.0.0.0/8"') as served:
        with pytest.raises(asyncssh.PermissionDenied):
            await served.connect()


# -- a conversation -------------------------------------------------------------------------------


async def test_a_conversation(tmp_path: Path) -> None:
    """Keys reach the conversation and its text comes back, in UTF-8, until it ends."""
    async with serving(tmp_path) as served, served.connect() as connection:
        terminal = await sit_down(connection, columns=90)
        await terminal.sees(">")
        terminal.types("grüße\r")
        await terminal.sees("ann@laptop on 90 said grüße\r\n")
        terminal.types("bye\r")
        assert await terminal.closed() == 0
        assert served.talk.ended == ["done"]
        [door] = served.talk.doors
        assert not door.local


async def test_a_resize_is_honoured(tmp_path: Path) -> None:
    """A new size of the terminal reaches the conversation, and the prompt is drawn anew."""
    async with serving(tmp_path) as served, served.connect() as connection:
        terminal = await sit_down(connection)
        await terminal.sees(">")
        terminal.types("draft")
        await terminal.sees("draft")
        terminal.process.change_terminal_size(50, 10)
        await terminal.sees("draft")
        terminal.types("\r")
        await terminal.sees("on 50 said draft")
        # A size that no screen has would be memory for nothing.
        terminal.process.change_terminal_size(10**9, 10**9)
        await until(lambda: served.talk.doors[0].columns() == 1000)
        terminal.process.change_terminal_size(0, 0)
        await until(lambda: served.talk.doors[0].columns() == 80)


async def test_ctrl_c_is_a_key(tmp_path: Path) -> None:
    """Ctrl-C is the conversation's to understand; it ends neither the session nor the server."""
    async with serving(tmp_path) as served, served.connect() as connection:
        terminal = await sit_down(connection)
        await terminal.sees(">")
        terminal.types("half a question\x03")
        await terminal.sees("said Ctrl-C")
        terminal.types("on\r")
        await terminal.sees("said on")


async def test_the_end_of_input_ends_the_conversation(tmp_path: Path) -> None:
    """A client that sends no more ends the conversation once it has read what there was."""
    async with serving(tmp_path) as served, served.connect() as connection:
        terminal = await sit_down(connection)
        terminal.types("last\r")
        terminal.process.stdin.write_eof()
        await terminal.sees("said last")
        assert await terminal.closed() == 0


async def test_a_conversation_that_fails_ends_alone(tmp_path: Path) -> None:
    """An exception ends its session with a line and is logged; the others go on."""
    with capture_logs() as logs:
        async with serving(tmp_path) as served, served.connect() as connection:
            other, terminal = await sit_down(connection), await sit_down(connection)
            terminal.types("fail\r")
            await terminal.sees("something went wrong here")
            assert await terminal.closed() == 1
            third = await sit_down(connection)
            third.types("exit\r")
            assert await third.closed() == 130
            other.types("on\r")
            await other.sees("said on")
    [failed] = events(logs, "ssh.session_failed")
    assert (failed["person"], failed["log_level"]) == ("ann@laptop", "error")


async def test_a_signal_ends_the_session(tmp_path: Path) -> None:
    """A client that asks for a signal ends its own session, unless the signal means nothing."""
    async with serving(tmp_path) as served, served.connect() as connection:
        terminal = await sit_down(connection)
        await terminal.sees(">")
        terminal.process.channel.send_signal("USR1")
        terminal.process.channel.send_signal("TERM")
        assert await terminal.closed() == 1
        assert served.talk.ended == ["cancelled"]


async def test_bytes_that_are_no_utf8_do_no_harm(tmp_path: Path) -> None:
    """A terminal of another encoding is shown question marks, not the door."""
    async with serving(tmp_path) as served, served.connect() as connection:
        terminal = await sit_down(connection, encoding="latin-1")
        await terminal.sees(">")
        terminal.types("caf\xe9!\r")
        await terminal.sees("!")
        assert served.talk.ended == []


# -- commands -------------------------------------------------------------------------------------


async def test_a_command_answers(tmp_path: Path) -> None:
    """`--json` is one document on stdout and nothing else; without it, text for people."""
    async with serving(tmp_path) as served, served.connect() as connection:
        done = await connection.run("queue --json")
        assert (json.loads(done.stdout), done.stderr, done.exit_status) == (QUEUE, "", 0)
        shown = await connection.run("queue")
        assert "3 waiting" in shown.stdout
        on_a_terminal = await connection.run("queue", term_type="xterm")
        assert "open, 3 waiting\r\n" in on_a_terminal.stdout


async def test_commands_fail_as_on_the_command_line(tmp_path: Path) -> None:
    """An unknown command is 2 with what there is, a refusal of the house 1; both on stderr."""
    async with serving(tmp_path) as served, served.connect() as connection:
        unknown = await connection.run("satus")
        refused = await connection.run("usage")
    assert (unknown.stdout, unknown.exit_status) == ("", 2)
    assert 'did you mean "status"?' in unknown.stderr
    assert (refused.stdout, refused.exit_status) == ("", 1)
    assert refused.stderr == "error: the store is gone\n"


async def test_a_mistake_of_ours_is_not_told_to_strangers(tmp_path: Path) -> None:
    """A command that breaks says so without the traceback, which the log has."""
    with capture_logs() as logs:
        async with serving(tmp_path) as served, served.connect() as connection:
            served.shelf.document = {}
            done = await connection.run("queue")
    assert (done.stdout, done.exit_status) == ("", 1)
    assert "KeyError" not in done.stderr
    assert events(logs, "ssh.session_failed")


async def test_no_command_and_no_terminal(tmp_path: Path) -> None:
    """Without either there is nothing to do; it is said what would be, with the port."""
    async with serving(tmp_path) as served, served.connect() as connection:
        done = await connection.run()
    assert (done.stdout, done.exit_status) == ("", 2)
    assert f"`ssh -t -p {served.port} HOST`" in str(done.stderr)
    assert f"`ssh -p {served.port} HOST help`" in str(done.stderr)


# -- limits ---------------------------------------------------------------------------------------


async def test_sessions_are_bounded(tmp_path: Path) -> None:
    """One session too many is refused with the reason; when one ends there is room again."""
    async with serving(tmp_path) as served, served.connect() as connection:
        served.shelf.wait = asyncio.Event()
        running = [await connection.create_process("queue") for _ in range(SESSIONS)]
        with pytest.raises(asyncssh.ChannelOpenError, match=f"{SESSIONS} sessions"):
            await connection.create_process("queue")
        served.shelf.wait.set()
        assert {(await one.wait()).exit_status for one in running} == {0}
        assert (await connection.run("queue")).exit_status == 0


async def test_connections_are_bounded(tmp_path: Path) -> None:
    """Whoever connects and does not log in takes only so many places."""
    async with serving(tmp_path) as served:
        strangers = [
            await asyncio.open_connection("127.0.0.1", served.port) for _ in range(CONNECTIONS)
        ]
        for reader, _ in strangers:
            assert (await reader.readline()).startswith(b"SSH-2.0-supervisor")
        with pytest.raises((asyncssh.Error, OSError)):
            await served.connect()
        for _, writer in strangers:
            writer.close()
            await writer.wait_closed()
        async with served.connect():
            pass


@asynccontextmanager
async def relaying(port: int, flow: asyncio.Event) -> AsyncGenerator[int]:
    """A network that lets nothing through to the client unless it flows."""

    async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, back: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if back:
                    await flow.wait()
                sink.write(data)
                await sink.drain()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond, there = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, there))
        tasks.start_soon(partial(pipe, reader, there, back=False))
        tasks.start_soon(partial(pipe, beyond, writer, back=True))

    writers: list[asyncio.StreamWriter] = []
    async with anyio.create_task_group() as tasks:
        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()
        tasks.cancel_scope.cancel()
    for writer in writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_a_network_that_takes_nothing(tmp_path: Path) -> None:
    """A client that announces a window of gigabytes and does not read costs no more memory."""
    flow, flooded = asyncio.Event(), asyncio.Event()
    screens: list[Any] = []

    async def flood(door: Door) -> None:
        screens.append(getattr(door.output, "stdout"))  # noqa: B009 - Vt100_Output has it
        while screens[0].kept < 1_000_000:
            say(door, "x" * 49_999 + "\n")
            await asyncio.sleep(0)
        flooded.set()
        await anyio.sleep_forever()

    flow.set()
    async with (
        serving(tmp_path, converse=flood) as served,
        relaying(served.port, flow) as port,
        served.connect(port=port) as connection,
    ):
        await sit_down(connection, window=2**31 - 1)
        flow.clear()
        with anyio.fail_after(10):
            await flooded.wait()
        # What begins now is held as well. Nothing tells how far it has come: a moment has to do.
        later = asyncio.create_task(connection.run("queue"))
        await asyncio.sleep(0.01)
        flow.set()
        await until(lambda: screens[0].kept == 0)
        assert "3 waiting" in (await later).stdout


async def test_they_say_what_they_are() -> None:
    """What is seen of a session and a connection in a debugger fits a line."""
    permit = Permit("ann", command="status")
    session = SshSession(permit, converse=Talk(), house=Shelf(), start=lambda run: None)
    assert repr(session) == "<SshSession ann: status>"
    connections = Connections(Gatekeeper(Path("keys")), lambda permit: session)
    assert repr(SshConnection(connections)) == "<SshConnection nobody yet from  sessions=0>"


async def test_a_terminal_that_does_not_read(tmp_path: Path) -> None:
    """What is not read is kept up to a bound; the rest is left out, and the person is told."""
    flooded = asyncio.Event()
    kept: list[int] = []

    async def flood(door: Door) -> None:
        screen: Any = getattr(door.output, "stdout")  # noqa: B009 - Vt100_Output has it
        for _ in range(130):
            say(door, "x" * 9_999 + "\n")
            kept.append(screen.kept)
            await asyncio.sleep(0)
        flooded.set()
        await anyio.sleep_forever()

    async with serving(tmp_path, converse=flood) as served, served.connect() as connection:
        terminal = await sit_down(connection, window=32768)
        terminal.process.channel.pause_reading()
        with anyio.fail_after(5):
            await flooded.wait()
        assert 900_000 < max(kept) <= 2**20
        terminal.process.channel.resume_reading()
        await terminal.sees("characters are left out: this terminal did not read]")


# -- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "reset"])
async def test_a_dropped_connection_leaves_no_task(tmp_path: Path, how: str) -> None:
    """A connection that is lost ends its conversation at once, whatever that waits for."""
    with capture_logs() as logs:
        async with serving(tmp_path) as served:
            before = asyncio.all_tasks()
            connection = await served.connect()
            terminal = await sit_down(connection)
            # It is asked where its cursor is, and goes without an answer.
            await until(lambda: served.talk.doors)
            await terminal.process.stdout.read(1)
            if how == "reset":
                raw = connection.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.abort()
            await until(lambda: served.talk.ended == ["cancelled"])
            await until(lambda: asyncio.all_tasks() <= before)
    assert len(events(logs, "ssh.disconnected")) == 1
    assert not events(logs, "ssh.session_failed")


async def test_stopping_ends_everything(tmp_path: Path) -> None:
    """When the server stops, people are told, sessions end, connections close, nothing is left."""
    before = sockets()
    async with serving(tmp_path) as served:
        stranger, writer = await asyncio.open_connection("127.0.0.1", served.port)
        connection = await served.connect()
        terminal = await sit_down(connection)
        await terminal.sees(">")
        served.shelf.wait = asyncio.Event()
        command = await connection.create_process("queue --json")
        await until(lambda: served.shelf.asked)
        served.stop()
        await terminal.sees("the supervisor stops\r\n")
        assert await terminal.closed() == 1
        assert (await command.wait()).exit_status == 1
        await connection.wait_closed()
        await stranger.read()
        writer.close()
        await writer.wait_closed()
    assert served.talk.ended == ["cancelled"]
    await asyncio.sleep(0)
    assert sockets() == before
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection("127.0.0.1", served.port)


async def test_the_host_key_is_kept(tmp_path: Path) -> None:
    """After a restart the server is the one its clients know; its key is its owner's alone."""
    shown: list[str] = []
    for _ in range(2):
        with capture_logs() as logs:
            async with serving(tmp_path) as served, served.connect() as connection:
                shown.append(connection.get_server_host_key().get_fingerprint())
        assert events(logs, "ssh.listening")[0]["fingerprint"] == shown[-1]
    assert shown[0] == shown[1]
    file = tmp_path / "state" / "ssh_host_key"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_a_taken_port_is_told(tmp_path: Path, free_port: int) -> None:
    """What cannot be listened on is an error that names the setting."""
    (tmp_path / "authorized_keys").write_text(line_of(make_key()))
    settings = SshSettings(
        port=free_port, authorized_keys=tmp_path / "authorized_keys", host_key=tmp_path / "key"
    )
    told = pytest.raises(ConfigError, match=r"cannot listen on 127.0.0.1.*ssh\.port")
    with socket.create_server(("127.0.0.1", free_port)), told:
        await serve_ssh(settings, converse=Talk(), house=Shelf())


async def test_ssh_is_off_unless_keys_are_named() -> None:
    """Without a file of keys there is nothing to serve."""
    with pytest.raises(ConfigError, match=r"ssh\.authorized_keys"):
        await serve_ssh(SshSettings(), converse=Talk(), house=Shelf())
