"""The barest relay there can be: Starlette in front, httpx over aiohttp behind, nothing between.

    python -m benchmarks.relay http://127.0.0.1:8421

It is what the gateway is measured against: the same server, parser and event loop, and none of
the work of a gateway. Not for use: it has no queue, no limit, no retry and no errors of its own.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from httpx_aiohttp import HttpxAiohttpClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from benchmarks.launch import KEY

_HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def create_app(upstream: str) -> Starlette:
    """The relay.

    Args:
        upstream: Base URL of the API.
    """
    url = f"{upstream}/v1/chat/completions"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with HttpxAiohttpClient(timeout=60.0) as client:
            app.state.client = client
            yield

    async def chat(request: Request) -> Response:
        client: HttpxAiohttpClient = request.app.state.client
        body = await request.body()
        if b'"stream":true' in body:
            return StreamingResponse(_events(client, url, body), media_type="text/event-stream")
        answer = await client.post(url, content=body, headers=_HEADERS)
        return Response(answer.content, answer.status_code, media_type="application/json")

    return Starlette(
        routes=[Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=lifespan
    )


async def _events(client: HttpxAiohttpClient, url: str, body: bytes) -> AsyncGenerator[bytes]:
    async with client.stream("POST", url, content=body, headers=_HEADERS) as answer:
        async for chunk in answer.aiter_bytes():
            yield chunk


def main() -> None:
    """Serve until a signal comes."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        create_app(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
    )
    print(f"ready: http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
