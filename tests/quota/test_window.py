"""The exact logs against brute force."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.quota.window import RequestWindow, TokenWindow
from tests.properties.oracle import TICK, bound, worst

NOW_ALREADY = float("-inf")
NOBODY_KNOWS = float("inf")
JITTER = 4 * TICK
SPAN = 132
STEPS = st.sampled_from([0, 0, 1, 5, 16, SPAN - 2, SPAN - 1, SPAN, 200])
"""Time between two deeds, in ticks; W + J and a little less are the moments that matter."""
OWNERS = st.integers(0, 2)


def requests(amount: int, *, period: float = 2.0, jitter: float = JITTER) -> RequestWindow:
    """A window on requests."""
    return RequestWindow(Limit(amount, "requests", period), jitter)


def tokens(amount: int, *, period: float = 2.0, jitter: float = JITTER) -> TokenWindow:
    """A window on tokens."""
    return TokenWindow(Limit(amount, "tokens", period), jitter)


def greedy(window: RequestWindow, moments: list[float]) -> list[float]:
    """Take whenever there is room, at each moment as much as fits."""
    taken: list[float] = []
    for now in moments:
        window.expire(now)
        while window.used < window.amount:
            window.take(now, 0)
            taken.append(now)
    return taken


def moments_after(steps: list[int], start: float = 0.0) -> list[float]:
    """Ascending moments."""
    moments = [start]
    for step in steps:
        moments.append(moments[-1] + step * TICK)
    return moments


# -- requests --------------------------------------------------------------------------------------


@given(amount=st.integers(1, 6), steps=st.lists(STEPS, max_size=40))
def test_the_greediest_never_exceed_the_window(amount: int, steps: list[int]) -> None:
    """At most N grants fall into any half-open W + J, however greedily they are taken."""
    window = requests(amount)
    taken = greedy(window, moments_after(steps))
    assert worst([(moment, 1) for moment in taken], window.span) <= amount


def test_a_unit_returns_exactly_when_it_leaves() -> None:
    """A grant counts until W + J after it, and at that very moment no more."""
    window = requests(1, period=2.0, jitter=0.25)
    window.take(10.0, 0)
    window.expire(12.249)
    assert (window.used, window.returns_at(1)) == (1, 12.25)
    window.expire(12.25)
    assert (window.used, window.returns_at(1)) == (0, NOW_ALREADY)


@dataclass
class Model:
    """A window as a plain list."""

    amount: int
    span: float
    log: list[tuple[float, int, int]] = field(default_factory=list[tuple[float, int, int]])

    def living(self, now: float) -> list[tuple[float, int, int]]:
        return [entry for entry in self.log if now < entry[0] + self.span]

    def used(self, now: float, owner: int | None = None) -> int:
        return sum(n for _, by, n in self.living(now) if owner is None or by == owner)

    def returning(self, now: float, within: float) -> int:
        return sum(n for at, _, n in self.living(now) if at + self.span <= now + within)


@settings(max_examples=60)
@given(
    amount=st.integers(1, 6),
    deeds=st.lists(st.tuples(STEPS, OWNERS, st.booleans()), max_size=40),
    within=st.sampled_from([0.0, 0.5, 1.0, 2.25]),
)
def test_a_request_window_agrees_with_a_list(
    amount: int, deeds: list[tuple[int, int, bool]], within: float
) -> None:
    """What is used, by whom, and what returns when, is what counting says."""
    window = requests(amount)
    model = Model(amount, window.span)
    now = 0.0
    for step, owner, late in deeds:
        now += step * TICK
        window.expire(now)
        if model.used(now) < amount:
            window.take(now, owner)
            if late:  # released only after its decision
                now += 3 * TICK
                window.restamp(1, now)
                window.expire(now)
            model.log.append((now, owner, 1))
        assert window.used == model.used(now)
        assert [window.used_by(one) for one in range(3)] == [
            model.used(now, one) for one in range(3)
        ]
        assert window.returning(now, within) == model.returning(now, within)
        free = amount - window.used
        returns = sorted(at + window.span for at, _, _ in model.living(now))
        for units in range(1, amount + 1):
            expected = NOW_ALREADY if units <= free else returns[units - free - 1]
            assert window.returns_at(units) == expected


@given(steps=st.lists(STEPS, max_size=30), counts=st.lists(st.integers(1, 3), max_size=30))
def test_released_late_it_still_holds_the_law(steps: list[int], counts: list[int]) -> None:
    """Grants moved to the moment of their release are counted from there."""
    window, now = requests(3), 0.0
    released: list[tuple[float, int]] = []
    for step, count in zip(steps, counts, strict=False):
        now += step * TICK
        window.expire(now)
        batch = min(count, window.amount - window.used)
        for _ in range(batch):
            window.take(now, 0)
        now += 7 * TICK
        window.restamp(batch, now)
        released += [(now, 1)] * batch
    assert worst(released, window.span) <= 3


@given(
    batches=st.lists(st.tuples(STEPS, st.lists(OWNERS, max_size=3), st.booleans()), max_size=20),
    writing=st.sampled_from([0, 1, SPAN + 1]),
)
def test_what_is_taken_back_never_was(
    batches: list[tuple[int, list[int], bool]], writing: int
) -> None:
    """After any batches that were not sent the log is as if they had not been granted."""
    window, straight, now = requests(60), requests(60), 0.0
    for step, owners, sent in batches:
        now += step * TICK
        window.expire(now)
        for owner in owners:
            window.take(now, owner)
            if sent:
                straight.take(now, owner)
        decided, now = now, now + writing * TICK
        window.expire(now)
        # Another process's, read back meanwhile, may lie behind it.
        for log in (window, straight) if writing else ():
            log.insert(decided + TICK / 2, 2)
        if not sent and owners:
            window.take_back(len(owners), decided)
        for log in (window, straight):
            log.expire(now)
        assert window.used == straight.used
        assert [window.used_by(one) for one in range(3)] == [
            straight.used_by(one) for one in range(3)
        ]
        assert window.next_return() == straight.next_return()
        assert window.returns_at(61) == straight.returns_at(61)


def test_trimming_changes_no_answer() -> None:
    """A log that has dropped what it forgot long ago answers as one that never had it."""
    long_used, fresh = requests(6_000), requests(6_000)
    for number in range(12_000):
        moment = number * TICK
        long_used.expire(moment)
        long_used.take(moment, number % 3)
        if moment + fresh.span > 11_999 * TICK:
            fresh.take(moment, number % 3)
    for later in (0.0, 0.5, 1.0):
        now = 11_999 * TICK + later
        long_used.expire(now)
        fresh.expire(now)
        assert long_used.used == fresh.used > 0
        assert long_used.returning(now, 1.0) == fresh.returning(now, 1.0)
        assert long_used.returns_at(5_950) == fresh.returns_at(5_950)
        assert [long_used.used_by(one) for one in range(3)] == [
            fresh.used_by(one) for one in range(3)
        ]


@given(amount=st.integers(1, 5), steps=st.lists(STEPS, max_size=20), units=st.integers(1, 20))
def test_a_full_window_knows_when_a_long_queue_goes(
    amount: int, steps: list[int], units: int
) -> None:
    """From a full window on, the k-th unit comes when the bound of quota.md says."""
    window = requests(amount)
    moments = moments_after(steps)
    taken = greedy(window, moments)
    now = moments[-1]
    plan = bound(taken + [now] * units, [(amount, window.span)])
    assert window.returns_at(units) == plan[-1]


def test_a_window_with_room_knows_when_a_long_queue_goes() -> None:
    """From a window that is not full, too, the k-th unit comes when the bound says."""
    window = requests(100, period=60.0, jitter=0.25)
    window.take(0.0, 0)
    window.expire(1.0)
    plan = bound([0.0] + [1.0] * 151, [(100, window.span)])
    assert window.returns_at(151) == plan[-1] == 61.25


def test_an_empty_window_does_not_give_more_than_it_holds() -> None:
    """More units than a window holds are never free at once."""
    assert requests(100).returns_at(101) > NOW_ALREADY


# -- tokens ----------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    deeds=st.lists(
        st.tuples(STEPS, OWNERS, st.integers(0, 30), st.booleans(), st.integers(0, 10)),
        max_size=40,
    ),
    within=st.sampled_from([0.0, 0.5, 2.25]),
)
def test_a_token_window_agrees_with_a_list(
    deeds: list[tuple[int, int, int, bool, int]], within: float
) -> None:
    """Used is what is in flight and what was settled within W + J; nothing is ever negative."""
    window = tokens(100)
    model = Model(100, window.span)
    flying: list[tuple[int, int]] = []
    now = 0.0
    for step, owner, count, settles, part in deeds:
        now += step * TICK
        window.expire(now)
        if settles and flying:
            who, reserved = flying.pop(part % len(flying))
            actual = reserved * part // 8  # now and then more than was reserved
            window.settle(now, who, reserved=reserved, actual=actual)
            model.log.append((now, who, actual))
        elif not settles and window.used + count <= 100:
            window.reserve(count, owner)
            flying.append((owner, count))
        held = sum(count for _, count in flying)
        assert window.used == held + model.used(now) >= 0
        for one in range(3):
            mine = sum(count for who, count in flying if who == one)
            assert window.used_by(one) == mine + model.used(now, one)
        assert window.returning(now, within) == model.returning(now, within)
        for units in (1, 40, 100):
            assert window.returns_at(units) == _returns_at(model, now, held, units)


def _returns_at(model: Model, now: float, held: int, units: int) -> float:
    free = model.amount - held - model.used(now)
    if units <= free:
        return NOW_ALREADY
    for at, _, count in model.living(now):
        free += count
        if units <= free:
            return at + model.span
    return NOBODY_KNOWS


def test_tokens_are_trimmed_without_a_trace() -> None:
    """A log of tokens that has dropped long forgotten entries still adds up."""
    window = tokens(1_000)
    for number in range(10_000):
        window.expire(number * TICK)
        window.reserve(2, number % 2)
        window.settle(number * TICK, number % 2, reserved=2, actual=3)
    now = 9_999 * TICK
    inside = round(window.span / TICK)
    assert window.used == 3 * inside
    assert window.used_by(0) + window.used_by(1) == window.used
    assert window.returning(now, 1.0) == 3 * 64
    window.expire(now + window.span)
    assert (window.used, window.used_by(0)) == (0, 0)
    window.settle(now + 10.0, 0, reserved=0, actual=7)
    assert window.returns_at(1_000) == now + 10.0 + window.span


def test_a_log_of_tokens_that_was_emptied_begins_anew() -> None:
    """When all of a long log has left at once, what comes after is counted as in a new one."""
    window = tokens(10_000)
    for number in range(5_000):
        window.reserve(1, 0)
        window.settle(number * TICK / 64, 0, reserved=1, actual=1)
    window.expire(1_000.0)
    assert window.used == 0
    window.reserve(7, 0)
    window.settle(1_001.0, 0, reserved=7, actual=7)
    assert window.returning(1_001.0, window.span) == 7
    assert window.returns_at(10_000) == 1_001.0 + window.span


def test_a_refused_attempt_gives_its_tokens_back_at_once() -> None:
    """A reservation settled with nothing leaves nothing behind."""
    window = tokens(100)
    window.reserve(80, 0)
    window.settle(1.0, 0, reserved=80, actual=0)
    assert (window.used, window.returns_at(100)) == (0, NOW_ALREADY)


# -- what is learned of later ----------------------------------------------------------------------


@given(
    deeds=st.lists(st.tuples(STEPS, OWNERS, st.integers(0, 9), st.booleans()), max_size=30),
    pause=STEPS,
    later=STEPS,
)
def test_what_is_inserted_counts_as_if_it_had_been_there(
    deeds: list[tuple[int, int, int, bool]], pause: int, later: int
) -> None:
    """Learned of at last, in whatever order: used, by whom, since when and until when agree."""
    moments = moments_after([step for step, *_ in deeds])
    log = [(at, *deed[1:]) for at, deed in zip(moments, deeds, strict=False)]
    now = moments[-1] + pause * TICK
    whole, told = Pair(requests(99), tokens(99)), Pair(requests(99), tokens(99))
    for at, owner, count, own in log:
        whole.note(at, owner, count)
        if own:
            told.note(at, owner, count)
    assert whole.looks(now)
    assert told.looks(now)
    for at, owner, count, own in reversed(log):
        if not own:
            told.attempts.insert(at, owner)
            told.used.insert(at, owner, count)
    for moment in (now, now + later * TICK):
        assert told.looks(moment) == whole.looks(moment)


@dataclass
class Pair:
    """A window on requests and one on tokens."""

    attempts: RequestWindow
    used: TokenWindow

    def note(self, at: float, owner: int, count: int) -> None:
        """Write an attempt and its tokens down when they happen."""
        self.looks(at)
        self.attempts.take(at, owner)
        self.used.settle(at, owner, reserved=0, actual=count)

    def looks(self, now: float) -> list[tuple[object, ...]]:
        """All that they say."""
        for window in (self.attempts, self.used):
            window.expire(now)
        return [
            (
                window.used,
                [window.used_by(one) for one in range(3)],
                window.next_return(),
                window.returning(now, 1.0),
                window.returns_at(80),
                window.counted_since(now - window.span),
            )
            for window in (self.attempts, self.used)
        ]
