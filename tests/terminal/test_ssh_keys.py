"""The file of keys: a line is understood whole, or lets nobody in."""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh
import pytest

from supervisor.errors import ConfigError
from supervisor.terminal.ssh_keys import Keyring, Permit, read_keys
from tests.terminal.ssh import line_of, make_key

HERE = "127.0.0.1"
KEY = make_key("ann@laptop")
LINE = line_of(KEY).strip()
BARE = LINE.rpartition(" ")[0]
PUBLIC = KEY.convert_to_public()


def permit(line: str, address: str = HERE) -> Permit | None:
    """What the key's owner may do by one line."""
    return Keyring(line).find(PUBLIC, address)


def test_a_plain_key() -> None:
    """A line as `ssh-keygen` writes it lets its owner do everything, under the comment's name."""
    assert permit(f"# keys\n\n{LINE}\n") == Permit("ann@laptop")
    assert permit(f"{BARE} Ann of the laptop") == Permit("Ann of the laptop")
    assert permit(LINE[:-20] + "A" * 20) is None
    assert Keyring(LINE).find(make_key().convert_to_public(), HERE) is None


@pytest.mark.parametrize("comment", ["", "\x1b]0;owned\x07"])
def test_a_key_without_a_name(comment: str) -> None:
    """Without a comment that can be shown, the fingerprint is the name."""
    assert permit(f"{BARE} {comment}") == Permit(KEY.get_fingerprint())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("no-pty", Permit("ann@laptop", terminal=False)),
        ("restrict", Permit("ann@laptop", terminal=False)),
        ("restrict,pty", Permit("ann@laptop")),
        ("no-agent-forwarding,no-port-forwarding,no-X11-forwarding", Permit("ann@laptop")),
        ('command="status --json"', Permit("ann@laptop", command="status --json")),
        ('command="a, \\"b\\" c",no-pty', Permit("ann@laptop", 'a, "b" c', terminal=False)),
    ],
)
def test_options_that_narrow(options: str, expected: Permit) -> None:
    """The options that are supported do what they do in OpenSSH."""
    assert permit(f"{options} {LINE}") == expected


def test_from() -> None:
    """`from` is about addresses, and what it excludes stays out."""
    line = f'from="10.0.0.0/8,!10.1.*,::1" {LINE}'
    assert permit(line, "10.2.3.4") is not None
    assert permit(line, "::1") is not None
    assert permit(line, "10.1.3.4") is None
    assert permit(line) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('expiry-time="20200101" KEY', 'the option expiry-time="…" is not known here'),
        ("cert-authority KEY", "the option cert-authority is not known here"),
        ('environment="A=b" KEY', "environment"),
        ('permitopen="a:1" KEY', "permitopen"),
        ('principals="ann" KEY', "principals"),
        ("verify-required KEY", "verify-required"),
        ("no-touch-required KEY", "no-touch-required"),
        ('From="10.0.0.0/8" KEY', "From"),
        ("command KEY", "the option command is not known here"),
        ('restrict="yes" KEY', "restrict"),
        ("no-pty,no-pty KEY", "once"),
        ('from="10.0.0.0/33" KEY', "expected from to be addresses"),
        ('from="10.0.0.0/8\\" ssh" KEY', "expected from to be addresses"),
        ('from="*,!10.0.0.1/8" KEY', "host bits set"),
        ('from="::1,,10.0.0.1" KEY', "expected from to be addresses"),
        ('from="" KEY', "expected from to be addresses"),
        ('command="x KEY', "expected OPTIONS KEY"),
        ('command="x"no-pty KEY', "expected OPTIONS KEY"),
        ("restrict", "expected OPTIONS KEY"),
        ("restrict ssh-ed25519 AAAA", "expected a public key"),
        ("ssh-ed25519 AAAA", ""),
        ("-----BEGIN OPENSSH PRIVATE-----", ""),
        ("subject=CN=ann", ""),
    ],
)
def test_what_is_not_understood_is_refused(line: str, reason: str) -> None:
    """A line with anything that is not known here lets nobody in, and the reason is said."""
    ring = Keyring(f"{LINE}\n{line.replace('KEY', LINE)}")
    assert len(ring) == 1
    [refused] = ring.refused
    assert refused.line == 2
    assert reason in refused.reason
    assert BARE.split()[1] not in refused.reason


def test_certificates_are_no_keys() -> None:
    """A certificate in the place of a key is refused: its dates would not be looked at."""
    certificate = make_key("authority").generate_user_certificate(PUBLIC, "ann")
    ring = Keyring(certificate.export_certificate().decode())
    assert (len(ring), len(ring.refused)) == (0, 1)


def keys_file(folder: Path, content: bytes = LINE.encode(), mode: int = 0o600) -> Path:
    """A file of keys."""
    path = folder / "authorized_keys"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_file_is_read(tmp_path: Path) -> None:
    """A file that others may read, but not write, is fine."""
    assert len(read_keys(keys_file(tmp_path, mode=0o644))) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "without one (one line for each key"),
        (b"# nobody\n", "without one"),
        (b"nonsense\n", "without one; line 1: expected OPTIONS KEY"),
        (b"\xff\xfe", "it is no UTF-8 text"),
        (b"#" * (1024 * 1024 + 1), "it is larger than 1048576 bytes"),
    ],
)
def test_a_file_without_keys(tmp_path: Path, content: bytes, said: str) -> None:
    """A file from which no key can be read is an error with its name and the reason."""
    path = keys_file(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        read_keys(path)
    assert f'"{path}"' in str(caught.value)
    assert said in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is an error that says how to make one; a folder is none."""
    with pytest.raises(ConfigError, match=r"which is not there \(cp ~/\.ssh/id_ed25519\.pub"):
        read_keys(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="it is no file"):
        read_keys(tmp_path)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write(tmp_path: Path, mode: int) -> None:
    """Whoever can write the file could let themselves in: it is refused with the fix."""
    path = keys_file(tmp_path, mode=mode)
    with pytest.raises(ConfigError, match=rf"with mode {mode:o} \(chmod go-w {path}\)"):
        read_keys(path)


def test_a_folder_that_others_can_write(tmp_path: Path) -> None:
    """… and so could whoever can put another file there, unless the folder forbids it as /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    path = keys_file(folder)
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match=rf"chmod go-w {folder}\)"):
        read_keys(path)
    folder.chmod(0o1777)
    assert len(read_keys(path)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    """A file of another user is theirs to change, so it is refused."""
    path = keys_file(tmp_path)
    os.chown(path, 12345, 12345)
    with pytest.raises(ConfigError, match="of user 12345"):
        read_keys(path)


def test_every_kind_of_key() -> None:
    """All kinds of keys that OpenSSH makes are read."""
    for kind in ("ssh-rsa", "ecdsa-sha2-nistp256"):
        key: asyncssh.SSHKey = asyncssh.generate_private_key(kind)  # pyright: ignore
        assert Keyring(line_of(key)).find(key.convert_to_public(), HERE) is not None
