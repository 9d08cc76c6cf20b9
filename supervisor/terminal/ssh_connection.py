"""One connection over SSH: who it is, by public key alone, and what may be opened on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
import asyncssh
import structlog
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_RESOURCE_SHORTAGE

from supervisor.errors import ConfigError
from supervisor.terminal.ssh_keys import Keyring, Permit, Refused, read_keys
from supervisor.terminal.ssh_session import SshSession

_log = structlog.get_logger("supervisor.terminal")

SESSIONS = 16
"""Most sessions at once, of all people together."""
CONNECTIONS = 64
"""Most connections at once, those that have yet to log in included."""

_TRANSPORT = "transport"


class Gatekeeper:
    """Reads the file of keys, and says once what is wrong with it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: tuple[Refused, ...] = ()

    async def read(self) -> Keyring:
        """The keys as they are in the file now.

        Raises:
            ConfigError: The file cannot be used.
        """
        ring = await anyio.to_thread.run_sync(read_keys, self._path)
        for one in ring.refused:
            if one not in self._told:
                _log.warning(
                    "ssh.key_refused", file=str(self._path), line=one.line, reason=one.reason
                )
        self._told = ring.refused
        return ring


@dataclass(slots=True)
class Connections:
    """All that is open.

    Attributes:
        gatekeeper: Knows the keys.
        open_session: Makes a session for somebody.
        open: The connections.
        stopping: Whether no more sessions begin.
    """

    gatekeeper: Gatekeeper
    open_session: Callable[[Permit], SshSession]
    open: set[SshConnection] = field(default_factory=set["SshConnection"])
    stopping: bool = False

    @property
    def sessions(self) -> list[SshSession]:
        """Every session there is."""
        return [session for connection in self.open for session in connection.sessions()]


class SshConnection(asyncssh.SSHServer):
    """One connection.

    Everything that is not overridden here asyncssh refuses: forwarding of ports, sockets and
    tunnels. What it would allow by itself `serve_ssh` turns off.

    Args:
        connections: All that is open.
    """

    def __init__(self, connections: Connections) -> None:
        self._all = connections
        self._sessions: list[SshSession] = []
        self._connection: asyncssh.SSHServerConnection | None = None
        self._address = ""
        self._ring = Keyring("")
        self._permit: Permit | None = None
        self._logged_in = False
        self._refusal = ""
        self._paused = False

    def __repr__(self) -> str:
        person = self._permit.person if self._logged_in and self._permit else "nobody yet"
        return f"<SshConnection {person} from {self._address} sessions={len(self.sessions())}>"

    def sessions(self) -> list[SshSession]:
        """The sessions on it that have not been closed."""
        self._sessions = [session for session in self._sessions if not session.gone]
        return self._sessions

    def close(self) -> None:
        """Say good-bye and hang up."""
        if self._connection is not None:
            self._connection.close()

    async def wait_closed(self) -> None:
        """Wait until it is gone."""
        if self._connection is not None:
            await self._connection.wait_closed()

    # -- what asyncssh calls -----------------------------------------------------------------------

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._address = str(conn.get_extra_info("peername", ("",))[0])
        if len(self._all.open) >= CONNECTIONS:
            self._refusal = f"there are {CONNECTIONS} connections already"
            conn.abort()
        self._all.open.add(self)
        # asyncssh does not hear when the network takes no more, and a client may announce a window
        # of gigabytes: all that we write until then would wait in memory.
        for name, heard in (("pause_writing", self._pause), ("resume_writing", self._resume)):
            setattr(conn, name, heard)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.open.discard(self)
        if self._logged_in and self._permit is not None:
            error = str(exc) if exc else ""
            person = self._permit.person
            _log.info("ssh.disconnected", person=person, address=self._address, error=error)
        elif self._refusal:
            _log.warning("ssh.refused", address=self._address, reason=self._refusal)

    async def begin_auth(self, username: str) -> bool:
        # Whoever comes to talk with the team may call themselves what they like: the key says
        # who it is.
        self._refusal = "no key was offered"
        try:
            self._ring = await self._all.gatekeeper.read()
        except ConfigError as error:
            self._ring = Keyring("")
            self._refusal = str(error)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    # Not async: between this answer and the check of the signature nothing else must happen.
    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        permit = self._ring.find(key, self._address)
        if permit is None and len(self._ring):
            self._refusal = f"no such key is listed: {key.get_fingerprint()}"
        elif permit is not None:
            self._refusal = f"no proof of having the key of {permit.person}"
        if not self._logged_in:
            self._permit = permit
        return permit is not None

    def auth_completed(self) -> None:
        self._logged_in = True
        if self._permit is not None:
            _log.info("ssh.connected", person=self._permit.person, address=self._address)

    def session_requested(self) -> SshSession:
        if self._permit is None or not self._logged_in:
            raise asyncssh.ChannelOpenError(
                OPEN_ADMINISTRATIVELY_PROHIBITED, "expected a login first"
            )
        if self._all.stopping or len(self._all.sessions) >= SESSIONS:
            reason = "the supervisor stops" if self._all.stopping else f"{SESSIONS} sessions"
            raise asyncssh.ChannelOpenError(OPEN_RESOURCE_SHORTAGE, f"no more sessions: {reason}")
        session = self._all.open_session(self._permit)
        if self._paused:
            session.hold(_TRANSPORT)
        self._sessions.append(session)
        return session

    def _pause(self) -> None:
        self._paused = True
        for session in self.sessions():
            session.hold(_TRANSPORT)

    def _resume(self) -> None:
        self._paused = False
        for session in self.sessions():
            session.release(_TRANSPORT)
