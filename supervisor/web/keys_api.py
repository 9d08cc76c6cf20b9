"""The key over HTTP: where it comes from, and a look for a new one. No part of it is shown."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from supervisor.web.document import document
from supervisor.web.hub import Hub


class KeysApi:
    """The endpoints about the key.

    Args:
        hub: Has it.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def show(self, request: Request) -> Response:
        """Where the key comes from, since when it is in use, and what the last look came to."""
        return document(self._hub.keys.snapshot())

    async def reload(self, request: Request) -> Response:
        """Look for a new key now; answers with how it stands then."""
        await self._hub.keys.reload("by hand")
        return document(self._hub.keys.snapshot())
