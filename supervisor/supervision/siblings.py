"""The children of one run of a supervisor: here is everything about them that has to be awaited.

Each child has one task that tends it from its start to its last end. What happens to several
children at once is not guarded by a lock but by *claims*: a child that crashes under
`rest_for_one` claims those after it, and brings back only what nobody else, a person or a child
further up, has claimed since.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from supervisor.clock import Clock
from supervisor.errors import SupervisorError
from supervisor.supervision.child import Child, Claim, Exit
from supervisor.supervision.crash import one_line, sole_error, traceback_text
from supervisor.supervision.restart import Decision, Done, Restart, decide, recent
from supervisor.supervision.spec import ChildSpec, Policy

_log: structlog.stdlib.BoundLogger = structlog.get_logger("supervisor.supervision")

# An error with this note was logged, with its traceback, by the supervisor it happened in.
_LOGGED = "the traceback of its cause was logged with supervision.child_crashed"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a supervisor was told once and for all."""

    name: str
    policy: Policy
    clock: Clock
    luck: Callable[[], float]


class Siblings:
    """Children in start order, from the supervisor's start to its end.

    Args:
        specs: The children to begin with.
        setting: The supervisor's name, policy, clock and luck.
        group: Where the tasks live.

    Attributes:
        up: Set once the first children are ready, or the supervisor gives up.
        over: Set when the supervisor is to end.
        fatal: Why it is to end.
        closing: Whether it is stopping; nothing may start any more.
    """

    def __init__(self, specs: tuple[ChildSpec, ...], *, setting: Setting, group: TaskGroup) -> None:
        self.up = anyio.Event()
        self.over = anyio.Event()
        self.fatal: SupervisorError | None = None
        self.closing = False
        self._setting = setting
        self._policy = setting.policy
        self._group = group
        # A child started from within a web request must not inherit that request's context.
        self._context = contextvars.copy_context()
        self._children = [Child(spec, clock=setting.clock) for spec in specs]
        self._history: tuple[float, ...] = ()
        self._reviving: set[Claim] = set()
        self._log = _log.bind(supervisor=setting.name)

    def __iter__(self) -> Iterator[Child]:
        return iter(tuple(self._children))

    def start(self) -> None:
        """Start the first children; `up` tells when they are ready."""
        first = Claim("")
        for child in self._children:
            child.claim = first
        self._revive(first)

    def add(self, spec: ChildSpec) -> Child:
        """Put a child after the others."""
        child = Child(spec, clock=self._setting.clock)
        self._children.append(child)
        return child

    def remove(self, child: Child) -> None:
        """Forget a child that has ended; what waited for it need not wait any longer."""
        self._children.remove(child)
        self._revive_after(child)

    def begin(self, child: Child) -> None:
        """Give a child that has none a task."""
        child.begin()
        self._spawn(partial(self._tend, child), name=child.name)

    async def stop(self, child: Child) -> None:
        """Cancel a child and wait for its end; report one that takes too long."""
        child.cancel()
        with anyio.move_on_after(child.spec.shutdown):
            await child.ended.wait()
            return
        seconds = child.spec.shutdown
        child.remember(f"has not ended {seconds:g} s after it was cancelled")
        self._log.error("supervision.child_stuck", child=child.name, seconds=seconds)

    async def shut_down(self) -> None:
        """Stop all, the last first; each is given its `shutdown` seconds."""
        self.closing = True
        try:
            with anyio.CancelScope(shield=True):
                for child in self:
                    child.release()
                    if child.state == "backing_off":
                        child.cancel()
                for child in reversed(tuple(self)):
                    if child.alive:
                        await self.stop(child)
        finally:
            # Also after a second Ctrl-C: the children are shielded, nobody else would end them.
            for child in self:
                child.cancel()
            self._group.cancel_scope.cancel()

    def _spawn(self, task: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        full = f"{self._setting.name}/{name}"
        self._context.copy().run(lambda: self._group.start_soon(task, name=full))

    async def _tend(self, child: Child) -> None:
        """Be the one task of a child's life."""
        try:
            with child.scope:
                going_on = True
                while going_on:
                    exit_ = await child.run_once(partial(self._on_ready, child))
                    going_on = await self._on_exit(child, exit_)
        finally:
            child.end()
            if child.state == "stopped":
                self._log.info("supervision.child_stopped", child=child.name)

    def _on_ready(self, child: Child) -> None:
        if not child.scope.cancel_called:
            child.enter("running")
        child.settled.set()
        self._log.info("supervision.child_started", child=child.name)
        self._revive_after(child)

    async def _on_exit(self, child: Child, exit_: Exit) -> bool:
        """Carry out what is decided about a run's end; say whether to run again."""
        if exit_.error is not None:
            self._report_crash(child, exit_.error)
        if child.scope.cancel_called or self.closing:
            return False
        if exit_.error is not None and self._must_come_up(child):
            child.enter("failed")
            self._give_up(child, self._start_error(child, exit_.error))
            return False
        now = self._setting.clock.monotonic()
        decision = self._decide(child, exit_, now)
        if isinstance(decision, Restart):
            await self._wait_for_restart(child, now, decision.delay)
            return True
        if isinstance(decision, Done):
            self._on_done(child)
        else:
            self._on_exhausted(child, exit_)
        return False

    def _decide(self, child: Child, exit_: Exit, now: float) -> Decision:
        own = self._policy.on_exhausted == "fail_child"
        earlier = child.history if own else self._history
        decision = decide(
            exit_.kind,
            child.spec.restart,
            earlier=earlier,
            now=now,
            policy=self._policy,
            luck=self._setting.luck(),
        )
        if isinstance(decision, Restart):
            history = (*recent(earlier, now=now, budget=self._policy.budget), now)
            if own:
                child.history = history
            else:
                self._history = history
        return decision

    def _on_done(self, child: Child) -> None:
        child.enter("done")
        self._log.info("supervision.child_done", child=child.name)
        self._revive_after(child)

    def _on_exhausted(self, child: Child, exit_: Exit) -> None:
        child.enter("failed")
        budget = self._policy.budget
        last = "it returned, though permanent" if exit_.error is None else one_line(exit_.error)
        text = (
            f'child "{child.name}" of supervisor {self._setting.name} needs more than '
            f"{budget.max_restarts} restarts in {budget.period:g} s; its last end: {last}"
        )
        self._log.error("supervision.child_failed", child=child.name, error=text)
        if self._policy.on_exhausted == "escalate":
            error = SupervisorError(text)
            error.__cause__ = exit_.error
            self._give_up(child, error)

    async def _wait_for_restart(self, child: Child, now: float, delay: float) -> None:
        due = now + delay
        child.enter("backing_off", due=due)
        self._log.warning("supervision.child_restarting", child=child.name, delay=round(delay, 3))
        if self._policy.strategy == "rest_for_one":
            await self._take_down_after(child)
        child.settled.set()
        await anyio.sleep(max(0.0, due - self._setting.clock.monotonic()))
        child.enter("starting")

    async def _take_down_after(self, leader: Child) -> None:
        claim = Claim(leader.name)
        rest = self._children[self._children.index(leader) + 1 :]
        for child in rest:
            child.take_down(claim)
        for child in reversed(rest):
            # Whoever took one over in the meantime, a person or a child further up, decides.
            if child.alive and child.taken_by(claim):
                await self.stop(child)

    def _revive_after(self, leader: Child) -> None:
        claims = {child.claim for child in self._children}
        for claim in claims:
            if claim is not None and claim.leader == leader.name:
                self._revive(claim)

    def _revive(self, claim: Claim) -> None:
        # Two tasks for one claim would not wait for each other and mix the order up.
        if claim not in self._reviving:
            self._reviving.add(claim)
            self._spawn(partial(self._bring_up, claim), name="bring up")

    async def _bring_up(self, claim: Claim) -> None:
        """Start, in order, what waits under a claim."""
        await self._finish_taking_down(claim)
        begun: list[Child] = []
        for child in self:
            if child.claim is claim:
                await child.ended.wait()  # one that does not end must not get a second beside it
            if child.claim is claim and not child.alive:
                self.begin(child)
                begun.append(child)
                if self._policy.on_exhausted == "escalate":
                    await child.settled.wait()
        for child in begun:
            await child.settled.wait()
        self._reviving.discard(claim)
        if all(child.claim is None for child in self._children):
            self.up.set()

    async def _finish_taking_down(self, claim: Claim) -> None:
        # A leader restarted by hand while it took them down left some of them running.
        for child in reversed(tuple(self)):
            if child.claim is claim and child.alive:
                await self.stop(child)

    def _must_come_up(self, child: Child) -> bool:
        """Whether a crash means that the supervisor's own start has failed."""
        starting = not self.up.is_set() and not child.ever_ready
        return starting and self._policy.on_exhausted == "escalate"

    def _start_error(self, child: Child, error: BaseException) -> SupervisorError:
        sole = sole_error(error)
        if isinstance(sole, SupervisorError):
            return sole  # says itself what happened and what to do
        text = f'child "{child.name}" of supervisor {self._setting.name} could not start'
        wrapped = SupervisorError(f"{text}: {one_line(error)}")
        wrapped.__cause__ = error
        return wrapped

    def _give_up(self, child: Child, error: SupervisorError) -> None:
        if self.fatal is None:
            self._log.error("supervision.escalated", child=child.name, error=str(error))
            error.add_note(_LOGGED)
            self.fatal = error
        self.over.set()
        self.up.set()

    def _report_crash(self, child: Child, error: BaseException) -> None:
        child.remember(error)
        # One that was raised on purpose explains itself; one that rose from below was logged there.
        sole = sole_error(error)
        known = isinstance(sole, SupervisorError) and sole.__cause__ is None
        logged = _LOGGED in getattr(sole, "__notes__", ())
        told = {} if known or logged else {"exception": traceback_text(error)}
        self._log.error(
            "supervision.child_crashed", child=child.name, error=one_line(error), **told
        )
