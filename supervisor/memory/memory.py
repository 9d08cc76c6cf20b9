"""The index at work: folders brought up to date, watched, and searched.

One thread changes it; each search has a connection of its own, so nobody waits for a large folder
to be read.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import anyio
import anyio.to_thread
import structlog
import watchfiles
from anyio.abc import TaskStatus

from supervisor.clock import Clock
from supervisor.errors import JobFailed, StoreError
from supervisor.memory import shelves
from supervisor.memory.folder import File, list_folder, read_text
from supervisor.memory.words import Document, Hit, Index, Indexed, Source

_log = structlog.get_logger("supervisor.memory")

T = TypeVar("T")

_CHUNK = 200
"""Files of one transaction: what was read is kept when the process ends in the middle."""


class Memory(Index):
    """What is known, in one SQLite file.

    Args:
        file: The file; made, with its folder, where it is missing.
        clock: Tells when a folder was gone through.
        folders: Folders that are kept up to date by `run`.
        sweep: Seconds between two looks at all their files' contents; changes are seen at once
            as far as the system tells them.
    """

    def __init__(
        self, file: Path, *, clock: Clock, folders: Sequence[Path] = (), sweep: float = 600.0
    ) -> None:
        self._file = file
        self._whole_file = file.absolute()
        self._clock = clock
        self._folders = [str(folder.absolute()) for folder in folders]
        # The store's own folder, where the ledger and the jobs are written all the time.
        data = str(self._whole_file.parent)
        self._is_inside = any(
            data != folder and Path(data).is_relative_to(folder) for folder in self._folders
        )
        self._sweep = sweep
        self._writing = anyio.CapacityLimiter(1)
        self._is_made = False

    def __repr__(self) -> str:
        return f"<Memory {self._file} watching={len(self._folders)}>"

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the configured folders up to date until cancelled; what goes wrong is logged."""
        task_status.started()
        if not self._folders:
            await anyio.sleep_forever()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            while True:
                for folder in self._folders:
                    await self._refresh(folder, deep=True)
                await anyio.sleep(self._sweep)

    async def add(self, folder: str) -> Indexed:
        """Index a folder or a git repository, or bring it up to date.

        Raises:
            StoreError: The index cannot be written.
            JobFailed: The folder is none, or its path is relative to who knows where.
        """
        if not Path(folder).is_absolute():
            raise JobFailed(f'expected the absolute path of a folder to index, got: "{folder}"')
        return await self._change(partial(self._add, source=_whole(folder), deep=False))

    async def remove(self, folder: str) -> bool:
        """Forget a folder; tells whether it was known."""
        source = _whole(folder)
        return await self._change(lambda connection: shelves.forget(connection, source))

    async def sources(self) -> list[Source]:
        """The indexed folders, by path."""
        return await self._read(self._sources)

    async def search(self, query: str, *, source: str = "", limit: int = 10) -> list[Hit]:
        """Find passages, best first."""
        inside = _whole(source) if source else ""
        return await self._read(partial(shelves.search, query=query, source=inside, limit=limit))

    async def undescribed(self, folder: str, *, limit: int) -> list[Document]:
        """Files of a folder that have no description as they are now."""
        source = _whole(folder)

        def read(connection: sqlite3.Connection) -> list[Document]:
            documents: list[Document] = []
            for path, digest in shelves.undescribed(connection, source, limit=limit):
                text = read_text(Path(source), path)
                # What has changed meanwhile is indexed first.
                if text is not None and shelves.digest_of(text) == digest:
                    documents.append(Document(source, path, digest, text))
            return documents

        return await self._read(read)

    async def describe(self, document: Document, text: str) -> None:
        """Keep a description, which is searched too, until the file changes."""
        await self._change(lambda connection: shelves.describe(connection, document, text))

    # -- inside -----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look again where something has changed; what cannot be watched is left to the sweep."""
        while True:
            folders = await anyio.to_thread.run_sync(_present, self._folders)
            try:
                if folders:
                    await self._watch_these(folders)
            except (OSError, RuntimeError) as error:
                _log.error("memory.watch_failed", folders=folders, error=str(error))
            await anyio.sleep(self._sweep)

    async def _watch_these(self, folders: Sequence[str]) -> None:
        stop = threading.Event()
        events = watchfiles.watch(
            *folders,
            watch_filter=self._is_news,
            debounce=500,
            recursive=True,
            raise_interrupt=False,
            stop_event=stop,
        )
        try:
            # Abandoned on cancel: `awatch` would wait for its thread first, for up to five seconds.
            following = partial(next, events, None)
            run = partial(anyio.to_thread.run_sync, following, abandon_on_cancel=True)
            while (changes := await run()) is not None:
                paths = [Path(path) for _, path in changes]
                for folder in folders:
                    if any(path.is_relative_to(folder) for path in paths):
                        await self._refresh(folder, deep=False)
        finally:
            stop.set()

    def _is_news(self, _: watchfiles.Change, path: str) -> bool:
        """Whether a change can matter: our own writing must not make us look again for ever."""
        place = Path(path)
        if path.startswith(str(self._whole_file)) or ".git" in place.parts:
            return False
        return not (self._is_inside and place.is_relative_to(self._whole_file.parent))

    async def _refresh(self, folder: str, *, deep: bool) -> None:
        try:
            done = await self._change(partial(self._add, source=folder, deep=deep))
        except (StoreError, JobFailed) as error:
            _log.error("memory.refresh_failed", folder=folder, error=str(error))
            return
        if done.changed or done.removed:
            _log.info("memory.refreshed", folder=folder, changed=done.changed, removed=done.removed)

    async def _change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await anyio.to_thread.run_sync(self._with, work, limiter=self._writing)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self._is_made:
            # Two that make the file at once, or bring it into WAL mode, refuse each other.
            return await self._change(work)
        return await anyio.to_thread.run_sync(self._with, work)

    # -- on a thread ------------------------------------------------------------------------------

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = shelves.open_index(self._file)
            self._is_made = True
            try:
                return work(connection)
            finally:
                connection.close()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the index {self._file} failed: {error}",
                hint="see that it is there and writable; it can be deleted, and is made again",
            ) from error

    def _sources(self, connection: sqlite3.Connection) -> list[Source]:
        return [
            replace(one, kind=_kind(Path(one.path)), kept=one.path in self._folders)
            for one in shelves.sources(connection)
        ]

    def _add(self, connection: sqlite3.Connection, *, source: str, deep: bool) -> Indexed:
        """Go through a folder; `deep` reads the files that look unchanged, too."""
        folder = Path(source)
        try:
            listing = list_folder(folder)
        except OSError as error:
            forgotten = not folder.exists() and shelves.forget(connection, source)
            hint = "it has gone; what was known of it is forgotten" if forgotten else ""
            raise JobFailed(
                f"expected a folder to index, got: {source} ({error.strerror})", hint=hint
            ) from error
        known = shelves.known(connection, source)
        changed = unread = 0
        for begin in range(0, len(listing.files), _CHUNK):
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                for file in listing.files[begin : begin + _CHUNK]:
                    outcome = _take_in(
                        connection, source, file=file, old=known.get(file.path), deep=deep
                    )
                    changed += outcome is True
                    unread += outcome is None
        gone = known.keys() - {file.path for file in listing.files}
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            for path in gone:
                shelves.take_out(connection, source, path=path)
            shelves.looked_at(connection, source, now=self._clock.wall())
        files, passages = shelves.counts(connection, source)
        return Indexed(source, files, changed, len(gone), passages, listing.skipped + unread)


def _present(folders: Sequence[str]) -> list[str]:
    """Those that are there."""
    return [folder for folder in folders if Path(folder).is_dir()]


def _whole(folder: str) -> str:
    """A folder's name as it is kept."""
    return str(Path(folder).absolute())


def _kind(folder: Path) -> Literal["repository", "folder", "gone"]:
    if not folder.is_dir():
        return "gone"
    return "repository" if (folder / ".git").exists() else "folder"


def _take_in(
    connection: sqlite3.Connection,
    source: str,
    *,
    file: File,
    old: shelves.Known | None,
    deep: bool,
) -> bool | None:
    """Index a file if it has changed; None when it cannot be read as text."""
    if old is not None and not deep and (old.size, old.changed) == (file.size, file.changed):
        return False
    text = read_text(Path(source), file.path)
    if text is None:
        shelves.take_out(connection, source, path=file.path)
        return None
    if old is not None and old.digest == shelves.digest_of(text):
        shelves.touch(connection, old.id, file)
        return False
    shelves.put(connection, source, file=file, text=text)
    return True
