"""The way to a PostgreSQL server, which a test can cut: nobody refuses, and nobody hears of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict

from tests.postgresql import database


class Network:
    """The way to a server.

    Args:
        url: The server's.

    Attributes:
        url: Where it begins.
        swallows_new: Whether new connections get no answer.
        breaks_at: What is swallowed when it comes, once, and all that follows it on its way.
    """

    def __init__(self, url: str) -> None:
        self._server = conninfo_to_dict(url)
        self.url = ""
        self.swallows_new = False
        self.breaks_at = b""
        self._ways: set[asyncio.Task[None]] = set()
        self._cut: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    def cut(self) -> None:
        """Swallow all that comes on the connections there are, from both sides."""
        self._cut |= self._ways

    def hold(self) -> None:
        """Keep all that comes, from both sides, also on new connections."""
        self._flows.clear()

    def release(self) -> None:
        """Let go what was held, and all that follows: a server that was frozen reads it then."""
        self._flows.set()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = str(self._server["host"]), int(str(self._server.get("port", 5432)))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65_536):
                    if self.breaks_at and self.breaks_at in data:
                        self._cut.add(me)
                        self.breaks_at = b""
                    await self._flows.wait()
                    if me not in self._cut:
                        writer.write(data)
            if me in self._cut:
                await anyio.sleep_forever()  # nobody hears of the end either
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self._reach()
        ways = {
            asyncio.create_task(self._carry(reader, back)),
            asyncio.create_task(self._carry(there, writer)),
        }
        self._ways |= ways
        if self.swallows_new:
            self._cut |= ways
        await asyncio.wait(ways)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Network]:
        """Be there."""
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as door:
            port = door.sockets[0].getsockname()[1]
            self.url = sa.URL.create(
                "postgresql",
                username=str(self._server["user"]),
                host="127.0.0.1",
                port=port,
                database=str(self._server["dbname"]),
            ).render_as_string(hide_password=False)
            yield self
            for way in self._ways:
                way.cancel()
            await asyncio.wait(self._ways)


@asynccontextmanager
async def network(server: str) -> AsyncGenerator[Network]:
    """The way to an empty database."""
    with database(server) as url:
        async with Network(url).open() as way:
            yield way
