"""The start page: the dashboard. It holds no data; what it shows comes from `/api/events`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from supervisor.web.static import INDEX, Static


class Page:
    """`/`.

    Args:
        static: Has the page.
    """

    def __init__(self, static: Static) -> None:
        self._static = static

    async def show(self, request: Request) -> Response:
        """The page."""
        return await self._static.serve(request, INDEX)
