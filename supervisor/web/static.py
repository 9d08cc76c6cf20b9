"""The files of the dashboard: a fixed list, so that no path can lead to anything else.

They hold no data, only the means to show some, and so are given to everybody: a browser cannot
send a token with the page it opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_SCRIPT = "text/javascript; charset=utf-8"
_FILES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "app.js": _SCRIPT,
    "budgets.js": _SCRIPT,
    "chart.js": _SCRIPT,
    "doors.js": _SCRIPT,
    "elements.js": _SCRIPT,
    "jobs.js": _SCRIPT,
    "key.js": _SCRIPT,
    "panels.js": _SCRIPT,
    "roles.js": _SCRIPT,
    "schedules.js": _SCRIPT,
    "stream.js": _SCRIPT,
    "words.js": _SCRIPT,
}
"""Name and media type."""

INDEX = "index.html"

STATIC_PATHS = frozenset({"/", *(f"/dashboard/{name}" for name in _FILES)})
"""Where they are served; open to everybody."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Kept, but asked for each time: a page of yesterday must not read the API of today.
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    etag: str
    media_type: str


class Static:
    """The files, each read once, when somebody first asks for it."""

    def __init__(self) -> None:
        self._read: dict[str, _File] = {}

    def __repr__(self) -> str:
        return f"<Static {len(self._read)} of {len(_FILES)} files read>"

    async def file(self, request: Request) -> Response:
        """Serve one of the list.

        Raises:
            HTTPException: 404, it is not on the list.
        """
        return await self.serve(request, request.path_params["name"])

    async def serve(self, request: Request, name: str) -> Response:
        """Serve a file, or say that the browser has it already.

        Args:
            request: Its `If-None-Match` is looked at.
            name: Which one.

        Raises:
            HTTPException: 404, it is not on the list.
        """
        if name not in _FILES:
            raise HTTPException(404)
        file = self._read.get(name)
        if file is None:
            file = self._read[name] = await to_thread.run_sync(_load, name)
        headers = {**_HEADERS, "etag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.body, headers=headers, media_type=file.media_type)


def _load(name: str) -> _File:
    body = files("supervisor.web").joinpath("dashboard", name).read_bytes()
    return _File(body, f'"{sha256(body).hexdigest()[:32]}"', _FILES[name])
