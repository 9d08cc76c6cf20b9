"""The supervisor as its users see it: run it, ask how the children are, act on one by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from supervisor.clock import Clock, SystemClock
from supervisor.errors import SupervisorError
from supervisor.supervision.child import Child, ChildSnapshot
from supervisor.supervision.siblings import Setting, Siblings
from supervisor.supervision.spec import ChildSpec, Policy, Strategy, require_unique


@dataclass(frozen=True, slots=True)
class SupervisorSnapshot:
    """A supervisor and its children, in start order; no children while it does not run."""

    name: str
    strategy: Strategy
    children: tuple[ChildSnapshot, ...]


class Supervisor:
    """Runs children and restarts them; its `run` is itself something a `ChildSpec` can start.

    Args:
        name: For logs and errors.
        children: What to start, in this order; stopped in the opposite one.
        policy: Strategy, restart budget, back-off, and what an exhausted budget means.
        clock: Monotonic time for budgets and snapshots.
        luck: Gives random numbers from 0 to 1, for the jitter.

    Raises:
        ConfigError: Two children have one name.
    """

    def __init__(
        self,
        name: str,
        children: Sequence[ChildSpec] = (),
        *,
        policy: Policy | None = None,
        clock: Clock | None = None,
        luck: Callable[[], float] = random.random,
    ) -> None:
        require_unique(children)
        self._specs = tuple(children)
        self._setting = Setting(name, policy or Policy(), clock or SystemClock(), luck)
        self._siblings: Siblings | None = None

    def __repr__(self) -> str:
        states = ", ".join(f"{child.name} {child.state}" for child in self._siblings or ())
        return f"<Supervisor {self._setting.name}: {states or 'not running'}>"

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start the children and keep them, until cancelled or until the budget is exhausted.

        Every task has ended when this returns. Run again, it begins with the children it was
        made with; those added later are forgotten.

        Args:
            task_status: Told once every child is ready (or, with `fail_child`, has tried once).

        Raises:
            SupervisorError: With `escalate`, a child could not start, or the restart budget is
                exhausted. An error of this tree that kept a child from starting comes out as it is.
        """
        if self._siblings is not None:
            raise SupervisorError(f"supervisor {self._setting.name} runs already")
        fatal: SupervisorError | None = None
        try:
            async with anyio.create_task_group() as group:
                siblings = Siblings(self._specs, setting=self._setting, group=group)
                self._siblings = siblings
                try:
                    siblings.start()
                    await siblings.up.wait()
                    if siblings.fatal is None:
                        task_status.started()
                    await siblings.over.wait()
                finally:
                    await siblings.shut_down()
                    fatal = siblings.fatal
        finally:
            self._siblings = None
        if fatal is not None:  # pragma: no branch - nothing else lets it get here
            raise fatal

    def snapshot(self) -> SupervisorSnapshot:
        """The supervisor and its children as they are now."""
        setting = self._setting
        return SupervisorSnapshot(setting.name, setting.policy.strategy, self.which_children())

    def which_children(self) -> tuple[ChildSnapshot, ...]:
        """The children as they are now, in start order."""
        return tuple(child.snapshot() for child in self._siblings or ())

    async def start_child(self, spec: ChildSpec) -> ChildSnapshot:
        """Add a child after the others and wait until it is ready or its first run has ended.

        Args:
            spec: The child.

        Returns:
            How it stands then: `running`, or `backing_off`, `failed`, `done` …

        Raises:
            SupervisorError: The name is taken, or the supervisor does not run.
        """
        siblings = self._running()
        if any(child.name == spec.name for child in siblings):
            raise SupervisorError(
                f'supervisor {self._setting.name} already has a child "{spec.name}"',
                hint="restart_child, or delete_child first",
            )
        child = siblings.add(spec)
        siblings.begin(child)
        await child.settled.wait()
        return child.snapshot()

    async def terminate_child(self, name: str) -> ChildSnapshot:
        """Stop a child and keep its spec; it stays down until restarted by hand.

        Args:
            name: The child.

        Returns:
            `stopped`; or `stopping`, if it has not ended within its `shutdown` seconds.

        Raises:
            SupervisorError: No such child, or the supervisor does not run.
        """
        siblings = self._running()
        child = self._child(siblings, name)
        async with child.lock:
            child.release()
            if child.alive:
                await siblings.stop(child)
            else:
                child.enter("stopped")
        return child.snapshot()

    async def restart_child(self, name: str) -> ChildSnapshot:
        """Start a child again by hand, with a fresh budget; a living one is stopped first.

        Args:
            name: The child.

        Returns:
            How it stands once it is ready or its first run has ended.

        Raises:
            SupervisorError: No such child, it does not end, or the supervisor does not run.
        """
        siblings = self._running()
        child = self._child(siblings, name)
        async with child.lock:
            child.release()
            if child.alive:
                await siblings.stop(child)
            _require_ended(child)
            # While we waited the supervisor may have been stopped, or the child deleted.
            siblings = self._running()
            child = self._child(siblings, name)
            child.history = ()
            siblings.begin(child)
        await child.settled.wait()
        return child.snapshot()

    async def delete_child(self, name: str) -> None:
        """Forget a child that has ended.

        Args:
            name: The child.

        Raises:
            SupervisorError: No such child, it has not ended, or the supervisor does not run.
        """
        siblings = self._running()
        child = self._child(siblings, name)
        async with child.lock:
            if child.alive:
                raise SupervisorError(
                    f'child "{name}" is {child.state}, expected it to have ended',
                    hint="terminate_child first",
                )
            siblings.remove(child)

    def _running(self) -> Siblings:
        if self._siblings is None or self._siblings.closing:
            raise SupervisorError(f"supervisor {self._setting.name} does not run")
        return self._siblings

    def _child(self, siblings: Siblings, name: str) -> Child:
        for child in siblings:
            if child.name == name:
                return child
        names = ", ".join(child.name for child in siblings) or "none"
        raise SupervisorError(
            f'supervisor {self._setting.name} has no child "{name}"', hint=f"it has: {names}"
        )


def _require_ended(child: Child) -> None:
    if child.alive:
        raise SupervisorError(
            f'child "{child.name}" has not ended {child.spec.shutdown:g} s after it was cancelled',
            hint="it resists cancellation; a second one beside it could do harm",
        )
