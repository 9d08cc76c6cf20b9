"""From when until when this process may send: for as long as it alone owns the key.

A lock in the store decides where there is one in common. Where there is none, as with a deploy
that gives each process a disk of its own, only time can: the new process holds idle for so long
that the old one has gone (`quota.takeover`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import anyio
import structlog

from supervisor.config.settings import WebSettings
from supervisor.errors import StoreError
from supervisor.ledger.owner import Ownership
from supervisor.web.server import serve
from supervisor.web.waiting import create_waiting_room

_log = structlog.get_logger("supervisor.app")

_LOOK = 0.5
"""Seconds between two looks whether the other process has let go of the key."""


class Sender(Protocol):
    """Whoever sends with the key."""

    def hold(self, reason: str) -> None: ...
    async def catch_up(self) -> None: ...
    def let_go(self) -> None: ...


class Tenure:
    """This process's right to send.

    Args:
        owner: The lock.
        web: Where to say, meanwhile, that it is idle.
        takeover: Seconds to hold idle where the lock cannot tell of a process elsewhere.
        stopped: Waits until the process is asked to stop, and says by what.
    """

    def __init__(
        self,
        owner: Ownership,
        web: WebSettings,
        *,
        takeover: float,
        stopped: Callable[[], Awaitable[str]],
    ) -> None:
        self._stopped = stopped
        self._owner = owner
        self._web = web
        self._takeover = takeover

    async def begin(self) -> bool:
        """Wait until no other process holds the key; says so at the door meanwhile.

        Returns:
            False when a signal came first.

        Raises:
            StoreError: The lock cannot be taken.
            ConfigError: The address cannot be listened on, as on one machine with the owner's.
        """
        owner = self._owner
        if not await owner.acquire_nowait():
            # Whoever had it has told by letting go of it: then there is nothing more to wait for.
            reason = f"another process owns the key: it holds {owner.place}"
            return await self._idle(reason, self._acquired)
        if owner.shared or not self._takeover:
            return True
        reason = f"another process may still use the key: idle for {self._takeover:g} s"
        return await self._idle(f"{reason} (quota.takeover)", partial(anyio.sleep, self._takeover))

    async def keep(self, sender: Sender) -> None:
        """Watch over the lock: nothing is sent while it is lost, nor before it is known what was.

        Returns:
            When another process has it.
        """
        how = await self._owner.lost()
        while True:
            sender.hold(f"the lock of the key's owner was lost: {how}")
            _log.error("app.owner_lost", reason=how)
            if not await self._regained():
                return
            how = await self._caught_up(sender)
            if not how:
                _log.warning("app.owner_regained")
                sender.let_go()
                how = await self._owner.lost()

    async def end(self) -> None:
        """Let the next process have the key."""
        await self._owner.release()

    async def _idle(self, reason: str, over: Callable[[], Awaitable[object]]) -> bool:
        """Be alive and not ready until it is over; False when a signal came first."""
        _log.warning("app.waiting", reason=reason)
        room, owned = create_waiting_room(reason), False

        async def wait() -> None:
            nonlocal owned
            await over()
            owned = True
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            await tasks.start(partial(serve, room, self._web.host, self._web.port, grace=0.0))
            tasks.start_soon(wait)
            _log.info("app.stopping", signal=await self._stopped())
            tasks.cancel_scope.cancel()
        return owned

    async def _acquired(self) -> None:
        # The other process ends without telling us.
        while not await self._owner.acquire_nowait():  # noqa: ASYNC110
            await anyio.sleep(_LOOK)

    async def _caught_up(self, sender: Sender) -> str:
        """Let it count what another process has sent meanwhile.

        Returns:
            How the lock was lost again before that was done; empty when it was not.
        """
        how = ""
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                nonlocal how
                how = await self._owner.lost()
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            while True:
                try:
                    await sender.catch_up()
                except StoreError as error:
                    _log.warning("app.owner_unread", error=str(error))
                    await anyio.sleep(_LOOK)
                else:
                    break
            tasks.cancel_scope.cancel()
        return how

    async def _regained(self) -> bool:
        """Whether it could be had back; as long as the store is away nobody else has it either."""
        while True:
            try:
                return await self._owner.acquire_nowait()
            except StoreError:
                await anyio.sleep(_LOOK)
