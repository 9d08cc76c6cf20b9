"""The secret file: what it holds, and whether others may read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydantic import SecretStr

from supervisor.config.report import Report

_LONGEST = 16 * 1024
"""Bytes; whatever is longer is no key."""
_PLATFORMS = (Path("/etc/secrets"), Path("/run/secrets"))
"""Folders that a platform fills, with modes that nobody can change from inside."""


def read_key_file(path: Path, report: Report) -> SecretStr | None:
    """The key in a file, without the white space around it.

    Args:
        path: The file.
        report: Takes what is wrong with it; its content is not shown.
    """
    origin = "key.file"
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        report.add(origin, f"{path} cannot be read: {error.strerror}")
        return None
    if len(content) > _LONGEST:
        report.add(origin, f"expected {path} to hold a key and nothing else, got: a long text")
        return None
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        report.add(origin, f"expected {path} to be UTF-8 text")
        return None
    if not text:
        report.add(origin, f"expected {path} to hold a key, got: nothing")
        return None
    return SecretStr(text)


def open_to_others(path: Path) -> str:
    """What to do where other users may read or write the file; empty where all is well."""
    if os.name == "nt" or any(path.is_relative_to(folder) for folder in _PLATFORMS):
        return ""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return ""
    if not mode & (stat.S_IRWXG | stat.S_IRWXO) & ~(stat.S_IXGRP | stat.S_IXOTH):
        return ""
    return f"{path} is open to other users (mode {mode:04o}): chmod 600 {path}"
