"""What is known, over HTTP: look for something, see what is indexed, index or forget a folder."""

from __future__ import annotations

import difflib

from starlette.requests import Request
from starlette.responses import Response

from supervisor.errors import InvalidRequest
from supervisor.web.document import document
from supervisor.web.hub import Hub
from supervisor.web.inbound import read_body
from supervisor.web.job_form import read_object
from supervisor.web.refusal import denied

_MOST = 64 * 1024
_MOST_HITS = 100


class MemoryApi:
    """The endpoints about the index.

    Args:
        hub: Has it.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def search(self, request: Request) -> Response:
        """Passages for `?q=words`, best first; `source` and `limit` narrow it down.

        Raises:
            InvalidRequest: There are no words, or the limit is none.
        """
        query = request.query_params
        words, limit = query.get("q", ""), query.get("limit", "10")
        if not words.strip():
            raise InvalidRequest("expected q=WORDS in the query, got none")
        if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_HITS:
            raise InvalidRequest(f'expected limit to be 1 to {_MOST_HITS}, got: "{limit[:20]}"')
        hits = await self._hub.memory.search(
            words, source=query.get("source", ""), limit=int(limit)
        )
        return document({"hits": hits})

    async def sources(self, request: Request) -> Response:
        """The indexed folders."""
        return document({"sources": await self._hub.memory.sources()})

    async def add(self, request: Request) -> Response:
        """Index a folder of the supervisor's machine, or bring it up to date.

        Raises:
            InvalidRequest: The body names no folder.
            JobFailed: The folder is none.
        """
        return document(await self._hub.memory.add(await _folder(request)))

    async def forget(self, request: Request) -> Response:
        """Forget a folder and all that was known of it.

        Raises:
            InvalidRequest: The body names no folder, or one that would be indexed again at once.
        """
        folder, memory = await _folder(request), self._hub.memory
        known = {one.path: one for one in await memory.sources()}
        if folder in known and known[folder].kept:
            raise InvalidRequest(
                f"{folder} is kept indexed, for memory.folders names it",
                hint="take it out of memory.folders and start again, then forget it",
            )
        if not await memory.remove(folder):
            near = difflib.get_close_matches(folder, known, n=1)
            raise denied(
                f"nothing is known of {folder}",
                status=404,
                code="unknown_source",
                hint=f"did you mean {near[0]}?" if near else "",
            )
        return document({"source": folder, "forgotten": True})


async def _folder(request: Request) -> str:
    body = await read_body(request.receive, declared=None, most=_MOST)
    folder = read_object(body or b"").get("folder")
    if not isinstance(folder, str) or not folder.strip() or "\0" in folder:
        raise InvalidRequest('expected {"folder": "PATH"}')
    return folder
