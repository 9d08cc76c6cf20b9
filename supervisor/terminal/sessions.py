"""Where conversations are kept: JSON lines, one file a session, appended as it happens.

The files hold what people asked, so only their owner may read them. Files are read and written in
worker threads: one process may serve several people.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio import to_thread

from supervisor.clock import Clock, SystemClock
from supervisor.errors import ConfigError, StoreError
from supervisor.terminal.session import (
    Exchange,
    Session,
    answered,
    asked,
    begun,
    read_session,
)

_ENDING = ".jsonl"
_RECALLED = 500
"""Questions that can be recalled at the prompt."""


class Sessions:
    """A folder of conversations.

    Args:
        folder: The folder; it is made with the first question.
        clock: Tells when; None for the machine's.
    """

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()

    def __repr__(self) -> str:
        return f"<Sessions {self._folder}>"

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder

    def new(self, *, person: str, model: str) -> Session:
        """A new conversation; its file is written with the first question.

        Args:
            person: Who begins it.
            model: Who is asked.
        """
        now = self._clock.wall()
        when = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S")
        return Session(f"{when}-{secrets.token_hex(3)}", now, person, model)

    async def asked(self, session: Session, question: str) -> None:
        """Write a question down, before it is sent.

        Raises:
            StoreError: It cannot be written.
        """
        first = [begun(session)] if session.is_empty else []
        session.pending = question
        record = asked(session, self._clock.wall())
        await to_thread.run_sync(self._append, session.id, [*first, record])

    async def answered(self, session: Session, exchange: Exchange) -> None:
        """Write an answer down, whole or cut off, to the question that was asked last.

        Raises:
            StoreError: It cannot be written.
        """
        session.exchanges.append(exchange)
        session.pending = ""
        await to_thread.run_sync(self._append, session.id, [answered(exchange)])

    async def newest(self) -> Session | None:
        """The conversation that was last gone on with; None when there is none."""
        listed = await self.latest(limit=1)
        return listed[0] if listed else None

    async def latest(self, *, limit: int = 20) -> Sequence[Session]:
        """The conversations, the last used first.

        Args:
            limit: Most of them.
        """
        return await to_thread.run_sync(self._latest, limit)

    async def questions(self) -> list[str]:
        """What was asked in the last conversations, the oldest first."""
        asked = [
            exchange.question
            for session in reversed(await self.latest())
            for exchange in session.exchanges
        ]
        return asked[-_RECALLED:]

    async def find(self, name: str) -> Session:
        """One conversation.

        Args:
            name: Its id, or a beginning that only it has.

        Raises:
            ConfigError: None is called so, or several are.
        """
        return await to_thread.run_sync(self._find, name)

    def _append(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(f"{json.dumps(record)}\n" for record in records)
        path = self._path(name)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                if size:
                    # A crash may have left half a line, which must not spoil this one.
                    file.seek(size - 1)
                    text = text if file.read(1) == b"\n" else f"\n{text}"
                file.write(text.encode())
        except OSError as error:
            raise StoreError(
                f"the conversation cannot be written to {path}: {error.strerror or error}",
                hint="it goes on without being saved; mend the folder, or its owner",
            ) from error

    def _latest(self, limit: int) -> list[Session]:
        found: list[Session] = []
        for path in self._paths():
            session = _read(path)
            if session is not None and not session.is_empty:
                found.append(session)
            if len(found) >= limit:
                break
        return found

    def _find(self, name: str) -> Session:
        names = [path.stem for path in self._paths()]
        fitting = [one for one in names if one.startswith(name)] if name else []
        if name in fitting:
            fitting = [name]
        if len(fitting) == 1 and (session := _read(self._path(fitting[0]))) is not None:
            return session
        if len(fitting) > 1:
            raise ConfigError(
                f'expected the id of one session, got: "{name}", with which '
                f"{', '.join(fitting[:5])} begin"
            )
        raise ConfigError(
            f'no session is called "{name}"', hint=f"`chat -r` lists those in {self._folder}"
        )

    def _paths(self) -> list[Path]:
        """The files, the last used first."""
        try:
            paths = [path for path in self._folder.iterdir() if path.suffix == _ENDING]
            return sorted(paths, key=lambda path: (path.stat().st_mtime, path.stem), reverse=True)
        except OSError:
            return []

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_ENDING}"


def _read(path: Path) -> Session | None:
    try:
        return read_session(path.read_text("utf-8", errors="replace").splitlines())
    except OSError:
        return None
