"""By which clients know that this is the server they know: made once, and kept."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import asyncssh

from supervisor.errors import ConfigError

HOST_KEY = Path("data/ssh_host_key")
"""Where it is kept unless the settings say otherwise."""


def host_key(path: Path) -> asyncssh.SSHKey:
    """Read the server's private key; make one, readable by its owner alone, if there is none.

    Args:
        path: Its file.

    Raises:
        ConfigError: Others can read it, it is no private key, or it cannot be made.
    """
    try:
        return _read(path) if path.exists() else _make(path)
    except OSError as error:
        raise ConfigError(
            f'expected ssh.host_key to name a file that can be read or made, got: "{path}": '
            f"{error.strerror}",
            hint="set ssh.host_key to a file of this process's user",
        ) from error


def _read(path: Path) -> asyncssh.SSHKey:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(
            f'expected ssh.host_key to be readable by its owner alone, got: "{path}" with mode '
            f"{mode:o}",
            hint=f"chmod 600 {path}; if somebody may have read it, delete it: a new one is made",
        )
    try:
        return asyncssh.import_private_key(path.read_bytes())
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise ConfigError(
            f'expected ssh.host_key to hold a private key without a passphrase, got: "{path}": '
            f"{error}",
            hint="delete it: a new one is made",
        ) from error


def _make(path: Path) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")  # pyright: ignore[reportUnknownMemberType]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Whole or not at all: half a key would stop the next start.
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(key.export_private_key())
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    return key
