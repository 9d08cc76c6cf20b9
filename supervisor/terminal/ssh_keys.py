"""Who may log in over SSH: a file of public keys, as OpenSSH's `authorized_keys`.

asyncssh reads such files too, but passes over lines it does not understand and accepts options it
does not enforce, so that `expiry-time="20260101"` would let somebody in for ever. Here a line is
understood whole or refused.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import asyncssh

from supervisor.errors import ConfigError

_LARGEST = 1024 * 1024
_LONGEST_NAME = 64
_OPTION = re.compile(
    r'(?P<name>[A-Za-z0-9-]+)(?:="(?P<value>(?:[^"\\]|\\.)*)")?(?P<more>,|[ \t]+)', re.ASCII
)
_HOST = re.compile(r"!?[\w.:*?/-]+", re.ASCII)
_HARMLESS = frozenset({"no-agent-forwarding", "no-port-forwarding", "no-X11-forwarding"})
"""They forbid what nobody can do here."""
_SWITCHES = frozenset({"restrict", "pty", "no-pty", "no-user-rc", *_HARMLESS})
_VALUED = frozenset({"from", "command"})


@dataclass(frozen=True, slots=True)
class Permit:
    """What somebody may do.

    Attributes:
        person: Who it is: the key's comment, or its fingerprint where there is none.
        command: The only command they may run; None for any.
        terminal: Whether they may have a terminal.
    """

    person: str
    command: str | None = None
    terminal: bool = True


@dataclass(frozen=True, slots=True)
class _Entry:
    permit: Permit
    keys: asyncssh.SSHAuthorizedKeys


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that lets nobody in.

    Attributes:
        line: Its 1-based number.
        reason: What is wrong with it.
    """

    line: int
    reason: str


class Keyring:
    """The keys of a file as it was read.

    Args:
        text: What is in the file.
    """

    def __init__(self, text: str) -> None:
        self._entries: list[_Entry] = []
        refused: list[Refused] = []
        for number, line in enumerate(text.splitlines(), start=1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            try:
                self._entries.append(_entry(line))
            except ValueError as error:
                refused.append(Refused(number, str(error)))
        self.refused = tuple(refused)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: asyncssh.SSHKey, address: str) -> Permit | None:
        """What the owner of a key may do; None when the key is not listed, or not for there.

        Args:
            key: The public key.
            address: Where they connect from.
        """
        for entry in self._entries:
            # Names cannot be told from addresses without asking a name server, whom we do not
            # believe: `from` holds for addresses, as it does in OpenSSH unless told otherwise.
            if entry.keys.validate(key, address, address) is not None:
                return entry.permit
        return None


def read_keys(path: Path) -> Keyring:
    """Read the file.

    Args:
        path: The file.

    Raises:
        ConfigError: It is not there, cannot be read, can be written by others, or has no key.
    """
    try:
        text = _read(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f'expected ssh.authorized_keys to name a file with public keys, got: "{path}", which '
            "is not there",
            hint=f"cp ~/.ssh/id_ed25519.pub {path}",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(
            f'expected ssh.authorized_keys to name a file that can be read, got: "{path}": {why}'
        ) from error
    ring = Keyring(text)
    if not len(ring):
        lines = "".join(f"; line {one.line}: {one.reason}" for one in ring.refused)
        raise ConfigError(
            f'expected ssh.authorized_keys to hold a public key, got: "{path}" without one{lines}',
            hint="one line for each key, as in ~/.ssh/id_ed25519.pub",
        )
    return ring


def _read(path: Path) -> str:
    # A pipe or a device could hold us up for ever.
    if path.exists() and not path.is_file():
        raise OSError(0, "it is no file")
    with path.open("rb") as stream:
        if os.name == "posix":
            _require_ours(path, os.fstat(stream.fileno()), path.parent.stat())
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(0, f"it is larger than {_LARGEST} bytes")
    return data.decode("utf-8")


def _require_ours(path: Path, file: os.stat_result, folder: os.stat_result) -> None:
    """Whoever can write the file, or put another in its place, can let themselves in."""
    if file.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f'expected ssh.authorized_keys to belong to this user, got: "{path}" of user '
            f"{file.st_uid}",
            hint=f"chown {os.geteuid()} {path}",
        )
    # In a folder like /tmp only its owner can replace a file.
    sticky = folder.st_mode & stat.S_ISVTX
    for place, mode in ((path, file.st_mode), (path.absolute().parent, folder.st_mode)):
        if mode & 0o022 and not (place != path and sticky):
            raise ConfigError(
                f'expected ssh.authorized_keys to be writable by its owner alone, got: "{place}" '
                f"with mode {stat.S_IMODE(mode):o}",
                hint=f"chmod go-w {place}",
            )


def _entry(line: str) -> _Entry:
    options, text = _split(line)
    try:
        key = asyncssh.import_public_key(text)
    except asyncssh.KeyImportError:
        raise ValueError('expected a public key such as "ssh-ed25519 AAAA… name"') from None
    hosts = options.get("from")
    if hosts is not None:
        _require_hosts(hosts)
        text = f'from="{hosts}" {text}'
    keys = asyncssh.import_authorized_keys(text)
    terminal = "pty" in options or "restrict" not in options
    permit = Permit(_name(key), options.get("command"), terminal and "no-pty" not in options)
    return _Entry(permit, keys)


def _require_hosts(hosts: str) -> None:
    """Refuse what asyncssh would take for a name that nobody has, and so exclude nobody by it."""
    expected = 'expected from to be addresses and patterns such as "10.0.0.0/8,!10.1.*"'
    for host in hosts.split(","):
        if not _HOST.fullmatch(host):
            raise ValueError(expected)
        if "/" in host:
            try:
                ip_network(host.removeprefix("!"))
            except ValueError as error:
                raise ValueError(f"{expected}: {error}") from None


def _split(line: str) -> tuple[dict[str, str], str]:
    """A line's options and the key after them."""
    try:
        asyncssh.import_public_key(line)
    except asyncssh.KeyImportError:
        pass
    else:
        return {}, line
    options: dict[str, str] = {}
    place = 0
    while match := _OPTION.match(line, place):
        place = match.end()
        _add(options, match["name"], match["value"])
        if match["more"] != ",":
            return options, line[place:]
    raise ValueError('expected OPTIONS KEY or a public key such as "ssh-ed25519 AAAA… name"')


def _add(options: dict[str, str], name: str, value: str | None) -> None:
    known = _SWITCHES if value is None else _VALUED
    if name not in known:
        expected = ", ".join(sorted(_SWITCHES | {f'{name}="…"' for name in _VALUED}))
        shown = name if value is None else f'{name}="…"'
        raise ValueError(f"the option {shown} is not known here, expected one of: {expected}")
    if name in options:
        raise ValueError(f"expected the option {name} once")
    options[name] = (value or "").replace('\\"', '"')


def _name(key: asyncssh.SSHKey) -> str:
    comment = (key.get_comment() or "").strip()
    return comment[:_LONGEST_NAME] if comment.isprintable() and comment else key.get_fingerprint()
