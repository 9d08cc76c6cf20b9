"""When the API answers nobody: all wait together, one looks, and nobody's work is lost."""

from __future__ import annotations

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.broker.outage import Outage
from supervisor.clock import LoopClock
from supervisor.errors import UpstreamUnavailable
from supervisor.messages import Request
from supervisor.upstream.failures import RETRYABLE, Failure, FailureKind
from tests.broker.desk import at_work, request
from tests.upstream.api import BROKEN, CUT, QUOTA, Answer, ScriptedApi, streamed

MINUTE = "100 requests / minute"
REFUSED = Answer(cut=httpx.ConnectError("connection refused"))
NAMES = [f"n{number}" for number in range(12)]


def outage_of(*failures: tuple[FailureKind, str], under_way: int = 0) -> Outage:
    """What is known after these failures."""
    outage = Outage()
    for kind, name in failures:
        outage.failed(Failure(kind, "no"), request(name), now=0.0, under_way=under_way)
    return outage


@pytest.mark.parametrize("broken", [BROKEN, CUT, REFUSED], ids=["500", "cut", "refused"])
async def test_a_minute_without_the_api(virtual: LoopClock, broken: Answer) -> None:
    """Down for 60 s: everybody is answered after it, and hardly an attempt is spent on it."""
    api = ScriptedApi(default=broken)
    async with at_work(virtual, MINUTE, api=api) as desk:
        for name in NAMES:
            desk.start(name)
        await anyio.sleep(60)
        in_vain = len(api.arrivals)
        snapshot = desk.broker.snapshot()
        assert snapshot.state == "halted"
        assert "the API has answered nobody for 60 s" in snapshot.reason
        api.default = Answer()
        await desk.until(*NAMES)
        assert not desk.errors
        assert virtual.monotonic() < 60 + 10 + 1
        assert desk.broker.snapshot().state == "open"
    # The first ones go together; after that one at a time, 1, 2, 4, 8, 8 ... seconds apart.
    assert in_vain <= 2 * len(NAMES) + 10


async def test_a_job_outlasts_any_outage(virtual: LoopClock) -> None:
    """What belongs to a job waits as long as it takes; what does not is told in the end."""
    api = ScriptedApi(default=REFUSED)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("job", job="j1")
        desk.start("call")
        await desk.until("call")
        assert 120 <= virtual.monotonic() <= 120 + 25
        assert isinstance(desk.errors["call"], UpstreamUnavailable)
        await anyio.sleep(3600)
        api.default = Answer()
        await desk.until("job")
        assert desk.replies["job"].status == 200


@pytest.mark.parametrize("retries", [0, 3], ids=["none", "used up"])
async def test_a_job_without_retries_waits_for_a_connection(
    virtual: LoopClock, *, retries: int
) -> None:
    """Nothing of it has arrived: it is no retry that a job makes when there is no connection."""
    api = ScriptedApi(default=REFUSED)
    api.will("job", *[BROKEN] * retries)
    async with at_work(virtual, MINUTE, api=api, max_retries=retries) as desk:
        desk.start("job", job="j1")
        await anyio.sleep(3600)
        assert not desk.ended
        api.default = Answer()
        await desk.until("job")
        assert desk.replies["job"].status == 200
        assert len(api.arrivals) < 500


async def test_without_retries_a_request_ends_at_once(virtual: LoopClock) -> None:
    """With `max_retries` 0 a request that finds no connection is told after its one attempt."""
    async with at_work(virtual, MINUTE, api=ScriptedApi(default=REFUSED), max_retries=0) as desk:
        with pytest.raises(UpstreamUnavailable, match="the connection failed"):
            await desk.ask("a")
        assert desk.api.times == [0.0]
        assert (desk.of().attempts, desk.ledger.outcomes) == (1, ["unreachable"])


async def test_without_retries_an_outage_holds_back_all_the_same(virtual: LoopClock) -> None:
    """A second one that finds no connection shows that nobody does: it waits for the API's end."""
    api = ScriptedApi(default=REFUSED)
    async with at_work(virtual, MINUTE, api=api, max_retries=0, patience=600.0) as desk:
        desk.start("a")
        await desk.until("a")
        desk.start("b")
        await anyio.sleep(300.0)
        assert desk.broker.snapshot().state == "halted"
        assert desk.ended == ["a"]
        api.default = Answer()
        await desk.until("b")
        assert desk.replies["b"].status == 200


async def test_a_lone_request_that_the_api_cannot_stomach(virtual: LoopClock) -> None:
    """One that always fails is its own fault: it ends after its retries, a job's too."""
    api = ScriptedApi(default=BROKEN)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("job", job="j1")
        await desk.until("job")
        assert isinstance(desk.errors["job"], UpstreamUnavailable)
        assert len(api.arrivals) == 4
        assert desk.broker.snapshot().state == "open"


async def test_whoever_looks_in_vain_lets_another_look(virtual: LoopClock) -> None:
    """Requests that only fail for themselves end an outage as soon as another is answered."""
    api = ScriptedApi(default=Answer())
    bad = NAMES[:4]
    for name in bad:
        api.will(name, *[BROKEN] * 30)
    async with at_work(virtual, MINUTE, api=api) as desk:
        for name in bad:
            desk.start(name, job="j")
        await anyio.sleep(3)
        assert desk.broker.snapshot().state == "halted"
        desk.start("good")
        await desk.until("good")
        assert virtual.monotonic() < 40
        await desk.until(*bad)
        assert set(desk.errors) == set(bad)


async def test_requests_that_only_fail_for_themselves_end(virtual: LoopClock) -> None:
    """If nothing else is asked, jobs that the API says no to end after twenty looks each."""
    api = ScriptedApi(default=BROKEN)
    async with at_work(virtual, MINUTE, api=api) as desk:
        for name in NAMES[:4]:
            desk.start(name, job="j")
        await desk.until(*NAMES[:4])
        assert len(api.arrivals) <= 4 * 22


async def test_a_broken_model_is_no_outage(virtual: LoopClock) -> None:
    """While another model answers, the requests of a broken one fail for themselves."""
    api = ScriptedApi(default=BROKEN)
    async with at_work(virtual, MINUTE, api=api) as desk:
        api.will("small", Answer())
        await desk.broker.ask(request("small", model="grok-small"))
        for name in NAMES:
            desk.start(name, job="j")
        await desk.until(*NAMES)
        assert len(desk.errors) == len(NAMES)
        assert virtual.monotonic() < 10


async def test_one_that_looks_and_hears_nothing(virtual: LoopClock) -> None:
    """Silence is no answer while the API is down: nobody follows before it has lasted."""
    api = ScriptedApi(REFUSED, REFUSED, default=Answer(after=10.0))
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await anyio.sleep(1.5)
        for name in NAMES:
            desk.start(name)
        await desk.until("a", *NAMES)
        assert len(api.times) == 3 + len(NAMES)
        assert min(api.times[3:]) >= api.times[2] + 10


async def test_streams_are_held_back_alike(virtual: LoopClock) -> None:
    """A stream that has not begun waits like any other request."""
    api = ScriptedApi(default=REFUSED)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a", job="j1")
        await anyio.sleep(30)
        api.default = streamed()
        async with desk.broker.stream(_streaming()) as reply:
            assert b"".join([raw async for raw in reply]).endswith(b"[DONE]\n\n")
        api.default = Answer()
        await desk.until("a")


def _streaming() -> Request:
    return request("s", stream=True)


async def test_a_refusal_for_quota_is_an_answer(virtual: LoopClock) -> None:
    """An API that refuses is not down."""
    api = ScriptedApi(REFUSED, QUOTA, REFUSED, QUOTA, REFUSED)
    async with at_work(virtual, MINUTE, api=api) as desk:
        desk.start("a")
        await desk.until("a")
        assert not desk.errors


# -- the decision ---------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from(sorted(RETRYABLE)), st.sampled_from("ab")), max_size=30),
    st.integers(0, 9),
)
def test_two_requests_are_no_outage(
    failures: list[tuple[FailureKind, str]], under_way: int
) -> None:
    """However often two requests fail, they hold nobody back, if there was a connection."""
    reached = [one for one in failures if one[0] is not FailureKind.UNREACHABLE]
    assert not outage_of(*reached, under_way=under_way).on


@given(st.lists(st.sampled_from(sorted(RETRYABLE)), max_size=30), st.integers(0, 40))
def test_more_under_way_than_failed_is_no_outage(kinds: list[FailureKind], under_way: int) -> None:
    """What is still under way may be answered: as long as that is more, nobody is held back."""
    failures = [(kind, f"r{n}") for n, kind in enumerate(kinds) if kind != "unreachable"]
    outage = outage_of(*failures, under_way=under_way)
    assert not outage.on or len(failures) > under_way


@given(st.lists(st.sampled_from([*RETRYABLE, None]), max_size=60))
def test_an_answer_ends_it(story: list[FailureKind | None]) -> None:
    """Right after an answer there is no outage, and its end is told once."""
    outage = Outage()
    for number, kind in enumerate(story):
        if kind is None:
            before = outage.on
            assert outage.answered("m", number) == before
            assert not outage.answered("m", number)
            assert (outage.on, outage.reason(number)) == (False, "")
        else:
            one = request(f"r{number}")
            said = outage.failed(Failure(kind, "no"), one, now=number, under_way=0)
            assert not said or outage.on
