"""The server's own key: made once, kept, and nobody else's to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.errors import ConfigError
from supervisor.terminal.ssh_host_key import host_key
from tests.terminal.ssh import make_key


def test_it_is_made_and_kept(tmp_path: Path) -> None:
    """The first start makes it, for its owner alone; later ones read the same."""
    path = tmp_path / "state" / "ssh_host_key"
    made = host_key(path)
    assert made.algorithm == b"ssh-ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert host_key(path).get_fingerprint() == made.get_fingerprint()
    assert [one.name for one in path.parent.iterdir()] == ["ssh_host_key"]


def test_half_a_key_is_made_anew(tmp_path: Path) -> None:
    """A start that was killed while it wrote the key does not hold up the next one."""
    path = tmp_path / "ssh_host_key"
    path.with_name("ssh_host_key.new").write_text("-----BEGIN")
    host_key(path)
    assert path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever has read the key can pretend to be the server: the error says what to do."""
    path = tmp_path / "ssh_host_key"
    host_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"with mode {mode:o} \(chmod 600 {path}; .*delete it"):
        host_key(path)


@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_what_is_no_usable_key(tmp_path: Path, passphrase: str) -> None:
    """A file that holds no key, or one that needs a passphrase, is named."""
    path = tmp_path / "ssh_host_key"
    locked = make_key().export_private_key("pkcs8-pem", passphrase=passphrase or None)
    path.write_bytes(locked if passphrase else b"nonsense")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="a private key without a passphrase"):
        host_key(path)


def test_a_place_where_nothing_can_be_made(tmp_path: Path) -> None:
    """A path through a file is an error of the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"expected ssh\.host_key to name a file that can be"):
        host_key(tmp_path / "file" / "ssh_host_key")
