"""The simulator on a real socket: inside another program, or as one of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import uvicorn
from anyio import lowlevel, to_thread
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog import get_logger
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from supervisor.clock import Clock, SystemClock
from supervisor.listening import cannot_listen
from supervisor.simulator.app import app_of
from supervisor.simulator.judge import Judge
from supervisor.simulator.script import read_script
from supervisor.simulator.settings import Settings
from supervisor.simulator.simulation import Simulation
from supervisor.simulator.wire import HANG_UP

_log = get_logger("supervisor.simulator")


@dataclass(frozen=True, slots=True)
class Served:
    """A simulator that is listening.

    Attributes:
        base_url: What a client is given, such as `http://127.0.0.1:8000/v1`.
        port: The port it listens on.
        simulation: Its state: settings, report, reset.
    """

    base_url: str
    port: int
    simulation: Simulation

    @property
    def judge(self) -> Judge:
        """The judge that watches it."""
        return self.simulation.judge


@asynccontextmanager
async def serve(
    settings: Settings, *, host: str = "127.0.0.1", port: int = 0, clock: Clock | None = None
) -> AsyncGenerator[Served]:
    """Run the simulator inside this event loop for as long as the block lasts.

    Leaving the block ends every connection at once.

    Args:
        settings: How it behaves.
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.
        clock: Where arrival times come from; the machine's clocks by default.

    Raises:
        ConfigError: The address cannot be listened on, or the scripted answers are wrong.
    """
    path = settings.answers
    rules = await to_thread.run_sync(read_script, path) if path is not None else ()
    simulation = Simulation(settings, clock or SystemClock(), rules)
    # uvicorn's Server looks twice a second whether it is to stop and takes over the signals.
    # Here only its protocol is wanted.
    config = uvicorn.Config(
        _without_cancellation(app_of(simulation)),
        http=_Protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=60,
    )
    config.load()
    state = ServerState()

    def protocol() -> _Protocol:
        return _Protocol(config, state, {})

    try:
        server = await asyncio.get_running_loop().create_server(protocol, host, port, backlog=2048)
    except OSError as exc:
        hint = "choose another port for the simulator, or 0 for any that is free"
        raise cannot_listen(host, port, exc, hint=hint) from exc
    bound = int(server.sockets[0].getsockname()[1])
    _log.info("simulator.started", host=host, port=bound)
    try:
        yield Served(f"http://{_bracketed(host)}:{bound}/v1", bound, simulation)
    finally:
        await _stop(server, state)
        _log.info("simulator.stopped", attempts=simulation.judge.report().attempts)


async def run(settings: Settings, host: str = "127.0.0.1", port: int = 0) -> None:
    """Run the simulator as a program, until SIGINT or SIGTERM.

    Writes one line with the base URL to stderr when it is ready, and the report as JSON to stdout
    when it ends.

    Args:
        settings: How it behaves.
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.

    Raises:
        ConfigError: The address cannot be listened on, or the scripted answers are wrong.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with serve(settings, host=host, port=port) as served:
            print(served.base_url, file=sys.stderr, flush=True)
            async for _ in signals:
                break
        print(json.dumps(served.simulation.report(), indent=2), flush=True)


class _Protocol(HttpToolsProtocol):
    """Lends the application a way to end its connection in the middle of an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {HANG_UP: {"end": self.transport.abort}}


def _without_cancellation(app: ASGIApp) -> ASGIApp:
    """The application, ended silently when the server stops: uvicorn logs it as an error."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            # The connection is gone already and the task ends here; nobody waits for more.
            return

    return wrapped


async def _stop(server: asyncio.Server, state: ServerState) -> None:
    with anyio.CancelScope(shield=True):
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        # One turn of the loop: the protocols hear that their connections are gone.
        await lowlevel.checkpoint()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
