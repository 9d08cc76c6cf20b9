"""When a model has no capacity: jobs wait in a line, calls are told, and nobody else is held up."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.broker.entry import Entry
from supervisor.broker.lines import APART, Lines
from supervisor.clock import LoopClock
from supervisor.errors import Draining, UpstreamUnavailable
from supervisor.messages import TrafficClass
from tests.broker.deferrals import Shelf, promised, sent
from tests.broker.desk import Desk, at_work, most_within, request
from tests.upstream.api import BROKEN, CAPACITY, JSON, Answer, ScriptedApi, flat, streamed

MINUTE = "100 requests / minute"
NAMES = [f"n{number}" for number in range(30)]


async def test_a_job_outlasts_any_want_of_capacity(virtual: LoopClock) -> None:
    """A job's request looks after 1, 2, 4, 8, 8 ... s for as long as it takes; a call is told."""
    api = ScriptedApi(default=CAPACITY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        with pytest.raises(UpstreamUnavailable):
            await desk.ask("call")
        desk.start("job", job="j1")
        await anyio.sleep(3600)
        why = desk.broker.why("job")
        assert why is not None
        assert why.detail == "its model has no capacity"
        assert desk.broker.snapshot().state == "open"
        api.default = Answer()
        await desk.until("job")
    assert api.times[4:10] == pytest.approx([7, 8, 10, 14, 22, 30], abs=0.1)
    looks = api.times[8:]
    assert max(later - one for one, later in pairwise(looks)) <= APART + 0.1
    assert desk.replies["job"].attempts == len(api.times) - 4


async def test_many_look_one_at_a_time_and_hold_up_nobody(virtual: LoopClock) -> None:
    """Thirty jobs spend hardly more than one, other models answer, and all go on soon after."""
    api = ScriptedApi(default=CAPACITY)
    api.will("other", *[Answer()] * 60)
    classes = TrafficClass("code"), TrafficClass("busy", ceiling=())
    async with at_work(virtual, MINUTE, api=api, classes=classes) as desk:
        for name in NAMES:
            desk.start(name, "busy", job="j1")
        await anyio.sleep(600)
        for _ in range(60):
            other = await desk.broker.ask(request("other", model="grok-small"))
            assert other.wait < 0.001
            await anyio.sleep(60)
        in_vain = [one.at for one in api.arrivals if one.name != "other"]
        assert most_within([at for at in in_vain if at >= 600], 60) <= 60 / APART + 1
        api.default = Answer()
        began = virtual.monotonic()
        await desk.until(*NAMES)
        assert not desk.errors
        assert virtual.monotonic() - began <= APART + 1
        assert not desk.broker.snapshot().classes[1].queued


async def test_a_little_capacity_is_not_overrun(virtual: LoopClock) -> None:
    """Where one attempt in four is let in all come through, and not at the cost of the windows."""
    api = ScriptedApi(default=CAPACITY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        for name in NAMES:
            desk.start(name, job="j1")
        await anyio.sleep(600)
        api.seen = lambda _: setattr(api, "default", CAPACITY if len(api.times) % 4 else Answer())
        await desk.until(*NAMES)
        assert not desk.errors
    assert most_within([at for at in api.times if at >= 600], 60) <= 30


async def test_who_leaves_makes_room_in_the_line(virtual: LoopClock) -> None:
    """When the others are cancelled, the last of a long line looks as soon as a lone one would."""
    api = ScriptedApi(default=CAPACITY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        scopes = [desk.start(name, job="j1") for name in NAMES]
        await anyio.sleep(600)
        for scope in scopes[:-1]:
            scope.cancel()
        api.default = Answer()
        await desk.until(*NAMES)
        assert virtual.monotonic() <= 600 + APART + 1
        assert not desk.errors


async def test_own_retries_are_not_used_up(virtual: LoopClock) -> None:
    """After any wait for capacity another failure is repeated as often as ever."""
    api = ScriptedApi(*[CAPACITY] * 20, BROKEN, BROKEN, BROKEN)
    async with at_work(virtual, MINUTE, api=api, max_retries=3) as desk:
        reply = await desk.ask("a", job="j1")
    assert (reply.status, reply.attempts) == (200, 24)


async def test_the_apis_word_about_capacity(virtual: LoopClock) -> None:
    """Retry-After is obeyed; where the API says that a repetition is no use, there is none."""
    body = flat("resource-exhausted", "The model is temporarily at capacity")
    api = ScriptedApi(
        Answer(429, body, {**JSON, "retry-after": "60"}),
        Answer(429, body, {**JSON, "x-should-retry": "false"}),
    )
    async with at_work(virtual, MINUTE, api=api) as desk:
        with pytest.raises(UpstreamUnavailable):
            await desk.ask("a", job="j1")
    assert api.times == pytest.approx([0, 60], abs=0.1)


async def test_a_stop_does_not_wait_for_capacity(virtual: LoopClock) -> None:
    """What stands in the line is given up when the process stops; its job is kept."""
    api = ScriptedApi(default=CAPACITY)
    async with at_work(virtual, MINUTE, api=api) as desk:
        for name in NAMES[:3]:
            desk.start(name, job="j1")
        await anyio.sleep(60)
        await desk.broker.drain(5.0)
        assert virtual.monotonic() < 61
        assert {type(error) for error in desk.errors.values()} == {Draining}


async def test_a_stream_of_a_job_waits_alike(virtual: LoopClock) -> None:
    """A job's stream that has not begun waits for capacity, too."""
    api = ScriptedApi(*[CAPACITY] * 10, default=streamed())
    async with at_work(virtual, MINUTE, api=api) as desk:
        attempts = await _attempts_of_stream(desk)
    assert attempts == 11


async def test_what_is_deferred_waits_alike(virtual: LoopClock) -> None:
    """A deferred request waits for capacity before its promise and after it, and pays once."""
    shelf = Shelf()
    api = ScriptedApi(*[CAPACITY] * 6, promised(), *[CAPACITY] * 6)
    async with at_work(virtual, MINUTE, api=api) as desk:
        reply = await desk.ask("a", job="j1", deferred=shelf)
        assert sent(desk) == [*["post"] * 7, *["one"] * 7]
    assert (reply.status, len(shelf.kept)) == (200, 1)


async def _attempts_of_stream(desk: Desk) -> int:
    async with desk.broker.stream(request("s", stream=True, job="j1")) as reply:
        async for _ in reply:
            pass
        return reply.attempts


# -- the line --------------------------------------------------------------------------------------


def entry_of(name: str) -> Entry:
    """A request's entry."""
    return Entry(request(name), owner=0, priority=0, tokens=0)


class Crowd:
    """Requests in a line, and when each is to look.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.lines = Lines()
        self.now = 0.0
        entries = [entry_of(name) for name in NAMES[:count]]
        self.due = {one: self.lines.join(one, delay=APART, now=0.0) for one in entries}

    def look(self, _: int) -> None:
        """The next one looks, in vain."""
        one = min(self.due, key=self.due.__getitem__)
        self.now = self.due[one]
        assert self.lines.leave(one, now=self.now) is None
        self.due[one] = self.lines.join(one, delay=APART, now=self.now)

    def leave(self, pick: int) -> None:
        """Any of them is given up."""
        one = list(self.due)[pick % len(self.due)]
        moved = self.lines.leave(one, now=self.now)
        del self.due[one]
        if moved is not None:
            assert moved[1] < self.due[moved[0]]
            self.due[moved[0]] = moved[1]

    def answer(self, _: int) -> None:
        """The model answers somebody."""
        for one in self.lines.answered("grok-4.7"):
            del self.due[one]


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.sampled_from(["look", "leave", "answer"]), st.integers(0, 11))),
)
def test_somebody_looks_every_eight_seconds(count: int, story: list[tuple[str, int]]) -> None:
    """Whoever looks, leaves or is let look: the rest look one by one, and never longer apart."""
    crowd = Crowd(count)
    for act, pick in story:
        if crowd.due:
            getattr(crowd, act)(pick)
        moments = sorted(crowd.due.values())
        assert all(later - one <= APART for one, later in pairwise([crowd.now, *moments]))
        assert len(set(moments)) == len(moments)
    for one in list(crowd.due):
        crowd.lines.leave(one, now=crowd.now)
    assert not any(one in crowd.lines for one in crowd.due)
    assert crowd.lines.answered("grok-4.7") == []


def test_what_is_no_entry_stands_in_no_line() -> None:
    """A line knows requests, and only those that have joined it."""
    lines = Lines()
    assert "a" not in lines
    assert lines.leave(entry_of("a"), now=0.0) is None
