"""Which files of a folder are worth knowing: what git would track, or what a person would read.

Never what is secret, binary or large, and nothing that a link leads to outside of the folder.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

LARGEST = 1_000_000
"""Bytes of the largest file that is read."""

_TIME = 60.0
_PASSED_ON = ("PATH", "HOME", "LANG", "SYSTEMROOT")
"""Environment variables that git gets; no other, for the key is among them."""
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv", "dist", "build", "target"})
_SECRET = (
    ".env",
    ".env.*",
    "*.env",
    "credentials*",
    ".git-credentials",
    ".htpasswd",
    ".npmrc",
    ".pypirc",
    "*.jks",
    "*.p8",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_*",
    ".netrc",
    ".pgpass",
    "*.kdbx",
)
_OPEN = (".env.example", ".env.sample", ".env.template", "id_*.py", "*.pub")


@dataclass(frozen=True, slots=True)
class File:
    """A file as it lies there.

    Attributes:
        path: Relative to the folder, with `/`.
        size: Bytes.
        changed: Time of its last change, in nanoseconds.
    """

    path: str
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds.

    Attributes:
        files: Those worth reading, by path.
        skipped: How many were left out.
    """

    files: tuple[File, ...]
    skipped: int


def list_folder(folder: Path) -> Listing:
    """Look at a folder; reads no file.

    Args:
        folder: A git repository, or any other folder.

    Raises:
        OSError: It cannot be read.
    """
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))
    root, skipped = folder.resolve(), 0
    files: list[File] = []
    tracked = _tracked(folder)
    # An empty list is an answer too: a repository in which everything is ignored.
    for path in sorted(set(_walked(folder) if tracked is None else tracked)):
        file = _file(root, path)
        if file is None:
            skipped += 1
        else:
            files.append(file)
    return Listing(tuple(files), skipped)


def read_text(folder: Path, path: str) -> str | None:
    """A file's text; None where it is none, is too large now, or has gone.

    Args:
        folder: The folder.
        path: Relative to it.
    """
    try:
        with (folder / path).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError:
        return None
    if len(raw) > LARGEST or b"\0" in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def is_secret(path: str) -> bool:
    """Whether a file's name says that it holds a secret."""
    name = path.rpartition("/")[2]
    if any(fnmatch(name, pattern) for pattern in _OPEN):
        return False
    return any(fnmatch(name, pattern) for pattern in _SECRET)


def _file(root: Path, path: str) -> File | None:
    whole = root / path
    try:
        path.encode()  # a name that is no text cannot be told to anybody
        info = whole.stat()
        inside = whole.resolve().is_relative_to(root)
    except (OSError, UnicodeEncodeError):
        return None
    if not inside or not whole.is_file() or is_secret(path) or info.st_size > LARGEST:
        return None
    return File(path, info.st_size, info.st_mtime_ns)


def _tracked(folder: Path) -> list[str] | None:
    """What git tracks or would track; None where the folder is no repository, or git is missing."""
    try:
        is_inside = _git(folder, "rev-parse", "--show-prefix").stdout.strip()
        if is_inside and _git(folder, "check-ignore", "--quiet", ".").returncode == 0:
            # The repository around it ignores it, but somebody has named it.
            return None
        listed = _git(folder, "ls-files", "-co", "--exclude-standard", "-z")
        listed.check_returncode()
    except (OSError, subprocess.SubprocessError):
        return None
    return [path for path in listed.stdout.decode(errors="surrogateescape").split("\0") if path]


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    # A repository's own configuration can name a program that git then runs: not this one.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *words]
    # And nobody's program gets to see the key.
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return subprocess.run(command, capture_output=True, check=False, timeout=_TIME, env=environment)


def _walked(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS
        ]
        for name in files:
            if not name.startswith(".") or is_secret(name):
                yield Path(place, name).relative_to(folder).as_posix()
