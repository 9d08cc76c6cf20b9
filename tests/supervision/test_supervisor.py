"""Supervisors in virtual time: who is restarted, when, in what order, and what is seen of it."""

from __future__ import annotations

import asyncio
import contextvars
import math
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus
from structlog.testing import capture_logs

from supervisor.clock import LoopClock
from supervisor.errors import ConfigError, SupervisorError
from supervisor.supervision.spec import Backoff, ChildSpec, Policy, RestartBudget
from supervisor.supervision.supervisor import Supervisor

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual")]

FAIL = Policy(on_exhausted="fail_child")
REST = Policy(strategy="rest_for_one")


class Part:
    """A child that writes down what happens to it and crashes when told to.

    Args:
        name: Its name in the diary.
        diary: Where it writes.
        boot: Seconds it needs to become ready.
        farewell: Seconds it needs to end.
    """

    def __init__(
        self, name: str, diary: list[str], *, boot: float = 0, farewell: float = 0
    ) -> None:
        """Not started yet."""
        self.name = name
        self.diary = diary
        self.boot = boot
        self.farewell = farewell
        self.fate = anyio.Event()
        self.error: BaseException | None = None

    async def start(self, *, task_status: TaskStatus[None]) -> None:
        """Be the child."""
        self.fate = anyio.Event()
        self.diary.append(f"+{self.name}")
        try:
            await anyio.sleep(self.boot)
            task_status.started()
            await self.fate.wait()
            if self.error is not None:
                raise self.error
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.farewell)
            self.diary.append(f"-{self.name}")

    def crash(self, error: BaseException | None = None) -> None:
        """Crash, now."""
        self.error = error or RuntimeError("boom")
        self.fate.set()

    def finish(self) -> None:
        """End well, now."""
        self.error = None
        self.fate.set()

    def spec(self, **fields: Any) -> ChildSpec:
        """Its spec."""
        return ChildSpec(self.name, self.start, **fields)


def parts(names: str, diary: list[str]) -> list[Part]:
    """One part for each letter."""
    return [Part(name, diary) for name in names]


def make(specs: Sequence[ChildSpec], policy: Policy | None = None) -> Supervisor:
    """A supervisor in virtual time whose back-off knows no chance."""
    return Supervisor("top", specs, policy=policy, clock=LoopClock(), luck=lambda: 0.0)


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncGenerator[Supervisor]:
    """Run a supervisor for the length of a block; nothing may be left of it afterwards."""
    before = asyncio.all_tasks()
    async with anyio.create_task_group() as group:
        await group.start(supervisor.run)
        yield supervisor
        group.cancel_scope.cancel()
    assert asyncio.all_tasks() <= before


def states(supervisor: Supervisor) -> dict[str, str]:
    """The children's states by name."""
    return {child.name: child.state for child in supervisor.which_children()}


async def test_children_start_in_order_and_stop_in_reverse() -> None:
    """Each child is ready before the next one starts, and ends before the one before it."""
    diary: list[str] = []
    a, b, c = (Part(name, diary, boot=1, farewell=1) for name in "abc")
    async with running(make([a.spec(), b.spec(), c.spec()])) as supervisor:
        assert anyio.current_time() == pytest.approx(3, abs=0.01)
        assert states(supervisor) == dict.fromkeys("abc", "running")
    assert diary == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_one_for_one_restarts_only_the_one_that_crashed() -> None:
    """Under one_for_one the siblings of a crashed child notice nothing."""
    diary: list[str] = []
    a, b, c = parts("abc", diary)
    async with running(make([a.spec(), b.spec(), c.spec()])) as supervisor:
        b.crash()
        await anyio.sleep(0.1)
        assert states(supervisor) == {"a": "running", "b": "backing_off", "c": "running"}
        await anyio.sleep(0.5)
        assert states(supervisor) == dict.fromkeys("abc", "running")
        assert diary == ["+a", "+b", "+c", "-b", "+b"]


async def test_rest_for_one_restarts_those_after_it_in_order() -> None:
    """Under rest_for_one those after a crashed child go down in reverse and come back in order."""
    diary: list[str] = []
    a, b, c, d = parts("abcd", diary)
    async with running(make([p.spec() for p in (a, b, c, d)], REST)) as supervisor:
        diary.clear()
        b.crash()
        await anyio.sleep(0.1)
        assert states(supervisor) == {"a": "running"} | dict.fromkeys("bcd", "backing_off")
        last = supervisor.which_children()[3].last_error
        assert last == 'went down with "b", which it comes after'
        await anyio.sleep(0.5)
        assert states(supervisor) == dict.fromkeys("abcd", "running")
        assert diary == ["-b", "-d", "-c", "+b", "+c", "+d"]


async def test_an_earlier_crash_takes_over_a_later_one() -> None:
    """A crash further up takes over what a crash further down had taken down."""
    diary: list[str] = []
    a, b, c = parts("abc", diary)
    async with running(make([a.spec(), b.spec(), c.spec()], REST)) as supervisor:
        diary.clear()
        b.crash()
        await anyio.sleep(0.25)
        a.crash()
        await anyio.sleep(0.5)
        assert states(supervisor) == dict.fromkeys("abc", "backing_off")
        await anyio.sleep(0.6)
        assert states(supervisor) == dict.fromkeys("abc", "running")
        assert diary == ["-b", "-c", "-a", "+a", "+b", "+c"]


async def test_a_second_crash_during_the_revival_starts_over() -> None:
    """A child that crashes while those after it come back takes them down again."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    c = Part("c", diary, boot=5)
    async with running(make([a.spec(), b.spec(), c.spec()], REST)) as supervisor:
        diary.clear()
        a.crash()
        await anyio.sleep(2)
        assert states(supervisor) == {"a": "running", "b": "running", "c": "starting"}
        b.crash()
        await anyio.sleep(10)
        assert states(supervisor) == dict.fromkeys("abc", "running")
        assert diary == ["-a", "-c", "-b", "+a", "+b", "+c", "-b", "-c", "+b", "+c"]


async def test_a_leader_restarted_by_hand_takes_the_rest_along() -> None:
    """A restart by hand in the middle of taking the rest down leaves none of them as it was."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    c = Part("c", diary, farewell=2)
    async with running(make([a.spec(), b.spec(), c.spec()], REST)) as supervisor:
        diary.clear()
        a.crash()
        await anyio.sleep(1)
        assert states(supervisor) == {"a": "backing_off", "b": "running", "c": "stopping"}
        await supervisor.restart_child("a")
        await anyio.sleep(5)
        assert states(supervisor) == dict.fromkeys("abc", "running")
        assert diary == ["-a", "+a", "-c", "-b", "+b", "+c"]


async def test_a_crash_during_the_start_delays_readiness() -> None:
    """A supervisor is ready when all are, also if one crashed again while the next was starting."""
    diary: list[str] = []
    a, b = Part("a", diary), Part("b", diary, boot=3)
    doom = asyncio.create_task(crash_after(1, a))
    async with running(make([a.spec(), b.spec()], REST)) as supervisor:
        await doom
        assert states(supervisor) == dict.fromkeys("ab", "running")
        assert anyio.current_time() == pytest.approx(4.5, abs=0.01)
        assert diary == ["+a", "+b", "-a", "-b", "+a", "+b"]


async def test_rest_for_one_leaves_what_was_stopped_and_repeats_what_was_done() -> None:
    """After a crash above, stopped stays stopped, temporary ends, done transient work is redone."""
    diary: list[str] = []
    a, b, c, d = parts("abcd", diary)
    specs = [a.spec(), b.spec(), c.spec(restart="transient"), d.spec(restart="temporary")]
    async with running(make(specs, REST)) as supervisor:
        await supervisor.terminate_child("b")
        c.finish()
        await anyio.sleep(0.1)
        assert states(supervisor)["c"] == "done"
        a.crash()
        await anyio.sleep(1)
        assert states(supervisor) == {
            "a": "running",
            "b": "stopped",
            "c": "running",
            "d": "stopped",
        }


async def test_a_transient_that_ends_well_is_done_and_a_permanent_comes_back() -> None:
    """A normal end is final for a transient child and a reason to restart for a permanent one."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    async with running(make([a.spec(restart="transient"), b.spec()])) as supervisor:
        a.finish()
        b.finish()
        await anyio.sleep(1)
        assert states(supervisor) == {"a": "done", "b": "running"}
        assert [child.restarts for child in supervisor.which_children()] == [0, 1]


async def test_a_child_may_end_without_ever_being_ready() -> None:
    """Work that returns without saying that it is ready counts as ready and done."""

    async def migrate(*, task_status: TaskStatus[None]) -> None:
        """Work a second and return."""
        await anyio.sleep(1)

    diary: list[str] = []
    (after,) = parts("z", diary)
    specs = [ChildSpec("migrate", migrate, restart="transient"), after.spec()]
    async with running(make(specs, REST)) as supervisor:
        assert states(supervisor) == {"migrate": "done", "z": "running"}


async def test_an_exhausted_budget_fails_only_that_child() -> None:
    """With fail_child the sixth crash in a minute leaves that child failed, the rest running."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    async with running(make([a.spec(), b.spec()], FAIL)) as supervisor:
        waits: list[float] = []
        for _ in range(6):
            a.crash(ValueError("bad\nnumber"))
            await anyio.sleep(0.001)
            waits.append(supervisor.which_children()[0].next_restart_in or 0)
            await anyio.sleep(waits[-1] + 0.001)
        assert waits == pytest.approx([0.5, 1, 2, 4, 8, 0], abs=0.01)
        child = supervisor.which_children()[0]
        assert (child.state, child.restarts) == ("failed", 5)
        assert child.last_error == "ValueError: bad number"
        assert states(supervisor)["b"] == "running"


async def test_a_failed_child_is_revived_by_hand_with_a_fresh_budget() -> None:
    """After restart_child a failed child has its whole budget again."""
    diary: list[str] = []
    (a,) = parts("a", diary)
    policy = Policy(on_exhausted="fail_child", budget=RestartBudget(max_restarts=1))
    async with running(make([a.spec()], policy)) as supervisor:
        for expected in ("running", "failed"):
            a.crash()
            await anyio.sleep(1)
            assert states(supervisor) == {"a": expected}
        revived = await supervisor.restart_child("a")
        assert (revived.state, revived.restarts) == ("running", 2)
        a.crash()
        await anyio.sleep(1)
        assert states(supervisor) == {"a": "running"}


async def test_an_exhausted_budget_escalates() -> None:
    """With escalate the supervisor stops the others and ends with an error that names the child."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    policy = Policy(budget=RestartBudget(max_restarts=0))
    supervisor = make([a.spec(), b.spec()], policy)
    doom = asyncio.create_task(crash_after(1, a))
    with pytest.raises(SupervisorError, match="needs more than 0 restarts in 60 s") as caught:
        await supervisor.run()
    await doom
    assert "RuntimeError: boom" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert diary == ["+a", "+b", "-a", "-b"]


async def test_only_the_first_reason_to_give_up_counts() -> None:
    """Where two children exhaust the budget at once, the supervisor ends for the first one."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    supervisor = make([a.spec(), b.spec()], Policy(budget=RestartBudget(max_restarts=0)))
    doom = asyncio.create_task(crash_at_once(a, b))
    with pytest.raises(SupervisorError, match='child "a" of supervisor top'):
        await supervisor.run()
    await doom


async def crash_at_once(*doomed: Part) -> None:
    """After a second let all of them crash in the same instant."""
    await anyio.sleep(1)
    for part in doomed:
        part.crash()


async def crash_after(seconds: float, *doomed: Part) -> None:
    """Let one after the other crash, some seconds apart."""
    for part in doomed:
        await anyio.sleep(seconds)
        part.crash()


async def test_the_budget_of_an_escalating_supervisor_is_one_for_all() -> None:
    """With escalate the crashes of all children count against one budget, as in OTP."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    supervisor = make([a.spec(), b.spec()], Policy(budget=RestartBudget(max_restarts=1)))
    doom = asyncio.create_task(crash_after(5, a, b))
    with pytest.raises(SupervisorError, match='child "b" of supervisor top'):
        await supervisor.run()
    await doom


async def test_supervisors_nest() -> None:
    """A supervisor that gives up is a crashed child of the one above, and starts afresh."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    inner = make([a.spec()], Policy(budget=RestartBudget(max_restarts=0)))
    outer = make([ChildSpec("inner", inner.run, shutdown=math.inf), b.spec()], REST)
    with capture_logs() as logs:
        async with running(outer):
            a.crash()
            await anyio.sleep(1)
            assert states(outer) == {"inner": "running", "b": "running"}
            assert states(inner) == {"a": "running"}
    assert diary == ["+a", "+b", "-a", "-b", "+a", "+b", "-b", "-a"]
    crashes = [log for log in logs if log["event"] == "supervision.child_crashed"]
    assert [(log["child"], "exception" in log) for log in crashes] == [
        ("a", True),
        ("inner", False),
    ]


async def test_a_child_that_cannot_start_ends_an_escalating_supervisor_at_once() -> None:
    """At the supervisor's start nothing is retried: the error comes out, what was up goes down."""
    diary: list[str] = []
    (a,) = parts("a", diary)

    async def taken(*, task_status: TaskStatus[None]) -> None:
        """Fail before being ready."""
        raise OSError("port 8420 is taken")

    with pytest.raises(SupervisorError, match=r'"web" .* could not start: OSError: port 8420'):
        await make([a.spec(), ChildSpec("web", taken)]).run()
    assert diary == ["+a", "-a"]


@pytest.mark.parametrize("depth", [0, 1, 2])
async def test_an_error_of_our_tree_at_the_start_comes_out_as_it_is(depth: int) -> None:
    """A ConfigError that keeps a child from starting comes out as one, out of task groups too."""

    async def misconfigured(*, task_status: TaskStatus[None]) -> None:
        """Fail before being ready, with an error of our tree."""
        raise within(depth)

    def within(groups: int) -> Exception:
        if not groups:
            return ConfigError("expected web.port to be free, got: 8420")
        return ExceptionGroup("unhandled errors in a TaskGroup", [within(groups - 1)])

    with capture_logs() as logs, pytest.raises(ConfigError, match=r"web\.port"):
        await make([ChildSpec("web", misconfigured)]).run()
    assert not any("exception" in log for log in logs)


async def test_independent_children_do_not_wait_for_each_other() -> None:
    """With fail_child a child that crashes at once or is slow holds up nobody."""
    diary: list[str] = []
    slow, quick = Part("slow", diary, boot=5), Part("quick", diary, boot=1)

    async def broken(*, task_status: TaskStatus[None]) -> None:
        """Crash at once."""
        raise ValueError("no")

    specs = [slow.spec(), ChildSpec("broken", broken), quick.spec()]
    async with anyio.create_task_group() as group:
        supervisor = make(specs, FAIL)
        group.start_soon(supervisor.run)
        await anyio.sleep(1.1)
        assert states(supervisor) == {
            "slow": "starting",
            "broken": "backing_off",
            "quick": "running",
        }
        group.cancel_scope.cancel()


async def test_a_start_that_takes_too_long_is_a_crash() -> None:
    """A child that is not ready within start_timeout is stopped and counted as crashed."""
    diary: list[str] = []
    a = Part("a", diary, boot=10)
    async with running(make([a.spec(start_timeout=2)], FAIL)) as supervisor:
        (child,) = supervisor.which_children()
        assert child.state == "backing_off"
        assert child.last_error == "TimeoutError: not ready within start_timeout (2 s)"
        a.boot = 1
        await anyio.sleep(10)
        assert states(supervisor) == {"a": "running"}


async def test_children_come_and_go_by_hand() -> None:
    """start, terminate, restart and delete do what they do in OTP."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    async with running(make([a.spec()])) as supervisor:
        assert (await supervisor.start_child(b.spec())).state == "running"
        with pytest.raises(SupervisorError, match='already has a child "b"'):
            await supervisor.start_child(b.spec())
        with pytest.raises(SupervisorError, match='"b" is running, expected it to have ended'):
            await supervisor.delete_child("b")
        assert (await supervisor.terminate_child("b")).state == "stopped"
        assert (await supervisor.terminate_child("b")).state == "stopped"
        assert (await supervisor.restart_child("b")).state == "running"
        assert (await supervisor.restart_child("b")).restarts == 2
        await supervisor.terminate_child("b")
        await supervisor.delete_child("b")
        with pytest.raises(SupervisorError, match=r'no child "b" \(it has: a\)'):
            await supervisor.restart_child("b")
        assert diary == ["+a", "+b", "-b", "+b", "-b", "+b", "-b"]


async def test_two_restarts_by_hand_do_not_make_two_children() -> None:
    """Restarts asked for at the same time happen one after the other."""
    diary: list[str] = []
    a = Part("a", diary, farewell=1)
    async with running(make([a.spec()])) as supervisor, anyio.create_task_group() as group:
        group.start_soon(supervisor.restart_child, "a")
        group.start_soon(supervisor.restart_child, "a")
    assert diary == ["+a", "-a", "+a", "-a", "+a", "-a"]


async def test_a_child_backing_off_can_be_stopped_or_restarted_at_once() -> None:
    """Nobody has to wait for a back-off: by hand a child restarts now or not at all."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    async with running(make([a.spec(), b.spec()])) as supervisor:
        a.crash()
        b.crash()
        await anyio.sleep(0.1)
        assert (await supervisor.restart_child("a")).state == "running"
        assert (await supervisor.terminate_child("b")).state == "stopped"
        await anyio.sleep(10)
        assert diary == ["+a", "+b", "-a", "-b", "+a"]


async def test_what_waits_for_a_deleted_child_comes_back() -> None:
    """Deleting a child that others wait for lets them go on without it."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    async with running(make([a.spec(), b.spec()], REST)) as supervisor:
        a.crash()
        await anyio.sleep(0.1)
        await supervisor.terminate_child("a")
        await anyio.sleep(5)
        assert states(supervisor) == {"a": "stopped", "b": "backing_off"}
        await supervisor.delete_child("a")
        await anyio.sleep(0.1)
        assert states(supervisor) == {"b": "running"}


async def test_a_child_that_does_not_end_is_reported_and_not_doubled() -> None:
    """A child that outlives its shutdown seconds is reported, and no second one starts."""
    diary: list[str] = []
    a = Part("a", diary, farewell=60)
    with capture_logs() as logs:
        async with running(make([a.spec(shutdown=3)])) as supervisor:
            begun = anyio.current_time()
            assert (await supervisor.terminate_child("a")).state == "stopping"
            assert anyio.current_time() - begun == pytest.approx(3, abs=0.01)
            with pytest.raises(SupervisorError, match="has not ended 3 s after it was cancelled"):
                await supervisor.restart_child("a")
            await anyio.sleep(60)
            assert states(supervisor) == {"a": "stopped"}
            assert (await supervisor.restart_child("a")).state == "running"
            a.farewell = 0
    stuck = [log for log in logs if log["event"] == "supervision.child_stuck"]
    assert [(log["child"], log["seconds"]) for log in stuck] == [("a", 3)] * 2
    assert diary == ["+a", "-a", "+a", "-a"]


async def test_shutdown_waits_for_one_that_resists() -> None:
    """The supervisor never returns before its last task has: nothing leaks."""
    diary: list[str] = []
    a, b = Part("a", diary), Part("b", diary, farewell=60)
    async with running(make([a.spec(), b.spec(shutdown=1)])):
        begun = anyio.current_time()
    assert anyio.current_time() - begun == pytest.approx(60, abs=0.1)
    assert diary == ["+a", "+b", "-a", "-b"]


async def test_sys_exit_and_stray_cancellations_are_crashes() -> None:
    """A child cannot end the process or vanish: sys.exit() and stray cancels count as crashes."""

    async def leave(*, task_status: TaskStatus[None]) -> None:
        """Call sys.exit() after a second."""
        task_status.started()
        await anyio.sleep(1)
        sys.exit(3)

    async def await_cancelled(*, task_status: TaskStatus[None]) -> None:
        """Await what somebody else has cancelled."""
        task_status.started()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def cancel_itself(*, task_status: TaskStatus[None]) -> None:
        """Be cancelled by somebody who is not the supervisor."""
        task_status.started()
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep(1)

    specs = [
        ChildSpec("leave", leave),
        ChildSpec("future", await_cancelled),
        ChildSpec("itself", cancel_itself),
    ]
    async with running(make(specs, FAIL)) as supervisor:
        await anyio.sleep(1.1)
        errors = [child.last_error for child in supervisor.which_children()]
        assert errors == ["SystemExit: 3", "CancelledError", "CancelledError"]
        assert all(child.restarts or child.next_restart_in for child in supervisor.which_children())


async def test_groups_of_errors_are_told_in_one_line() -> None:
    """The last error shows what is inside an exception group, in one line of bounded length."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    async with running(make([a.spec(), b.spec()], FAIL)) as supervisor:
        one, two = ValueError("x"), ExceptionGroup("inner", [KeyError("y"), ConfigError("z")])
        a.crash(ExceptionGroup("outer", [one, two]))
        b.crash(ValueError("long " * 1000))
        await anyio.sleep(0.1)
        first, second = (child.last_error for child in supervisor.which_children())
        assert first == "ValueError: x; KeyError: 'y'; z"
        assert len(second) == 300


async def test_expected_ends_are_not_errors() -> None:
    """A stopped and a done child are logged, but nothing of it as a warning or an error."""
    diary: list[str] = []
    a, b = parts("ab", diary)
    with capture_logs() as logs:
        async with running(make([a.spec(restart="transient"), b.spec()])):
            a.finish()
            await anyio.sleep(1)
    assert [(log["event"], log["child"], log["log_level"]) for log in logs] == [
        ("supervision.child_started", "a", "info"),
        ("supervision.child_started", "b", "info"),
        ("supervision.child_done", "a", "info"),
        ("supervision.child_stopped", "b", "info"),
    ]


async def test_a_crash_while_stopping_is_reported_and_nothing_restarts() -> None:
    """A child that crashes in its clean-up is reported once and stays down."""

    async def clumsy(*, task_status: TaskStatus[None]) -> None:
        """Crash while being stopped."""
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("dropped it")

    async with running(make([ChildSpec("clumsy", clumsy)])) as supervisor:
        child = await supervisor.terminate_child("clumsy")
        assert (child.state, child.last_error) == ("stopped", "ValueError: dropped it")


async def test_a_child_that_gets_ready_too_late_stays_stopped() -> None:
    """Being ready while being stopped does not make a child running."""

    async def late(*, task_status: TaskStatus[None]) -> None:
        """Get ready only when being stopped."""
        try:
            await anyio.sleep_forever()
        finally:
            task_status.started()
            task_status.started()

    async with running(make([])) as supervisor, anyio.create_task_group() as group:
        group.start_soon(supervisor.start_child, ChildSpec("late", late))
        await anyio.sleep(1)
        assert (await supervisor.terminate_child("late")).state == "stopped"


async def test_nothing_starts_while_the_supervisor_stops() -> None:
    """What wants to start a child during the orderly stop is told that nothing runs any more."""
    diary: list[str] = []
    a = Part("a", diary, farewell=3)
    refused: list[str] = []

    async def restart(supervisor: Supervisor) -> None:
        """Ask for a restart, whatever happens to the group."""
        with anyio.CancelScope(shield=True):
            try:
                await supervisor.restart_child("a")
            except SupervisorError as error:
                refused.append(str(error))

    async with anyio.create_task_group() as group, running(make([a.spec()])) as supervisor:
        group.start_soon(restart, supervisor)
        await anyio.sleep(1)
    assert refused == ["supervisor top does not run"]
    assert diary == ["+a", "-a"]


async def test_a_child_does_not_inherit_the_context_of_who_starts_it() -> None:
    """A child started from a request does not carry that request's context variables."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    seen: list[str] = []

    async def look(*, task_status: TaskStatus[None]) -> None:
        """Note the context it runs in."""
        seen.append(request.get())

    async with running(make([])) as supervisor:
        request.set("r-1")
        await supervisor.start_child(ChildSpec("look", look, restart="temporary"))
    assert seen == ["none"]


async def test_a_second_cancellation_still_ends_everything() -> None:
    """A second Ctrl-C during an orderly stop cancels all children at once and leaks none."""
    diary: list[str] = []
    a, b = Part("a", diary), Part("b", diary, farewell=5)
    ready = anyio.Event()

    class Ready:
        """A task status that sets an event."""

        def started(self, value: None = None) -> None:
            """Be told."""
            ready.set()

    task = asyncio.create_task(make([a.spec(), b.spec()]).run(task_status=Ready()))
    await ready.wait()
    task.cancel()
    await anyio.sleep(1)
    assert diary == ["+a", "+b"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary == ["+a", "+b", "-a", "-b"]


async def test_a_supervisor_runs_once_and_operations_need_it_running() -> None:
    """A second run at the same time, and operations on one that does not run, are refused."""
    diary: list[str] = []
    (a,) = parts("a", diary)
    supervisor = make([a.spec()])
    assert repr(supervisor) == "<Supervisor top: not running>"
    assert supervisor.snapshot().children == ()
    with pytest.raises(SupervisorError, match="top does not run"):
        await supervisor.restart_child("a")
    async with running(supervisor):
        assert repr(supervisor) == "<Supervisor top: a running>"
        with pytest.raises(SupervisorError, match="top runs already"):
            await supervisor.run()
    with pytest.raises(SupervisorError, match="top does not run"):
        await supervisor.start_child(a.spec())


async def test_two_children_of_one_name_are_refused_before_anything_starts() -> None:
    """The whole list is checked before the first child starts."""
    diary: list[str] = []
    (a,) = parts("a", diary)
    with pytest.raises(ConfigError, match="got twice: a"):
        make([a.spec(), a.spec()])
    assert diary == []


async def test_the_snapshot_says_since_when_and_until_when() -> None:
    """A snapshot tells the moment of the last change and the seconds to the next start."""
    diary: list[str] = []
    (a,) = parts("a", diary)
    policy = Policy(backoff=Backoff(initial=10, maximum=10, jitter=0))
    async with running(make([a.spec()], policy)) as supervisor:
        await anyio.sleep(5)
        assert supervisor.which_children()[0].since == pytest.approx(0, abs=0.01)
        a.crash()
        await anyio.sleep(4)
        child = supervisor.snapshot().children[0]
        assert child.since == pytest.approx(5, abs=0.01)
        assert child.next_restart_in == pytest.approx(6, abs=0.01)
