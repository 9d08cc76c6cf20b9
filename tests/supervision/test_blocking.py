"""When a late sign of life means a blocked loop, and when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.supervision.blocking import Frame, LoopPulse, Step, place

INTERVAL = 0.1
THRESHOLD = 0.5


class Thread:
    """Plays the watching thread against a pulse, with times that we choose."""

    def __init__(self) -> None:
        """Begin at some moment."""
        self.pulse = LoopPulse(threshold=THRESHOLD, stuck=2.0, interval=INTERVAL)
        self.now = 100.0
        self.cpu = 7.0

    def tick(self, *, after: float = INTERVAL, cpu: float = 0.0) -> Step:
        """Let time pass, some of it computing, and look."""
        self.now += after
        self.cpu += cpu
        return self.pulse.tick(now=self.now, cpu=self.cpu)

    def answer(self) -> None:
        """Let the loop answer now."""
        self.pulse.question.answered = self.now


def test_a_loop_that_answers_is_asked_again() -> None:
    """While the loop answers, it is asked at every tick and nothing is sampled."""
    thread = Thread()
    for _ in range(100):
        assert thread.tick() == "ask"
        thread.answer()


def test_silence_is_sampled_once_and_told_once() -> None:
    """A silent loop is sampled at the threshold and told of once when it seems stuck."""
    thread = Thread()
    steps = [thread.tick() for _ in range(40)]
    assert steps[0] == "ask"
    assert [step for step in steps[1:] if step != "wait"] == ["sample", "stuck"]
    assert steps.index("sample") == pytest.approx(THRESHOLD / INTERVAL, abs=1)
    assert steps.index("stuck") == pytest.approx(2.0 / INTERVAL, abs=1)
    thread.answer()
    assert thread.pulse.question.open_for(now=0) == pytest.approx(3.9)


def test_a_stopped_process_is_no_blocked_loop() -> None:
    """Time in which the thread itself was overdue and the process idle does not count."""
    thread = Thread()
    thread.tick()
    assert thread.tick(after=3600.0) == "wait"
    assert thread.pulse.question.open_for(now=thread.now) == pytest.approx(INTERVAL, abs=0.01)


def test_a_stop_in_the_middle_of_a_block_is_taken_off() -> None:
    """A block that the process was stopped in is as long as it was without the stop."""
    thread = Thread()
    steps = [thread.tick(after=60.0 if n == 3 else INTERVAL) for n in range(12)]
    assert "sample" in steps
    thread.answer()
    assert thread.pulse.question.open_for(now=0) == pytest.approx(11 * INTERVAL, abs=0.01)


def test_a_held_interpreter_lock_is_a_block() -> None:
    """A thread that is late while the process computes was shut out, and so was the loop."""
    thread = Thread()
    thread.tick()
    thread.answer()
    assert thread.tick(after=3.0, cpu=3.0) == "sample_and_ask"
    thread.answer()
    assert thread.pulse.question.open_for(now=0) == pytest.approx(2.9)


def test_a_lock_held_while_the_loop_owes_an_answer_counts_as_well() -> None:
    """Computing that keeps both the thread and the loop from running is sampled at once."""
    thread = Thread()
    thread.tick()
    assert thread.tick(after=3.0, cpu=3.0) == "sample"


@given(st.lists(st.tuples(st.floats(0.1, 100), st.booleans()), max_size=50))
def test_no_blocks_without_silence_or_computing(ticks: list[tuple[float, bool]]) -> None:
    """However late the thread is, a process that does not compute is never called blocked."""
    thread = Thread()
    for after, answers in ticks:
        step = thread.tick(after=INTERVAL + after)
        assert step in ("ask", "wait")
        # At most four looks without an answer: less silence than the threshold.
        if answers or thread.pulse.question.open_for(now=thread.now) > THRESHOLD - 2 * INTERVAL:
            thread.answer()


def test_the_innermost_frame_of_a_watched_folder_is_named() -> None:
    """The frame named is the innermost in a watched folder, else the innermost of all."""
    stack = [
        Frame("/lib/runners.py", 1, "run"),
        Frame("/home/roles/memory.py", 10, "handle"),
        Frame("/home/roles/memory.py", 20, "index"),
        Frame("/lib/re.py", 30, "match"),
    ]
    assert place(stack, [Path("/home/roles")]) == stack[2]
    assert place(stack, [Path("/home/other")]) == stack[3]
    assert place(stack, [Path("/home/rol")]) == stack[3]
