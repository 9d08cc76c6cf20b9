"""The contract of every ledger, whatever it keeps its attempts in.

Each ledger's factory gets an empty folder, or the URL of an empty database.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.ledger.attempt import FETCHED, UNSENT, Attempt, Settlement
from supervisor.ledger.ledger import Answered, Ledger, Spent
from supervisor.ledger.memory import MemoryLedger
from supervisor.ledger.postgresql import PostgresqlLedger
from supervisor.ledger.rows import QUICK
from supervisor.ledger.sqlite import SqliteLedger
from supervisor.messages import Usage
from supervisor.reading import Reading

LEDGERS: dict[str, Callable[[str], Ledger]] = {
    "memory": lambda _: MemoryLedger(),
    "sqlite": lambda folder: SqliteLedger(Path(folder, "ledger.sqlite")),
    "postgresql": PostgresqlLedger,
}
NOON = 1_800_014_400.0
"""Unix time of 2027-01-15 12:00 UTC."""
DAY = 86_400.0


@pytest.fixture(params=LEDGERS)
async def ledger(request: pytest.FixtureRequest, place: str) -> AsyncGenerator[Ledger]:
    """A ledger without attempts."""
    ledger = LEDGERS[request.param](place)
    async with at_work(ledger):
        yield ledger


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The name of the ledger."""
    name: str = request.node.callspec.params["ledger"]
    return name


@pytest.fixture
def place(request: pytest.FixtureRequest, kind: str) -> str:
    """Where a ledger without attempts can be kept."""
    return str(
        request.getfixturevalue("postgresql_database" if kind == "postgresql" else "tmp_path")
    )


@asynccontextmanager
async def at_work(ledger: Ledger) -> AsyncGenerator[None]:
    """A ledger that is open."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(ledger.run)
        yield
        tasks.cancel_scope.cancel()


def attempt(
    name: str,
    granted: float = NOON,
    *,
    traffic_class: str = "code",
    model: str = "grok-4.7",
    tokens: int = 1_000,
    cost: int = 0,
    size: int = 0,
) -> Attempt:
    """An attempt as the broker writes it down."""
    names = f"{name}/1", traffic_class, model, "job-1"
    return Attempt(*names, granted, 0.5, tokens, cost, size=size)


def answered(
    usage: Usage | None = None, *, tokens: int | None = None, latency: float = 1.5
) -> Settlement:
    """The end of an attempt that was answered."""
    used = usage.total if usage is not None else 0
    return Settlement(200, "answered", usage, latency, used if tokens is None else tokens)


def refused(outcome: str = "quota", *, status: int = 429, tokens: int = 0) -> Settlement:
    """The end of an attempt that was not answered."""
    return Settlement(status, outcome, None, 0.1, tokens)


async def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    """Where nothing was written down nothing was spent."""
    assert list(await ledger.spent_since(0.0)) == []
    assert list(await ledger.spent_elsewhere(0.0)) == []
    assert list(await ledger.reserved_since(0.0)) == []
    assert list(await ledger.usage()) == []
    assert list(await ledger.latest_answers()) == []


async def test_an_empty_batch(ledger: Ledger) -> None:
    """A batch of nothing is nothing."""
    await ledger.record([])
    assert list(await ledger.spent_since(0.0)) == []


async def test_a_batch_is_written_whole_and_in_order(ledger: Ledger) -> None:
    """What was granted together is there together, when `record` returns."""
    batch = [attempt(name, traffic_class=name) for name in "abc"]
    await ledger.record(batch)
    assert list(await ledger.spent_since(NOON)) == [Spent(name, NOON, 1_000) for name in "abc"]


async def test_spent_since_is_oldest_first(ledger: Ledger) -> None:
    """Attempts come back in the order in which they were granted, from the moment on."""
    for number in range(5):
        await ledger.record([attempt(str(number), NOON + number, tokens=number)])
    spent = await ledger.spent_since(NOON + 2)
    assert [(one.granted, one.tokens) for one in spent] == [
        (NOON + 2, 2),
        (NOON + 3, 3),
        (NOON + 4, 4),
    ]
    assert list(await ledger.spent_since(NOON + 4.001)) == []


async def test_oldest_first_on_a_clock_that_was_set_back(ledger: Ledger) -> None:
    """The order is that of the grants' moments, even where a clock was set back."""
    for moment in (NOON, NOON + 10, NOON + 5):
        await ledger.record([attempt(str(moment), moment)])
    spent = await ledger.spent_since(NOON)
    assert [one.granted for one in spent] == [NOON, NOON + 5, NOON + 10]


async def test_an_unsettled_attempt_counts_its_reservation(ledger: Ledger) -> None:
    """What nobody knows the end of counts as much as it was expected to."""
    await ledger.record([attempt("a", tokens=1_234)])
    assert list(await ledger.spent_since(NOON)) == [Spent("code", NOON, 1_234)]


@pytest.mark.parametrize(
    ("settlement", "tokens"),
    [
        (answered(Usage(300, 50, 100, 200)), 450),
        (answered(Usage(0, 0)), 0),
        (answered(None, tokens=1_000), 1_000),
        (refused(), 0),
        (refused("timeout", status=0, tokens=1_000), 1_000),
    ],
)
async def test_a_settled_attempt_counts_what_it_used(
    ledger: Ledger, settlement: Settlement, tokens: int
) -> None:
    """The settlement's tokens take the place of the reservation, and its end is known."""
    first, second = attempt("a"), attempt("b", NOON + 1)
    await ledger.record([first])
    await ledger.record([second])
    ledger.settle(first, settlement)
    assert list(await ledger.spent_since(NOON)) == [
        Spent("code", NOON, tokens, NOON + settlement.latency),
        Spent("code", NOON + 1, 1_000),
    ]


async def test_costs_are_told_by_hour(ledger: Ledger) -> None:
    """What was spent is there by the hour of its grant and by class, to the last tick."""
    cent = Decimal("0.0100000001")
    for number, granted in enumerate((NOON - 1, NOON, NOON + 10, NOON + 3_600)):
        one = attempt(str(number), granted, traffic_class="ab"[number % 2])
        await ledger.record([one])
        ledger.settle(one, answered(Usage(1, 1, cost=cent)))
    free = attempt("free", NOON)
    await ledger.record([free])
    ledger.settle(free, answered(Usage(1, 1)))
    found = [(one.start, one.traffic_class, one.cost) for one in await ledger.costs_since(NOON)]
    assert found == [(NOON, "a", cent), (NOON, "b", cent), (NOON + 3_600, "b", cent)]
    assert len(await ledger.costs_since(NOON - 1)) == 3
    assert len(await ledger.costs_since(NOON - 3_600)) == 4


async def test_reservations_of_money_are_kept(ledger: Ledger) -> None:
    """Each stands until its attempt has ended, and for good where nobody will tell the price."""
    names = [("a", NOON), ("b", NOON + 1), ("c", NOON + 2), ("d", NOON + 3_600)]
    attempts = [attempt(name, at, cost=5 * 10**9 + 1) for name, at in names]
    await ledger.record(attempts)
    ledger.settle(attempts[1], answered(Usage(1, 1, cost=Decimal("0.25"))))
    ledger.settle(attempts[2], Settlement(200, "cancelled", None, 1.0, 7, 5 * 10**9 + 1))
    found = [(one.start, one.cost) for one in await ledger.reserved_since(NOON)]
    assert found == [(NOON, Decimal("1.0000000002")), (NOON + 3_600, Decimal("0.5000000001"))]
    assert [one.cost for one in await ledger.costs_since(NOON)] == [Decimal("0.25")]
    ledger.settle(attempts[0], refused())
    ledger.settle(attempts[3], refused())
    (kept,) = await ledger.reserved_since(NOON)
    assert (kept.start, kept.cost) == (NOON, Decimal("0.5000000001"))
    assert not await ledger.reserved_since(NOON + 1)


@pytest.mark.parametrize("ledger", ["sqlite", "postgresql"], indirect=True)
async def test_a_reservation_outlives_its_process(ledger: Ledger, place: str, kind: str) -> None:
    """What was under way when a process was killed is reserved for the next one."""
    await ledger.record([attempt("a", cost=7)])
    successor = LEDGERS[kind](place)
    async with at_work(successor):
        (kept,) = await successor.reserved_since(NOON)
        assert (kept.start, kept.traffic_class, kept.cost) == (NOON, "code", Decimal("7e-10"))


async def test_a_promise_stays_reserved_until_it_is_fetched(ledger: Ledger) -> None:
    """Its post has ended long before, and only the sums know of it; nothing else is counted."""
    post = attempt("a/1", NOON, cost=7)
    await ledger.record([post])
    ledger.settle(post, Settlement(200, "deferred", None, 1.0, 5, 7))
    (kept,) = await ledger.reserved_since(NOON)
    assert kept.cost == Decimal("7e-10")
    before = await ledger.usage(), await ledger.spent_since(NOON)
    ledger.settle(replace(post, id="promise"), Settlement(0, FETCHED, None, 0.0, 0))
    assert not await ledger.reserved_since(NOON)
    assert (await ledger.usage(), await ledger.spent_since(NOON)) == before


@pytest.mark.parametrize("ledger", ["sqlite", "postgresql"], indirect=True)
async def test_what_another_process_sent_is_told_once(
    ledger: Ledger, place: str, kind: str
) -> None:
    """Neither what was there at the start nor what is its own, whoever wrote in between."""
    async with at_work(other := LEDGERS[kind](place)):
        await other.record([attempt("before")])
    ledger = LEDGERS[kind](place)
    async with at_work(ledger):
        await ledger.record([attempt("own 1", NOON + 1)])
        assert not await ledger.spent_elsewhere(NOON)
        other = LEDGERS[kind](place)
        async with at_work(other):
            theirs = [attempt(name, NOON + 2, traffic_class=name) for name in "xy"]
            await other.record(theirs)
            other.settle(theirs[1], answered(Usage(3, 4)))
            await other.usage()
            news = await ledger.spent_elsewhere(NOON)
            assert news == [Spent("x", NOON + 2, 1_000), Spent("y", NOON + 2, 7, NOON + 3.5)]
            assert not await ledger.spent_elsewhere(NOON)
            await ledger.record([attempt("own 2", NOON + 3), attempt("own 3", NOON + 3)])
            ledger.settle(attempt("own 1"), answered(Usage(1, 1)))
            await ledger.usage()
            assert len(await other.spent_elsewhere(NOON)) == 2
            await other.record([attempt("z", NOON + 4, traffic_class="z")])
            (third,) = await ledger.spent_elsewhere(NOON)
            assert third.traffic_class == "z"
        assert len(await ledger.spent_since(NOON)) == 7


async def test_a_long_answer_is_read_back_by_its_end(ledger: Ledger) -> None:
    """What was granted before the moment and ended after it is there: its tokens still count."""
    first, second = attempt("a", tokens=5), attempt("b", NOON + 1, tokens=6)
    await ledger.record([first, second])
    ledger.settle(first, Settlement(200, "answered", None, 90.0, 7))
    ledger.settle(second, Settlement(200, "answered", None, 1.0, 8))
    assert list(await ledger.spent_since(NOON + 60)) == [Spent("code", NOON, 7, NOON + 90)]


async def test_read_back_by_the_end_however_long_it_took(ledger: Ledger) -> None:
    """What ended at the moment or later is there once, and what ended before it is not."""
    latencies = (0.5, QUICK - 0.25, QUICK, QUICK + 0.25, 7_200.0)
    attempts = [attempt(str(number)) for number in range(len(latencies))]
    await ledger.record(attempts)
    for one, latency in zip(attempts, latencies, strict=True):
        ledger.settle(one, Settlement(200, "answered", None, latency, 7))
    for latency in latencies:
        later = [NOON + other for other in latencies if other > latency]
        for moment, expected in ((0.0, [NOON + latency, *later]), (0.125, later)):
            spent = await ledger.spent_since(NOON + latency + moment)
            assert sorted(one.ended or 0.0 for one in spent) == expected


def at_uptime(name: str, uptime: float, *, ahead: float = NOON, boot: int = 7) -> Attempt:
    """An attempt whose moment is known by a wall clock that is so far ahead of the uptime."""
    return replace(attempt(name, uptime + ahead), uptime=uptime, boot=boot)


@pytest.mark.parametrize("ahead", [NOON + 3 * 3_600.0, NOON, NOON - 3 * 3_600.0])
async def test_a_clock_that_was_set_changes_no_age(ledger: Ledger, ahead: float) -> None:
    """What was written since the system was started is as old as it is by uptime."""
    clocks = {10.0: NOON, 100.0: NOON, 130.0: NOON - 3_600, 160.0: NOON + 5_000, 190.0: NOON}
    attempts = [at_uptime(str(up), up, ahead=set_to) for up, set_to in clocks.items()]
    await ledger.record(attempts)
    ledger.settle(attempts[0], answered(latency=100.0, tokens=5))
    ledger.settle(attempts[2], answered(latency=30.0, tokens=6))
    now = Reading(ahead + 200.0, 200.0, 7)
    spent = await ledger.spent_since(now.wall - 100.0, now)
    ages = [(now.wall - one.granted, one.ended and now.wall - one.ended) for one in spent]
    assert ages == [(190.0, 90.0), (100.0, None), (70.0, 40.0), (40.0, None), (10.0, None)]
    later = Reading(ahead + 235.0, 235.0, 7)
    spent = await ledger.spent_since(later.wall - 100.0, later)
    assert [later.wall - one.granted for one in spent] == [105.0, 75.0, 45.0]


async def test_another_start_of_the_system_goes_by_wall_time(ledger: Ledger) -> None:
    """Uptimes of before a boot, or of another machine, say nothing here."""
    await ledger.record([at_uptime("theirs", 5_000.0, boot=8), at_uptime("ours", 190.0)])
    now = Reading(NOON + 260.0, 200.0, 7)
    granted = [one.granted for one in await ledger.spent_since(NOON, now)]
    assert granted == [NOON + 250.0, NOON + 5_000.0]
    assert not [one for one in await ledger.spent_since(NOON + 5_001.0, now)]


@pytest.mark.parametrize("boot", [7, 0])
async def test_an_attempt_counts_from_the_end_of_its_grace(ledger: Ledger, boot: int) -> None:
    """Until it has ended; then, by uptime, from when it really went. A longer grace may follow."""
    early, late = (
        replace(at_uptime(name, 100.0, boot=boot), grace=grace)
        for name, grace in (("early", 2.0), ("late", 2.0))
    )
    now = Reading(NOON + 150.0, 150.0, 7)

    async def moments() -> list[tuple[float, float | None]]:
        spent = await ledger.spent_since(NOON, now)
        return [(one.granted - NOON, one.ended and one.ended - NOON) for one in spent]

    await ledger.record([early, late])
    assert await moments() == [(102.0, None), (102.0, None)]
    await ledger.postpone([replace(late, grace=9.0)])
    assert await moments() == [(102.0, None), (109.0, None)]
    ledger.settle(replace(late, grace=5.0), answered(latency=20.0))
    ledger.settle(replace(early, grace=0.5), answered(latency=20.0))
    ends = [one.ended and one.ended - NOON for one in await ledger.spent_since(NOON, now)]
    assert ends == [120.5, 125.0]
    if boot:
        assert [granted for granted, _ in await moments()] == [100.5, 105.0]
    else:
        assert min(granted for granted, _ in await moments()) >= 100.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(-9_000, 9_000), st.integers(-1, 200))),
    st.integers(-9_000, 9_000),
    st.integers(1, 300),
)
def test_ages_are_those_of_uptime(
    kind: str, steps: list[tuple[int, int, int]], last: int, span: int
) -> None:
    """However often the wall clock is set, exactly what counts is read back, as old as it is."""

    async def keep(folder: str) -> None:
        ledger = LEDGERS[kind](folder)
        async with at_work(ledger):
            up, ends = 1_000.0, dict[float, float | None]()
            for number, (gap, shift, latency) in enumerate(steps):
                up += gap + 0.25
                one = at_uptime(str(number), up, ahead=NOON + shift)
                await ledger.record([one])
                ends[up] = None if latency < 0 else up + latency
                if latency >= 0:
                    ledger.settle(one, answered(latency=float(latency)))
            now = Reading(NOON + last + up + 1, up + 1, 7)
            since = now.uptime - span
            spent = await ledger.spent_since(now.wall - span, now)
            back = now.uptime - now.wall
            found = {one.granted + back: one.ended and one.ended + back for one in spent}
            assert found == {at: end for at, end in ends.items() if (end or at) >= since}

    with TemporaryDirectory() as folder:
        anyio.run(keep, folder)


async def test_a_reading_does_not_change(ledger: Ledger) -> None:
    """What was read stays as it was when more is written."""
    await ledger.record([attempt("a")])
    spent, rows = await ledger.spent_since(NOON), await ledger.usage()
    await ledger.record([attempt("b")])
    ledger.settle(attempt("a"), answered(Usage(1, 1)))
    assert list(spent) == [Spent("code", NOON, 1_000)]
    assert [row.attempts for row in rows] == [1]


async def test_usage_sums_up(ledger: Ledger) -> None:
    """A class's attempts of one model on one day are one row."""
    attempts = [attempt(name) for name in "abcd"]
    await ledger.record(attempts)
    ledger.settle(attempts[0], answered(Usage(300, 50, 100, 200, Decimal("0.25"))))
    ledger.settle(attempts[1], answered(Usage(10, 5)))
    ledger.settle(attempts[2], refused())
    (row,) = await ledger.usage()
    assert (row.day, row.traffic_class, row.model) == ("2027-01-15", "code", "grok-4.7")
    assert (row.attempts, row.answered, row.refused) == (4, 2, 1)
    assert (row.prompt, row.completion, row.reasoning, row.cached) == (310, 55, 100, 200)
    assert row.cost == Decimal("0.25")


@pytest.mark.parametrize("outcome", ["connection", "timeout", "server", "capacity", "cancelled"])
async def test_only_quota_is_refused(ledger: Ledger, outcome: str) -> None:
    """Other failures are attempts, neither answered nor refused."""
    await ledger.record([attempt("a")])
    ledger.settle(attempt("a"), refused(outcome, status=0))
    (row,) = await ledger.usage()
    assert (row.attempts, row.answered, row.refused) == (1, 0, 0)


@pytest.mark.parametrize("outcome", sorted(UNSENT))
async def test_what_was_not_sent_is_no_attempt(ledger: Ledger, outcome: str) -> None:
    """It keeps its place in the windows and is counted nowhere else."""
    await ledger.record([attempt("a"), attempt("b")])
    ledger.settle(attempt("a"), Settlement(0, outcome, Usage(), 0.1, 0))
    (row,) = await ledger.usage()
    assert (row.attempts, row.answered, row.refused) == (1, 0, 0)
    assert len(await ledger.spent_since(NOON)) == 2


async def test_the_last_answers_of_each_class_and_model(ledger: Ledger) -> None:
    """Twenty of each are told as they were asked, and nothing but what was answered."""
    code = [attempt(str(number), size=1 + number) for number in range(30)]
    ceo = attempt("ceo", traffic_class="ceo", size=7)
    older, other = attempt("older"), attempt("other", model="grok-4.3", size=5)
    refusal, lost = attempt("refusal", size=9), attempt("lost", size=9)
    await ledger.record([ceo, older, refusal, lost, *code, other])
    for one in [other, *code, older]:
        ledger.settle(one, answered(Usage(one.size, 2, 3, 1, Decimal("0.0000000001"))))
    ledger.settle(ceo, answered(None))
    ledger.settle(refusal, refused())
    usages = [Usage(1 + n, 2, 3, 1, Decimal("0.0000000001")) for n in range(10, 30)]
    assert list(await ledger.latest_answers()) == [
        Answered("ceo", "grok-4.7", 7, None),
        *(Answered("code", "grok-4.7", one.prompt, one) for one in usages),
        Answered("code", "grok-4.3", 5, Usage(5, 2, 3, 1, Decimal("0.0000000001"))),
    ]


async def test_usage_is_by_day_class_and_model(ledger: Ledger) -> None:
    """Rows differ in day, class or model; the newest day comes first."""
    attempts = [
        attempt("a", NOON - DAY),
        attempt("b", NOON),
        attempt("c", NOON, traffic_class="ceo"),
        attempt("d", NOON, model="grok-4.3"),
        attempt("e", NOON + DAY),
    ]
    await ledger.record(attempts)
    rows = await ledger.usage()
    assert {(row.day, row.traffic_class, row.model) for row in rows} == {
        ("2027-01-14", "code", "grok-4.7"),
        ("2027-01-15", "code", "grok-4.7"),
        ("2027-01-15", "ceo", "grok-4.7"),
        ("2027-01-15", "code", "grok-4.3"),
        ("2027-01-16", "code", "grok-4.7"),
    }
    days = [row.day for row in rows]
    assert days == sorted(days, reverse=True)


async def test_a_day_is_utc(ledger: Ledger) -> None:
    """Midnight is the same everywhere: a second apart can be a day apart."""
    midnight = NOON + DAY / 2
    await ledger.record([attempt("a", midnight - 0.001), attempt("b", midnight)])
    assert [row.day for row in await ledger.usage()] == ["2027-01-16", "2027-01-15"]


async def test_usage_outlives_the_attempts(ledger: Ledger) -> None:
    """Sums stay when single attempts are long forgotten, and late settlements still count."""
    await ledger.record([attempt("a", NOON)])
    await ledger.record([attempt("b", NOON + 30 * DAY)])
    ledger.settle(attempt("a", NOON), answered(Usage(7, 3)))
    first, last = sorted(await ledger.usage(), key=lambda row: row.day)
    assert (first.attempts, first.answered, first.prompt, last.attempts) == (1, 1, 7, 1)


COUNTS = st.integers(0, 10**12)
ENDS = st.none() | st.builds(
    answered,
    st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, st.none() | st.decimals(0, 999, places=10)),
    latency=st.sampled_from([0.0, 1.5, QUICK])
    | st.floats(QUICK - 1, QUICK + 1)
    | st.floats(0, DAY),
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(
    st.lists(st.tuples(st.floats(0, 3_600), st.integers(0, 10**9), ENDS), max_size=12),
    st.floats(0, 3_600),
)
def test_the_books_are_right(
    kind: str,
    entries: list[tuple[float, int, Settlement | None]],
    moment: float,
) -> None:
    """Whatever was written down, what is read back agrees with it to the last token and cent."""

    async def keep(folder: str) -> None:
        ledger = LEDGERS[kind](folder)
        async with at_work(ledger):
            await keep_books(ledger)

    async def keep_books(ledger: Ledger) -> None:
        expected: list[Spent] = []
        for number, (at, tokens, end) in enumerate(sorted(entries, key=lambda entry: entry[0])):
            one = attempt(str(number), NOON + at, tokens=tokens)
            await ledger.record([one])
            if end is not None:
                ledger.settle(one, end)
            ended = None if end is None else NOON + at + end.latency
            if (ended or NOON + at) >= NOON + moment:
                used = tokens if end is None else end.tokens
                expected.append(Spent("code", NOON + at, used, ended))
        assert list(await ledger.spent_since(NOON + moment)) == expected
        usages = [end.usage for _, _, end in entries if end is not None and end.usage is not None]
        for row in await ledger.usage():
            assert row.attempts == len(entries)
            assert row.answered == len(usages)
            assert row.prompt == sum(usage.prompt for usage in usages)
            assert row.cost == sum((usage.cost or Decimal(0) for usage in usages), Decimal(0))

    with TemporaryDirectory() as folder:
        anyio.run(keep, folder)


async def test_a_settlement_that_no_store_can_hold_stops_nothing(ledger: Ledger, kind: str) -> None:
    """What cannot be written is dropped alone: companions and later attempts are written down."""
    await ledger.record([attempt("a"), attempt("b")])
    ledger.settle(attempt("a"), answered(Usage(10**19, 1, 0, 0)))
    ledger.settle(attempt("b"), answered(Usage(3, 4, 0, 0)))
    await ledger.record([attempt("c")])
    await ledger.record([attempt("d")])
    (row,) = await ledger.usage()
    # Memory can hold any number.
    kept = (4, 2, 3 + 10**19) if kind == "memory" else (4, 1, 3)
    assert (row.attempts, row.answered, row.prompt) == kept
