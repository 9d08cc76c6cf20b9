"""When is the event loop blocked, and by whom? Pure: a thread feeds it times and stacks.

The thread asks the loop for a sign of life again and again. A late sign is not always the loop's
fault: a stopped process or a sleeping laptop delays the asking thread as well. So the time for
which that thread itself was overdue does not count, unless the process was computing in it: then
somebody held the interpreter lock (a runaway regular expression does), and that blocks the loop
as surely as anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Step = Literal["ask", "wait", "sample", "sample_and_ask", "stuck"]
"""What the thread is to do: ask the loop for a sign of life; wait for it; take the loop's stack;
both; or tell that it does not look as if the loop were ever coming back."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One place on a stack."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """One time the loop was blocked.

    Attributes:
        seconds: How long; a little too short, since nobody saw it begin.
        file: Where it was blocked: the innermost place in the watched folders, else the innermost.
        line: Its line.
        function: Its function.
        culprit: Whose code that is; empty when nobody's in particular.
    """

    seconds: float
    file: str
    line: int
    function: str
    culprit: str


@dataclass(slots=True)
class Question:
    """One sign of life asked for; the thread writes `asleep`, the loop writes `answered`.

    Attributes:
        asked: When it was due, in seconds of a monotonic clock.
        asleep: Seconds since then in which nothing in the process could run.
        answered: When the loop answered; None while it has not.
    """

    asked: float
    asleep: float = 0.0
    answered: float | None = None

    def open_for(self, *, now: float) -> float:
        """Seconds for which the loop has owed the answer and could have given it.

        Args:
            now: The present moment, in seconds on the same clock.
        """
        until = now if self.answered is None else self.answered
        return max(0.0, until - self.asked - self.asleep)


class LoopPulse:
    """Decides, from the loop's signs of life, when it is blocked.

    Args:
        threshold: Seconds without a sign that count as blocked.
        stuck: Seconds after which it must be said although the loop has not come back.
        interval: Seconds between two calls of `tick`, if nothing delays them.

    Attributes:
        question: The last one asked; answered from the beginning.
    """

    def __init__(self, *, threshold: float, stuck: float, interval: float) -> None:
        self.question = Question(asked=0.0, answered=0.0)
        self._threshold = threshold
        self._stuck = stuck
        self._interval = interval
        self._last: tuple[float, float] | None = None
        self._sampled = False
        self._told = False

    def tick(self, *, now: float, cpu: float) -> Step:
        """Say what to do; with a new question, `question` is the one to ask.

        Args:
            now: Monotonic time in seconds.
            cpu: Seconds of processor time that the process has used.
        """
        last, last_cpu = self._last or (now - self._interval, cpu)
        self._last = (now, cpu)
        late = max(0.0, now - last - self._interval)
        busy = min(late, cpu - last_cpu)
        if self.question.answered is not None:
            return self._ask(now, busy)
        self.question.asleep += late - busy
        return self._still_waiting(self.question.open_for(now=now))

    def _ask(self, now: float, busy: float) -> Step:
        self._told = False
        # The lock was held just now, before the loop was even asked: its stack still shows where.
        self._sampled = busy >= self._threshold
        self.question = Question(asked=now - busy if self._sampled else now)
        return "sample_and_ask" if self._sampled else "ask"

    def _still_waiting(self, silence: float) -> Step:
        if silence >= self._threshold and not self._sampled:
            self._sampled = True
            return "sample"
        if silence >= self._stuck and self._sampled and not self._told:
            self._told = True
            return "stuck"
        return "wait"


def place(frames: Sequence[Frame], folders: Sequence[Path]) -> Frame:
    """Pick the frame to name.

    Args:
        frames: A stack, outermost first, not empty.
        folders: Where the culprits' code lies.

    Returns:
        The innermost frame in one of the folders, else the innermost of all.
    """
    for frame in reversed(frames):
        if any(Path(frame.file).is_relative_to(folder) for folder in folders):
            return frame
    return frames[-1]
