"""What a role remembers over jobs, reloads and restarts: one small JSON file for each role."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import cast

import anyio
import anyio.to_thread
import structlog

from supervisor.errors import JobStoreError, StoreError
from supervisor.messages import JsonValue

_log = structlog.get_logger("supervisor.team")

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class RoleState(dict[str, JsonValue]):
    """A role's memory; `save` writes it down where it has changed.

    Args:
        file: Where it is kept; None keeps it in memory only.
    """

    def __init__(self, file: Path | None) -> None:
        super().__init__()
        self._file = file
        self._saved = "{}"
        # Two jobs of the role may end together.
        self._lock = anyio.Lock()

    async def load(self) -> None:
        """Read what was saved. An unreadable file is set aside, not overwritten."""
        if self._file is None or not await anyio.Path(self._file).is_file():
            return
        text = ""
        try:
            text = await anyio.Path(self._file).read_text("utf-8")
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            aside = self._file.with_suffix(".unreadable")
            await anyio.Path(self._file).replace(aside)
            _log.error("team.state_unreadable", file=str(self._file), kept_as=str(aside))
            return
        self.update(cast("dict[str, JsonValue]", value))
        self._saved = text

    async def save(self) -> None:
        """Write it down, whole or not at all.

        Raises:
            StoreError: It held something that is not JSON, which is left out now, or cannot be
                written.
            JobStoreError: It cannot be written now: the disk is full, or fails.
        """
        async with self._lock:
            await self._save()

    async def _save(self) -> None:
        text = self._text()
        if self._file is None or (text == self._saved and await anyio.Path(self._file).exists()):
            return
        try:
            await anyio.to_thread.run_sync(_replace, self._file, text)
        except OSError as error:
            # A disk is full for a while; what is not allowed stays so.
            kind = JobStoreError if error.errno in _OF_THE_DISK else StoreError
            raise kind(f"cannot write {self._file}: {error.strerror}") from error
        self._saved = text

    def _text(self) -> str:
        """It as JSON. What is none goes at once: it would fail all later jobs of the role too."""
        try:
            return json.dumps(self, sort_keys=True)
        except (TypeError, ValueError, RecursionError) as error:
            wrong = [key for key, value in self.items() if not _is_json(key, value)]
            for key in wrong:
                del self[key]
            named = ", ".join(repr(key) for key in wrong)
            raise StoreError(
                f"a role's state must be JSON: {error}",
                hint=f"it was left out of ctx.state: {named}",
            ) from error


def _is_json(key: object, value: object) -> bool:
    try:
        json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(key, str)


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = file.with_suffix(".new")
    beside.write_text(text, "utf-8")
    os.replace(beside, file)
