"""Tells which roles have really changed, whatever the file system says about it.

File events are only a hint to look: an editor writes one file three times, a `touch` changes
nothing, and network file systems and full inotify tables send no events at all. What counts is the
digest of each plugin, which is also compared now and then without a hint.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio.to_thread
import structlog
import watchfiles

from supervisor.errors import ConfigError
from supervisor.loading.discovery import discover
from supervisor.loading.inventory import digest_or_trouble

_log: structlog.stdlib.BoundLogger = structlog.get_logger("supervisor.loading")


_MILLISECOND = 0.001


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look, in milliseconds.

    Attributes:
        quiet: No event for so long means that the writer is done.
        debounce: After so long a look is taken even if events keep coming.
        sweep: Without any event a look is taken after so long.
        poll: Time between two looks where the system sends no events.
    """

    quiet: int = 100
    debounce: int = 1600
    sweep: int = 5000
    poll: int = 300


async def watch(
    directory: Path,
    *,
    known: Mapping[str, str] | None = None,
    pace: Pace | None = None,
    events: Callable[..., Iterator[object]] = watchfiles.watch,
) -> AsyncGenerator[frozenset[str]]:
    """Yield the names of plugins that were changed, added or removed, until cancelled.

    A name is that of the file or folder (`LoadedRole.plugin`). While the consumer works on one set
    of names, further changes are collected for the next. Close it (`contextlib.aclosing`) if the
    loop over it is left early.

    Args:
        directory: The roles directory.
        known: What is loaded, `Inventory.digests`: changes made since then are yielded first.
            Without it, what is there at the first look counts as known.
        pace: How often to look.
        events: Where the hints come from; `watchfiles.watch` or something with its parameters.

    Raises:
        ConfigError: The directory cannot be read at the first look.
    """
    now = await anyio.to_thread.run_sync(_look, directory)
    before = now if known is None else known
    stop = threading.Event()
    hints = _Hints(partial(events, directory, stop_event=stop), pace=pace or Pace())
    try:
        while True:
            changed = {name for name in {*before, *now} if before.get(name) != now.get(name)}
            before = now
            if changed:
                yield frozenset(changed)
            if not await hints.wait():
                return
            now = await anyio.to_thread.run_sync(_look_again, directory, before)
    finally:
        stop.set()


class _Hints:
    """Waits for file events, or for the next sweep."""

    def __init__(self, events: Callable[..., Iterator[object]], *, pace: Pace) -> None:
        self._events = events
        self._pace = pace
        self._polling = False
        self._waiting = self._begin()

    async def wait(self) -> bool:
        """Wait until it is worth looking; False when there will be no more hints."""
        try:
            # Abandoned on cancel: the thread ends by itself as soon as it sees the stop event.
            hint = await anyio.to_thread.run_sync(next, self._waiting, None, abandon_on_cancel=True)
            return hint is not None
        except (OSError, RuntimeError) as error:  # inotify's table is full, the folder is gone ...
            if self._polling:
                await anyio.sleep(self._pace.sweep * _MILLISECOND)
            else:
                _log.warning("loading.watch_polling", reason=str(error))
                self._polling = True
            self._waiting = self._begin()
            return True

    def _begin(self) -> Iterator[object]:
        return self._events(
            watch_filter=None,
            debounce=self._pace.debounce,
            step=self._pace.quiet,
            rust_timeout=self._pace.sweep,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=self._polling or None,  # None: as the system and WATCHFILES_* say
            poll_delay_ms=self._pace.poll,
        )


def _look(directory: Path) -> Mapping[str, str]:
    return {one.name: digest_or_trouble(one) for one in discover(directory).candidates}


def _look_again(directory: Path, before: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return _look(directory)
    except ConfigError as error:
        # Taken away for a moment, by a checkout or a deploy: no reason to stop every role.
        _log.warning("loading.directory_unreadable", error=str(error))
        return before
