"""Serves the application on a socket, inside a task of ours.

Of uvicorn only the protocol is used, which is where its speed is. Its `Server` takes the signals
over, wakes ten times a second to see whether it is to stop, and exits the process when a port is
taken; supervision does these things here.
"""

from __future__ import annotations

import asyncio
import logging

import anyio
import structlog
import uvicorn
from anyio.abc import TaskStatus
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from supervisor.listening import cannot_listen
from supervisor.web.closing import Closing
from supervisor.web.gateway import StreamLost

_log = structlog.get_logger("supervisor.web")

GRACE = 10.0
"""Seconds for which requests under way may go on when the server stops."""

_LAST_WORDS = 1.0
_KEEP_ALIVE = 75
"""Seconds; longer than clients keep idle connections, else both sides race at the same moment."""


async def serve(
    app: Starlette,
    host: str,
    port: int,
    *,
    grace: float = GRACE,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then let requests under way end, and tell the rest that we stop.

    Args:
        app: What `create_app` made.
        host: Name or address to listen on.
        port: TCP port; 0 for any that is free.
        grace: Seconds that requests under way may take to end.
        task_status: Told the port once connections are accepted.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    config = uvicorn.Config(
        app,
        http=HttpToolsProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    config.load()
    state = ServerState()
    logger = _logger()

    def protocol() -> asyncio.Protocol:
        connection = HttpToolsProtocol(config=config, server_state=state, app_state={})
        connection.logger = logger
        return connection

    try:
        server = await asyncio.get_running_loop().create_server(protocol, host, port, backlog=2048)
    except OSError as error:
        hint = "does a supervisor run already? otherwise choose another web.port"
        raise cannot_listen(host, port, error, hint=hint) from error
    bound = int(server.sockets[0].getsockname()[1])
    _log.info("web.started", host=host, port=bound)
    cut = 0
    try:
        task_status.started(bound)
        await anyio.sleep_forever()
    finally:
        closing: Closing = app.state.closing
        closing.close()
        with anyio.CancelScope(shield=True):
            cut = await _stop(server, state, grace=grace)
        _log.info("web.stopped", cut_off=cut)


async def _stop(server: asyncio.Server, state: ServerState, *, grace: float) -> int:
    """End everything; say how many requests had to be cut off."""
    server.close()
    for connection in list(state.connections):
        connection.shutdown()
    if state.tasks:
        await asyncio.wait(set(state.tasks), timeout=grace)
    late = set(state.tasks)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=_LAST_WORDS)
    for connection in list(state.connections):
        connection.transport.close()
    # One turn of the loop: the protocols hear that their connections are gone.
    await asyncio.sleep(0)
    return len(late)


def _logger() -> logging.Logger:
    """The protocol's logger without what is no error: a connection dropped on purpose."""
    logger = logging.Logger("uvicorn.error")
    logger.parent = logging.getLogger("uvicorn.error")
    logger.addFilter(_is_news)
    return logger


def _is_news(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, StreamLost | asyncio.CancelledError)
