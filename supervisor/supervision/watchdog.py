"""Notices when something blocks the event loop, and names file, line and culprit.

A daemon thread sends the loop a trivial call and sees when it is answered. It shares no lock with
the loop: values are handed over by plain assignment and by `call_soon_threadsafe`. The report is
made on the loop, once it is free again, when it is known how long it took.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_stack

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskStatus

from supervisor.errors import ConfigError
from supervisor.supervision.blocking import Blocked, Frame, LoopPulse, Question, Step, place
from supervisor.supervision.crash import one_line

_log: structlog.stdlib.BoundLogger = structlog.get_logger("supervisor.supervision")

_TICKS = 5
"""Looks per threshold: a block is seen for sure once it lasts 1 + 2/5 thresholds."""

Culprit = Callable[[Sequence[Frame]], str]
"""Says whose code a stack (outermost frame first) is in; empty for nobody's in particular."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look for, and whom to tell.

    Attributes:
        threshold: Seconds that count as blocked.
        stuck: Seconds after which `on_stuck` is called although the loop is still blocked.
        folders: Where the code of possible culprits lies; a frame from there is named first.
        culprit: Says whose code it is.
        on_blocked: Called on the loop after each block.
        on_stuck: Called *in the watching thread*, at most once a block. The loop cannot say
            anything then, and whatever this calls must not wait for it.
    """

    threshold: float = 0.5
    stuck: float = 10.0
    folders: tuple[Path, ...] = ()
    culprit: Culprit = field(default=lambda _: "")
    on_blocked: Callable[[Blocked], None] = field(default=lambda _: None)
    on_stuck: Callable[[Blocked], None] = field(default=lambda _: None)

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= self.stuck:
            raise ConfigError(
                f"expected threshold to be more than 0 and at most stuck ({self.stuck:g} s), "
                f"got: {self.threshold:g} s"
            )


@dataclass(frozen=True, slots=True)
class WatchdogSnapshot:
    """How often the loop was blocked, for how many seconds in all, and the last time."""

    blocks: int
    seconds: float
    last: Blocked | None


class Watchdog:
    """Watches the event loop it runs on; its `run` is something a `ChildSpec` can start.

    Args:
        watch: What to look for, and whom to tell.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self._watch = watch or Watch()
        self._blocks = 0
        self._seconds = 0.0
        self._last: Blocked | None = None

    def __repr__(self) -> str:
        return f"<Watchdog {self._blocks} blocks, {self._seconds:.1f} s>"

    def snapshot(self) -> WatchdogSnapshot:
        """What was seen so far."""
        return WatchdogSnapshot(self._blocks, self._seconds, self._last)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled; the thread has ended when this returns.

        Args:
            task_status: Told once the thread watches.
        """
        observer = _Observer(self._watch, report=self._report)
        # Starting and ending a thread wait for it a moment, which the loop must not.
        await anyio.to_thread.run_sync(observer.start)
        try:
            task_status.started()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(observer.end)

    def _report(self, blocked: Blocked) -> None:
        self._blocks += 1
        self._seconds += blocked.seconds
        self._last = blocked
        _log.warning(
            "supervision.loop_blocked",
            role=blocked.culprit,
            seconds=round(blocked.seconds, 3),
            file=blocked.file,
            line=blocked.line,
            function=blocked.function,
        )
        _call(self._watch.on_blocked, blocked)


class _Observer:
    """The thread, and what it and the loop tell each other."""

    def __init__(self, watch: Watch, *, report: Callable[[Blocked], None]) -> None:
        self._watch = watch
        self._report = report
        self._interval = watch.threshold / _TICKS
        self._pulse = LoopPulse(
            threshold=watch.threshold, stuck=watch.stuck, interval=self._interval
        )
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._frames: tuple[Frame, ...] = ()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._observe, name="watchdog", daemon=True)

    def start(self) -> None:
        self._look()  # so that what blocks before the thread's first look is measured, too
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _observe(self) -> None:
        while not self._over.wait(self._interval):
            try:
                self._look()
            except RuntimeError:  # pragma: no cover - a loop closed without ending its tasks
                return

    def _look(self) -> None:
        step = self._pulse.tick(now=time.monotonic(), cpu=time.process_time())
        self._do(step, self._pulse.question)

    def _do(self, step: Step, question: Question) -> None:
        sample = step in ("sample", "sample_and_ask")
        if sample:
            self._frames = _stack(self._loop_thread)
        if step in ("ask", "sample_and_ask"):
            self._loop.call_soon_threadsafe(self._answer, question)
        if sample:
            # Comes after the answer: the loop keeps the order.
            self._loop.call_soon_threadsafe(self._deliver, question, self._frames)
        if step == "stuck":
            _call(self._watch.on_stuck, self._blocked(question, self._frames))

    def _answer(self, question: Question) -> None:
        question.answered = time.monotonic()

    def _deliver(self, question: Question, frames: tuple[Frame, ...]) -> None:
        blocked = self._blocked(question, frames)
        # The answer may have come while the stack was being taken: then it was not blocked.
        if blocked.seconds >= self._watch.threshold:  # pragma: no branch - a race
            self._report(blocked)

    def _blocked(self, question: Question, frames: tuple[Frame, ...]) -> Blocked:
        frame = place(frames, self._watch.folders)
        seconds = question.open_for(now=time.monotonic())
        return Blocked(seconds, frame.file, frame.line, frame.function, self._culprit(frames))

    def _culprit(self, frames: tuple[Frame, ...]) -> str:
        try:
            return self._watch.culprit(frames)
        except Exception as error:
            _log.error("supervision.callback_failed", callback="culprit", error=one_line(error))
            return ""


def _stack(thread: int) -> tuple[Frame, ...]:
    # Documented and public in spite of its name; there is no other way to another thread's stack.
    innermost = sys._current_frames()[thread]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    frames = [
        Frame(frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in walk_stack(innermost)
    ]
    return tuple(reversed(frames))


def _call(callback: Callable[[Blocked], None], blocked: Blocked) -> None:
    try:
        callback(blocked)
    except Exception as error:
        name = getattr(callback, "__qualname__", repr(callback))
        _log.error("supervision.callback_failed", callback=name, error=one_line(error))
