"""The SSH door: the same conversation as at this machine's terminal, for those whose key is listed.

prompt_toolkit's own server for this lets everybody in and leaves a task behind for each dropped
connection. Here a session is a task of the server's group, and a connection that is lost ends it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import asyncssh
import structlog
from anyio.abc import TaskStatus

from supervisor.config.settings import SshSettings
from supervisor.errors import ConfigError
from supervisor.listening import cannot_listen
from supervisor.terminal.ssh_commands import Reader
from supervisor.terminal.ssh_connection import Connections, Gatekeeper, SshConnection
from supervisor.terminal.ssh_host_key import HOST_KEY, host_key
from supervisor.terminal.ssh_keys import Permit
from supervisor.terminal.ssh_session import Converse, SshSession

_log = structlog.get_logger("supervisor.terminal")

_LOGIN = 30.0
"""Seconds in which a client has to log in."""
_KEEPALIVE = 30.0
"""Seconds of silence after which a client is asked whether it is there."""
_UNANSWERED = 3
"""Questions without an answer after which it is not."""
_WINDOW = 64 * 1024
"""Bytes that a client may send ahead of what we read."""
_GOODBYE = 1.0
"""Seconds for sessions, and then for connections, to close when the server stops."""


async def serve_ssh(
    settings: SshSettings,
    *,
    converse: Converse,
    house: Reader,
    task_status: TaskStatus[Any] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then all sessions end, told why, and all connections close.

    Args:
        settings: Where to listen, and the files of keys.
        converse: Holds a conversation.
        house: Where commands look.
        task_status: Told the port once connections are accepted; who asks for none may have it.

    Raises:
        ConfigError: The address or a file cannot be used.
    """
    authorized_keys = settings.authorized_keys
    if authorized_keys is None:
        raise ConfigError(
            "expected ssh.authorized_keys to be set, since SSH is to be served",
            hint="name a file with public keys, one a line",
        )
    gatekeeper = Gatekeeper(authorized_keys)
    await gatekeeper.read()
    key = await anyio.to_thread.run_sync(host_key, settings.host_key or HOST_KEY)
    tasks = anyio.create_task_group()

    def open_session(permit: Permit) -> SshSession:
        return SshSession(permit, converse=converse, house=house, start=tasks.start_soon)

    connections = Connections(gatekeeper, open_session)
    async with _listening(settings, key, connections) as acceptor, tasks:
        try:
            port = acceptor.get_port()
            fingerprint = key.get_fingerprint()
            _log.info("ssh.listening", host=settings.host, port=port, fingerprint=fingerprint)
            task_status.started(port)
            await anyio.sleep_forever()
        finally:
            acceptor.close()
            connections.stopping = True
            for session in connections.sessions:
                session.end("the supervisor stops\n")


async def _listen(
    settings: SshSettings, key: asyncssh.SSHKey, connections: Connections
) -> asyncssh.SSHAcceptor:
    try:
        return await asyncssh.listen(
            settings.host,
            settings.port,
            server_factory=partial(SshConnection, connections),
            server_host_keys=[key],
            server_version="supervisor",
            config=None,
            # Public keys, and nothing else by which to get in.
            public_key_auth=True,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            gss_kex=False,
            gss_auth=False,
            authorized_client_keys=None,
            x509_trusted_certs=[],
            # Sessions, and nothing else to be had inside.
            agent_forwarding=False,
            x11_forwarding=False,
            sftp_factory=None,
            allow_scp=False,
            # The keys as they come: prompt_toolkit edits lines.
            line_editor=False,
            errors="replace",
            window=_WINDOW,
            login_timeout=_LOGIN,
            keepalive_interval=_KEEPALIVE,
            keepalive_count_max=_UNANSWERED,
        )
    except OSError as error:
        hint = "choose another ssh.port"
        raise cannot_listen(settings.host, settings.port, error, hint=hint) from error


@asynccontextmanager
async def _listening(
    settings: SshSettings, key: asyncssh.SSHKey, connections: Connections
) -> AsyncGenerator[asyncssh.SSHAcceptor]:
    """Take connections; in the end close those that are left."""
    acceptor = await _listen(settings, key, connections)
    try:
        yield acceptor
    finally:
        with anyio.move_on_after(_GOODBYE, shield=True):
            # OpenSSH's client shows nothing more once it hears that the connection is closed, not
            # even what came before. A channel it closes when all of that is shown.
            for session in connections.sessions:
                await session.wait_gone()
        left = list(connections.open)
        for connection in left:
            connection.close()
        with anyio.move_on_after(_GOODBYE, shield=True):
            for connection in left:
                await connection.wait_closed()
