"""One supervised child: its current run and what is known of the earlier ones."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import anyio

from supervisor.clock import Clock
from supervisor.supervision.crash import one_line
from supervisor.supervision.restart import ExitKind
from supervisor.supervision.spec import ChildSpec, RestartType

ChildState = Literal["starting", "running", "backing_off", "stopping", "stopped", "failed", "done"]


@dataclass(frozen=True, slots=True)
class ChildSnapshot:
    """What everybody may know of a child.

    Attributes:
        name: Its name.
        state: `backing_off` waits for a restart, `stopping` has been told to end, `stopped` was
            stopped on purpose, `failed` has used up its budget, `done` ended as it should.
        restart: When it is restarted.
        since: Moment it entered this state, in seconds of the supervisor's monotonic clock.
        restarts: Restarts so far, by the supervisor and by hand.
        last_error: The last crash in one line; empty when there was none.
        next_restart_in: Seconds until it starts again; None when no moment is set.
    """

    name: str
    state: ChildState
    restart: RestartType
    since: float
    restarts: int
    last_error: str
    next_restart_in: float | None


@dataclass(frozen=True, slots=True)
class Exit:
    """How one run ended; `error` is what it raised."""

    kind: ExitKind
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """One taking down of everything after `leader`, told apart from others by identity."""

    leader: str


class _ReadySignal:
    """The task status a child gets; unlike anyio's it may be called again, which does nothing."""

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._on_ready = on_ready
        self.called = False

    def started(self, value: None = None) -> None:
        if not self.called:
            self.called = True
            self._on_ready()


class Child:
    """A child's record, kept over all its runs.

    A *life* begins with `begin` and ends with `end`; it holds one task and as many runs as the
    restart budget allows. Only the supervisor that owns the child calls its methods.

    Attributes:
        spec: What it was made from.
        state: Where it stands.
        settled: Set once its present life is ready or its first run has ended.
        ended: Set while it has no task.
        claim: The taking down it waits to come back from, if it does.
        history: Moments of the restarts that count against its own budget.
        lock: Held by an operation done by hand, so that two do not mix.
    """

    def __init__(self, spec: ChildSpec, *, clock: Clock) -> None:
        self.spec = spec
        self.state: ChildState = "stopped"
        self.settled = anyio.Event()
        self.ended = anyio.Event()
        self.ended.set()
        self.scope = anyio.CancelScope(shield=True)
        self.claim: Claim | None = None
        self.history: tuple[float, ...] = ()
        self.lock = anyio.Lock()
        self.ever_ready = False
        self._clock = clock
        self._since = clock.monotonic()
        self._lives = 0
        self._runs = 0
        self._due: float | None = None
        self._last_error = ""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def alive(self) -> bool:
        """Whether it has a task."""
        return not self.ended.is_set()

    def take_down(self, claim: Claim) -> None:
        """Mark it to go down with a child before it, and to come back with that one.

        One that somebody stopped stays stopped; a temporary one does not come back; a transient
        one that is done does its work again, since what it worked on has started afresh.
        """
        again = self.state == "done" and self.spec.restart == "transient"
        lively = self.state in ("starting", "running", "backing_off")
        if self.spec.restart != "temporary" and (self.claim is not None or lively or again):
            self.claim = claim
            self.remember(f'went down with "{claim.leader}", which it comes after')
            if not self.alive:
                self.enter("backing_off")

    def taken_by(self, claim: Claim) -> bool:
        """Whether it is still to go down under a claim."""
        return self.claim is claim or self.spec.restart == "temporary"

    def release(self) -> None:
        """Forget a claim: somebody else decides about it now."""
        self.claim = None
        if not self.alive and self.state == "backing_off":
            self.enter("stopped")

    def begin(self) -> None:
        """Begin a life; the task is the supervisor's to spawn.

        The scope is shielded: a cancellation from outside reaches the supervisor, which then ends
        its children one after the other instead of all at once.
        """
        self.scope = anyio.CancelScope(shield=True)
        self.settled = anyio.Event()
        self.ended = anyio.Event()
        self.claim = None
        self.enter("starting")

    def end(self) -> None:
        """End a life: its task is over."""
        if self.state not in ("failed", "done"):
            self.enter("stopped" if self.claim is None else "backing_off")
        self.settled.set()
        self.ended.set()

    def cancel(self) -> None:
        """Tell a living child to end; the call does not wait for it."""
        if self.alive and not self.scope.cancel_called:
            self.enter("stopping")
            self.scope.cancel()

    def enter(self, state: ChildState, *, due: float | None = None) -> None:
        """Change the state.

        Args:
            state: The new one.
            due: Moment of the next start, in seconds of the clock, where one is set.
        """
        self.state = state
        self._due = due
        self._since = self._clock.monotonic()

    def remember(self, error: BaseException | str) -> None:
        """Keep an error for the snapshot."""
        self._last_error = error if isinstance(error, str) else one_line(error)

    def snapshot(self) -> ChildSnapshot:
        due = self._due
        return ChildSnapshot(
            name=self.name,
            state=self.state,
            restart=self.spec.restart,
            since=self._since,
            restarts=max(0, self._runs - 1),
            last_error=self._last_error,
            next_restart_in=None if due is None else max(0.0, due - self._clock.monotonic()),
        )

    async def run_once(self, on_ready: Callable[[], None]) -> Exit:
        """Run it to its end, once.

        Args:
            on_ready: Called when the child says that it is ready.
        """

        def ready() -> None:
            patience.deadline = math.inf
            self.ever_ready = True
            on_ready()

        self._runs += 1
        signal = _ReadySignal(ready)
        patience = anyio.CancelScope(deadline=anyio.current_time() + self.spec.start_timeout)
        with patience:
            error = await self._run(signal, patience)
            if error is not None:
                return Exit("crash", error)
        if patience.cancel_called and not signal.called:
            seconds = self.spec.start_timeout
            return Exit("crash", TimeoutError(f"not ready within start_timeout ({seconds:g} s)"))
        return Exit("normal")

    async def _run(self, signal: _ReadySignal, patience: anyio.CancelScope) -> BaseException | None:
        try:
            await self.spec.start(task_status=signal)
        except asyncio.CancelledError as stray:
            if self.scope.cancel_called or patience.cancel_called:
                raise
            # Nobody here asked for it: somebody cancelled a future or the task behind our back.
            # Passed on, it would end the child without a word; so it counts as a crash.
            task = asyncio.current_task()
            while task is not None and task.cancelling():
                task.uncancel()
            return stray
        except (Exception, SystemExit) as error:  # a child that calls sys.exit() has crashed
            return error
        return None
