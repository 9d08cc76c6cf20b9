"""THE composition root: settings become objects, objects become one supervision tree."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import structlog
from anyio.abc import TaskStatus

from supervisor.broker.broker import Broker
from supervisor.broker.settings import BrokerSettings
from supervisor.clock import SystemClock
from supervisor.config.key import NAMES
from supervisor.config.schedule import named
from supervisor.config.settings import CHAT, Settings
from supervisor.errors import StoreError
from supervisor.jobs.schedules import Schedules
from supervisor.ledger.ledger import Ledger
from supervisor.ledger.owner import Ownership, SqliteOwnership
from supervisor.ledger.prices import KNOWN, Price, Prices
from supervisor.ledger.rows import KEPT
from supervisor.ledger.sqlite import SqliteLedger
from supervisor.logs import configure, redact_crashes
from supervisor.memory.memory import Memory
from supervisor.messages import Priority, TrafficClass
from supervisor.private import forget_variables, keep_private
from supervisor.stats import Stats
from supervisor.stop import StopSignals
from supervisor.supervision.blocking import Frame
from supervisor.supervision.spec import ChildSpec, Policy
from supervisor.supervision.supervisor import Supervisor
from supervisor.supervision.watchdog import Watch, Watchdog
from supervisor.team.team import Desk, Stores, Team
from supervisor.tenure import Tenure
from supervisor.upstream.client import Upstream
from supervisor.upstream.key import Key
from supervisor.upstream.rotation import InUse, Rotation, ask_free_endpoint
from supervisor.web.app import create_app
from supervisor.web.hub import Hub
from supervisor.web.presence import Presence
from supervisor.web.server import serve
from supervisor.web.version import version
from supervisor.workspace.sandbox import LocalSandbox

_log = structlog.get_logger("supervisor.app")

_DRAIN = 20.0
"""Seconds for which answers under way may still come after SIGTERM; see docs/deploy.md."""
_LAST_WORDS = 2.0
"""Seconds that the web server still gives after that."""
_SIMULATED_KEY = "xai-simulated"
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Api:
    """Where requests go.

    Attributes:
        base_url: The API.
        in_use: The key that is sent along.
    """

    base_url: str
    in_use: InUse


class House:
    """Everything in one process.

    Args:
        settings: All settings.
        api: Where requests go.
        simulated: Whether that is the simulator; its jobs are kept apart from real ones.
        stopped: Waits until the process is asked to stop, and says by what.
    """

    def __init__(
        self,
        settings: Settings,
        api: Api,
        *,
        simulated: bool,
        stopped: Callable[[], Awaitable[str]],
    ) -> None:
        self._stopped = stopped
        clock = SystemClock()
        self._clock = clock
        self._settings = settings
        self._started = clock.monotonic()
        self._state = "starting"
        self.port = settings.web.port
        self._upstream = Upstream(
            api.base_url,
            api.in_use.key,
            timeout=settings.upstream.timeout,
            connect_timeout=settings.upstream.connect_timeout,
            longest=settings.upstream.longest_answer,
        )
        quota = settings.quota
        ledger, owner = _ledger(settings, simulated=simulated)
        self._ledger = ledger
        self.tenure = Tenure(owner, settings.web, takeover=quota.takeover, stopped=stopped)
        self.broker = Broker(
            BrokerSettings(
                quota.in_force,
                quota.jitter,
                settings.upstream.max_retries,
                patience=settings.upstream.patience,
                budgets=settings.budget.total,
                prices=_prices(settings),
            ),
            upstream=self._upstream,
            ledger=ledger,
            clock=clock,
        )
        self.keys = Rotation(
            api.in_use,
            attempt=partial(ask_free_endpoint, api.base_url),
            clock=clock,
            on_change=self.broker.key_changed,
        )
        self._add_clients()
        jobs_url, states = _jobs_store(settings, simulated=simulated)
        self._memory = Memory(
            _file(settings, simulated=simulated, what="-memory"),
            clock=clock,
            folders=settings.memory.folders,
            sweep=settings.memory.sweep,
        )
        self.team = Team(
            settings,
            broker=self.broker,
            clock=clock,
            stats=self._stats,
            stores=Stores(jobs_url, states, self._memory),
            sandbox=_sandbox(settings, states),
        )
        desk = Desk(self.team)
        self._schedules = Schedules(
            named(settings.schedule), desk=desk, timetable=self.team.jobs.timetable, clock=clock
        )
        self._watchdog = Watchdog(
            Watch(folders=(settings.roles.directory.absolute(),), culprit=self._culprit)
        )
        self.hub = Hub(
            settings=settings,
            broker=self.broker,
            keys=self.keys,
            jobs=desk,
            schedules=self._schedules,
            team=self.team,
            ledger=ledger,
            memory=self._memory,
            presence=Presence(self._attend, clock=clock),
            clock=clock,
            started=self._started,
            ready=lambda: self._state or self.broker.held,
            classes=self.broker.names,
            models=lambda: self._upstream.get("/models"),
            version=version(),
        )

    async def hear(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take SIGHUP for a call to look for a new key, from the start to the end."""
        if sys.platform == "win32":
            task_status.started()
            return
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            # What came before is heard now.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
            task_status.started()
            async for _ in signals:
                if _terminal_is_gone():
                    # Every word to it would fail from now on: end in good order instead.
                    os.kill(os.getpid(), signal.SIGTERM)
                else:
                    self.keys.call("SIGHUP")

    async def aclose(self) -> None:
        """Let go of the key and of the connections to the API."""
        with anyio.CancelScope(shield=True):
            await self._upstream.aclose()
            await self.tenure.end()

    def tree(self) -> Supervisor:
        """The supervision tree; whoever comes later depends on those before."""
        children = (
            ChildSpec("ledger", self._ledger.run),
            ChildSpec("broker", self.broker.run),
            ChildSpec("keys", self.keys.run),
            ChildSpec("roles", self.team.run, shutdown=15.0),
            ChildSpec("jobs", self.team.jobs.run, shutdown=15.0),
            ChildSpec("schedule", self._schedules.run),
            ChildSpec("web", self._serve, shutdown=15.0),
            ChildSpec("reload", self.team.watch),
            ChildSpec("watchdog", self._watchdog.run),
            ChildSpec("memory", self._memory.run),
            # Nothing depends on it, so its crash restarts it alone.
            *self._ssh(),
        )
        return Supervisor("supervisor", children, policy=Policy(strategy="rest_for_one"))

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until SIGTERM or SIGINT, or until another process owns the key; then drain.

        Raises:
            SupervisorError: It could not start, something essential kept crashing, or the key is
                another process's now.
        """
        ousted = False
        await self.team.load()
        self._attend(present=False)
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.tree().run)
            # A full collection of all that was imported takes 50 ms and more, in which every
            # grant would go stale. What is here now stays: leave it out from now on.
            gc.collect()
            gc.freeze()
            self._state = ""
            _log.info("app.ready", seconds=round(self._age(), 3), port=self.port)
            task_status.started()
            with anyio.CancelScope() as waiting:
                tasks.start_soon(self._watch_lock, waiting)
                _log.info("app.stopping", signal=await self._stopped())
            ousted = waiting.cancelled_caught
            self._state = "the process is stopping"
            await self.broker.drain(_DRAIN)
            tasks.cancel_scope.cancel()
        _log.info("app.stopped")
        if ousted:
            raise StoreError(
                "another process owns the key now: the lock in the store was lost and it took it",
                hint="this one has ended; started again it waits until the other has gone",
            )

    async def _watch_lock(self, waiting: anyio.CancelScope) -> None:
        await self.tenure.keep(self.broker)
        waiting.cancel()

    async def _serve(self, *, task_status: TaskStatus[None]) -> None:
        app, web = create_app(self.hub), self._settings.web
        async with anyio.create_task_group() as tasks:
            start = partial(serve, app, web.host, web.port, grace=_LAST_WORDS)
            self.port = await tasks.start(start)
            tasks.start_soon(app.state.live.run)
            tasks.start_soon(self.hub.presence.run)
            task_status.started()

    def _ssh(self) -> tuple[ChildSpec, ...]:
        """The SSH door, where it is set up."""
        if self._settings.ssh.authorized_keys is None:
            return ()
        # asyncssh, prompt_toolkit and rich: only this needs them.
        from supervisor.terminal.ssh_chat import serve_chat  # noqa: PLC0415

        return (ChildSpec("ssh", partial(serve_chat, self._settings, port=lambda: self.port)),)

    def _add_clients(self) -> None:
        self.broker.set_class(TrafficClass("gateway", priority=Priority.MEDIUM))
        for name in self._settings.clients:
            self.broker.set_class(self._settings.traffic_class(name, "client"))
        self.broker.set_class(self._settings.chat_class(taken=0.0, present=False))

    def _attend(self, present: bool) -> None:  # noqa: FBT001 - called back with nothing else
        """Hold back what does not fit while somebody sits at a terminal, and only then."""
        if CHAT.name in self.team.names():
            return
        classes = self.broker.snapshot().classes
        taken = sum(one.share for one in classes if one.name != CHAT.name)
        self.broker.set_class(self._settings.chat_class(taken=taken, present=present))

    def _stats(self) -> Stats:
        return {
            "broker": asdict(self.broker.snapshot()),
            "team": asdict(self.team.snapshot()),
            "jobs": asdict(self.team.jobs.snapshot()),
        }

    def _culprit(self, stack: Sequence[Frame]) -> str:
        """The role whose file lies innermost in a stack."""
        for frame in reversed(stack):
            for name, member in self.team.names().items():
                path = member.loaded.path
                file = Path(frame.file)
                if file == path or path in file.parents:
                    return name
        return ""

    def _age(self) -> float:
        return self._clock.monotonic() - self._started


def _ledger(settings: Settings, *, simulated: bool) -> tuple[Ledger, Ownership]:
    """Where attempts are written down, and the lock beside them."""
    quota, url = settings.quota, settings.store.url
    longest = max((limit.period for limit in quota.in_force), default=0.0) + quota.jitter
    kept = max(longest, KEPT)
    if not url.startswith(_SQLITE):
        # psycopg: only who has such a server needs it.
        from supervisor.ledger.postgresql import PostgresqlLedger  # noqa: PLC0415
        from supervisor.ledger.postgresql_owner import PostgresqlOwnership  # noqa: PLC0415

        return PostgresqlLedger(url, kept=kept), PostgresqlOwnership(url)
    owner = SqliteOwnership(_file(settings, simulated=simulated, what="-owner"))
    file = _file(settings, simulated=simulated)
    return SqliteLedger(file, kept=kept, alone=owner.alone), owner


def _prices(settings: Settings) -> Prices:
    """What models cost where the API does not say it."""
    configured = {
        model: Price(
            one.input,
            one.input if one.cached is None else one.cached,
            one.output,
            one.double_from or None,
        )
        for model, one in settings.prices.items()
        # What lacks one of these was refused when the settings were loaded.
        if one.input is not None and one.output is not None
    }
    return Prices({**KNOWN, **configured})


def _sandbox(settings: Settings, states: Path) -> LocalSandbox:
    """Where roles run commands: they see neither the stores nor what may hold a key."""
    hidden = (*settings.key_source.files, states.absolute().parent)
    return LocalSandbox(settings.sandbox.level, network=settings.sandbox.network, hidden=hidden)


def _file(settings: Settings, *, simulated: bool, what: str = "") -> Path:
    """A file of the store; what is simulated has its own."""
    return settings.store.file(what, simulated=simulated)


def _jobs_store(settings: Settings, *, simulated: bool) -> tuple[str, Path]:
    """Where jobs and the roles' memory are kept: a file beside the ledger's, or the same server."""
    if not settings.store.url.startswith(_SQLITE):
        return settings.store.url, Path("data/state")
    jobs = _file(settings, simulated=simulated, what="-jobs")
    return f"{_SQLITE}{jobs}", _file(settings, simulated=simulated, what="-state").with_suffix("")


@asynccontextmanager
async def _simulated(settings: Settings) -> AsyncGenerator[str]:
    """A simulated API inside this process, with the key's limits unless told otherwise."""
    from supervisor.simulator.server import serve as serve_simulator  # noqa: PLC0415 - optional
    from supervisor.simulator.settings import (  # noqa: PLC0415 - optional
        Settings as SimulatorSettings,
    )

    table: dict[str, Any] = {
        "limits": [str(limit) for limit in settings.quota.limits],
        "latency": "300ms",
        "jitter": "700ms",
        "chunk_delay": "20ms",
        **settings.simulator,
    }
    async with serve_simulator(SimulatorSettings.read(table)) as served:
        yield served.base_url


async def run_house(settings: Settings, in_use: InUse) -> None:
    """Run everything until a signal comes.

    Args:
        settings: All settings.
        in_use: The key; one without a source is for the simulated API.

    Raises:
        SupervisorError: It could not start, or something essential kept crashing.
    """
    stop = StopSignals()
    try:
        async with _api(settings, in_use) as api:
            house = House(settings, api, simulated=in_use.source is None, stopped=stop.wait)
            await _run(house)
    finally:
        stop.ignore()


@asynccontextmanager
async def _api(settings: Settings, in_use: InUse) -> AsyncGenerator[Api]:
    """The configured API, or the simulated one where the key has no source."""
    if in_use.source is not None:
        yield Api(settings.upstream.base_url, in_use)
        return
    async with _simulated(settings) as base_url:
        yield Api(base_url, in_use)


async def _run(house: House) -> None:
    async with anyio.create_task_group() as tasks:
        await tasks.start(house.hear)
        try:
            if await house.tenure.begin():
                await _be_owner(house)
        finally:
            await house.aclose()
        tasks.cancel_scope.cancel()


async def _be_owner(house: House) -> None:
    async with anyio.create_task_group() as tasks:
        await tasks.start(house.run)
        host = house.hub.settings.web.host
        base = f"http://{host}:{house.port}"
        print(
            f"ready: {base}  (health {base}/health, gateway {base}/v1; stop with Ctrl-C)",
            file=sys.stderr,
            flush=True,
        )


def run(settings: Settings, *, simulate: bool = False) -> int:
    """Run the supervisor in this process until SIGTERM or SIGINT.

    Args:
        settings: All settings.
        simulate: Use a simulated API instead of the configured one.

    Returns:
        The exit code.

    Raises:
        ConfigError: Something is configured wrong.
        SupervisorError: Something essential kept crashing.
    """
    keep_private()
    in_use = _simulated_key(settings) if simulate else _read_key(settings)
    configure(settings.log.level, settings.log.format, redact=in_use.key.redact)
    redact_crashes(in_use.key.redact)
    # From here on roles run, and start programs: none of them is to find it.
    forget_variables(NAMES)
    options = {"use_uvloop": sys.platform != "win32"}
    try:
        anyio.run(run_house, settings, in_use, backend_options=options)
    except BaseExceptionGroup as group:
        raise _innermost(group) from group
    return 0


def _read_key(settings: Settings) -> InUse:
    source = settings.key_source
    seen = source.look()
    found = source.read()
    if found.warning:
        print(f"warning: {found.warning}", file=sys.stderr, flush=True)
    return InUse(Key(found.secret.get_secret_value()), found.origin, source, seen)


def _simulated_key(settings: Settings) -> InUse:
    """What the simulated API takes; a real key that lies about stays hidden all the same."""
    key = Key(_SIMULATED_KEY)
    for secret in settings.key_source.variables.values():
        key.hide(secret)
    return InUse(key, "the simulated API")


def _terminal_is_gone() -> bool:
    """Whether what we write goes to a terminal that has been closed."""
    import termios  # noqa: PLC0415 - not everywhere

    try:
        termios.tcgetattr(2)
    except termios.error as error:
        # What never was a terminal says ENOTTY.
        return bool(error.args[0] == errno.EIO)
    return False


def _innermost(error: BaseException) -> BaseException:
    """The error itself, out of the groups that task groups wrap around it."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _innermost(group.exceptions[0])
    return error
