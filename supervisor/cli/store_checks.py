"""What `doctor` looks at in the store: whether it is sound and ours, who owns the key, and room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from supervisor.cli.check import Check, fine, wrong
from supervisor.clock import Clock, SystemClock
from supervisor.config.settings import Settings
from supervisor.errors import StoreError

_READING = 3.0
"""Seconds for reading the store's files; what is not read by then is taken on trust."""
_CONNECTING = 4.0
_TOO_LITTLE = 100 * 2**20
_LITTLE = 500 * 2**20
"""Bytes; the ledger of a week with 3,000 attempts an hour has 90 MiB."""


def store(settings: Settings, *, clock: Clock | None = None) -> Check:
    """Whether the store can be used: its files, or its server.

    Args:
        settings: Name the store.
        clock: Bounds the time for reading it.
    """
    try:
        if not settings.store.in_files:
            version, _ = _server(settings)
            return fine("store", f"PostgreSQL {version} answers, and can be written")
        return _files(settings, clock or SystemClock())
    except StoreError as error:
        return wrong("store", error.message, hint=error.hint)


def owner(settings: Settings) -> Check:
    """Whether a process owns the key right now: a fact, not a fault.

    Args:
        settings: Name the store that the lock belongs to.
    """
    # The ledger's folder, which only this check and the one above need.
    from supervisor.ledger.survey import is_held  # noqa: PLC0415

    lock = settings.store.file("-owner")
    try:
        held = is_held(lock) if settings.store.in_files else _server(settings)[1]
    except StoreError as error:
        return wrong("owner", error.message, hint=error.hint)
    if not held:
        return fine("owner", "no process owns the key now")
    place = str(lock) if settings.store.in_files else "the lock in the database of store.url"
    return fine("owner", f"a process owns the key now: it holds {place}; a second one would wait")


def disk(settings: Settings) -> Check:
    """Whether there is room where files are kept.

    Args:
        settings: Name the store.
    """
    folder = _nearest(settings.store.file())
    free = shutil.disk_usage(folder).free
    detail = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < _TOO_LITTLE:
        return wrong("disk", detail, hint="make room: what cannot be written down is not sent")
    return fine("disk", detail, "" if free >= _LITTLE else "make room before it is full")


def _files(settings: Settings, clock: Clock) -> Check:
    file = settings.store.file()
    folder = _nearest(file)
    there = [
        path for what in ("", "-jobs", "-memory") if (path := settings.store.file(what)).exists()
    ]
    for place in (folder, *there):
        if not os.access(place, os.W_OK):
            hint = "set store.url, or let the user that runs the supervisor write there"
            return wrong("store", f"{place} cannot be written", hint=hint)
    if not there:
        return fine("store", f"{folder} can be written; {file.name} will be made")
    unread = _unread(there, file, clock)
    names = ", ".join(path.name for path in there)
    if unread:
        return fine("store", f"{folder}: {names}; sound as far as read in {_READING:g} s")
    return fine("store", f"{folder}: {names}; sound")


def _unread(there: Sequence[Path], ledger: Path, clock: Clock) -> bool:
    """Whether some of the files could not be read to its end in time."""
    from supervisor.ledger.sqlite import SCHEMA  # noqa: PLC0415 - see owner()
    from supervisor.ledger.survey import examine  # noqa: PLC0415

    until = clock.monotonic() + _READING
    whole = [
        examine(path, schema=SCHEMA if path == ledger else "", until=until, clock=clock)
        for path in there
    ]
    return not all(whole)


def _server(settings: Settings) -> tuple[str, bool]:
    """The version of the store's server, and whether a process owns the key."""
    # psycopg: only who has such a server needs it.
    from supervisor.ledger.postgresql_survey import examine_server  # noqa: PLC0415

    survey = examine_server(settings.store.url, patience=_CONNECTING)
    return survey.version, survey.owned


def _nearest(path: Path) -> Path:
    """The folder of a file, or the nearest one above it that is there."""
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    return folder
