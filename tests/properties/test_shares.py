"""Guarantees and lending, from outside: who got what, over many windows."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.messages import TrafficClass
from tests.properties.drive import Drive, Grant

URGENT = TrafficClass("urgent", priority=0)
LIMITS = st.sampled_from(
    [
        ("20 requests / 8s",),
        ("7 requests / 4s",),
        ("20 requests / 8s", "4 requests / 1s"),
        ("40 requests / 16s", "20 requests / 4s"),
    ]
)


def grants(drive: Drive, since: float = 0.0) -> Counter[str]:
    """How many each class got from a moment on."""
    return Counter(grant.name for grant in drive.grants if grant.at >= since)


# -- guarantees ------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=15)
@given(limits=LIMITS, share=st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_a_class_with_a_share_advances_under_an_endless_urgent_backlog(
    limits: tuple[str, ...], share: float
) -> None:
    """It gets its share of what goes, rounded down to requests of a window, at least one."""
    drive = Drive(limits, URGENT, TrafficClass("low", priority=80, share=share))
    drive.backlog("urgent")
    drive.backlog("low")
    drive.run(96.0)
    count = grants(drive, 32.0)
    windows = 64.0 / (Limit.parse(limits[0]).period + 0.25)
    per_window = max(1, int(share * Limit.parse(limits[0]).amount))
    assert count["low"] >= int(windows * per_window) - 1
    assert count["urgent"] >= 0.4 * count.total()


def test_a_class_without_a_share_gets_what_is_left() -> None:
    """Strict priority starves whom nothing was promised, and nobody else."""
    drive = Drive(
        ["20 requests / 8s"],
        URGENT,
        TrafficClass("promised", priority=40, share=0.2),
        TrafficClass("rest", priority=80),
    )
    for name in drive.owners:
        drive.backlog(name)
    drive.run(80.0)
    count = grants(drive, 16.0)
    assert count["rest"] == 0
    assert 0.18 <= count["promised"] / count.total() <= 0.22


def test_what_the_urgent_do_not_want_goes_to_the_rest() -> None:
    """A class that nobody blocks uses the whole window, whatever others might want."""
    drive = Drive(
        ["20 requests / 8s"],
        TrafficClass("urgent", priority=0, share=0.5),
        TrafficClass("rest", priority=80),
    )
    drive.backlog("rest")
    drive.run(160.0)
    windows = 80.0 / 8.25
    assert len(drive.times("rest", 80.0)) >= 0.85 * 20 * windows


@pytest.mark.slow
@settings(max_examples=30)
@given(
    limits=LIMITS,
    shares=st.lists(st.sampled_from([0.0, 0.1, 0.2]), min_size=2, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_no_room_is_left_that_nobody_keeps(
    limits: tuple[str, ...], shares: list[float], seed: int
) -> None:
    """Whoever still waits after a round is short of unreserved room in some window, or paced."""
    dice = Random(seed)
    classes = [
        TrafficClass(f"class{n}", priority=dice.choice([0, 40]), share=share)
        for n, share in enumerate(shares)
    ]
    drive = Drive(limits, *classes)
    moments = [0.0, *(20.0 * dice.random() for _ in range(dice.randint(0, 12)))]
    for one in classes:
        for _ in range(dice.randint(0, 40)):
            drive.at(dice.choice(moments), partial(drive.submit, one.name))
    for _ in range(60):
        drive.run(drive.now + 0.5)
        while drive.round().grants:
            pass
        for one in classes:
            if drive.scheduler.waiting(drive.owners[one.name]):
                paced = drive.quota.pace(drive.owners[one.name]) is not None
                assert paced or drive.quota.allowance(drive.now) < 1 or _unreserved(drive, one) < 1


def _unreserved(drive: Drive, mine: TrafficClass) -> int:
    """What a class could have of the tightest window, in whole requests."""
    left: list[float] = []
    for one in drive.quota.snapshot(drive.now).windows:
        kept = [units for name, units in one.reserved.items() if name != mine.name]
        # What is shown is rounded to tenths.
        left.append(one.amount - one.used - sum(kept) - 0.05 * len(kept))
    return int(min(left))


# -- tokens ----------------------------------------------------------------------------------------


def test_a_large_request_keeps_its_place() -> None:
    """Once it is first, no smaller one of its class or below passes it, and it goes in time."""
    drive = Drive(
        ["1000 tokens / 8s"], TrafficClass("mid", priority=40), TrafficClass("low", priority=80)
    )
    drive.backlog("low", tokens=50)
    drive.run(20.0)
    before = len(drive.grants)
    large = drive.submit("mid", tokens=900)
    small = drive.submit("mid", tokens=10)
    drive.run(40.0)
    order = [grant.ticket for grant in drive.grants[before:]]
    assert order.index(large) < order.index(small)
    assert all(ticket.owner != drive.owners["low"] for ticket in order[: order.index(large)])


def test_nobody_slips_past_a_large_request_for_ever() -> None:
    """However long it stands first and however long answers take, smaller ones stay behind it."""
    drive = Drive(
        ["1000 tokens / 8s", "30 requests / 8s"],
        TrafficClass("mid", priority=40),
        TrafficClass("low", priority=80),
        latency=1.0,
    )
    drive.backlog("low", tokens=200)
    drive.run(20.0)
    large = drive.submit("mid", tokens=900)
    drive.run(320.0)
    assert large in [grant.ticket for grant in drive.grants]


def test_a_share_does_not_keep_a_large_request_out_for_ever() -> None:
    """A request that fits into the window goes in the end, beside a class with a share, too."""
    dice = Random(1)

    def answer_later(grant: Grant) -> None:
        moment = drive.now + 10.0 * dice.random()
        drive.at(moment, partial(drive.answer, grant.ticket, grant.ticket.tokens))

    drive = Drive(
        ["1000 tokens / 8s"],
        TrafficClass("mid", priority=40),
        TrafficClass("low", priority=80, share=0.3),
        granted=answer_later,
    )
    drive.backlog("low", tokens=100)
    drive.run(20.0)
    large = drive.submit("mid", tokens=900)
    drive.run(320.0)
    assert large in [grant.ticket for grant in drive.grants]


def test_a_large_request_goes_as_soon_as_room_suffices() -> None:
    """It waits exactly until enough tokens have returned."""
    drive = Drive(["1000 tokens / 8s"], TrafficClass("mid"), latency=1.0)
    for second in range(5):
        drive.at(float(second), partial(drive.submit, "mid", tokens=200))
    drive.run(5.5)
    drive.submit("mid", tokens=500)
    drive.run(30.0)
    # Answers of 200 were booked at 1, 2, 3, 4, 5 s; the third of them returns at 3 + 8.25 s.
    assert drive.grants[-1].at == 11.25


def test_a_more_urgent_request_may_pass_a_large_one() -> None:
    """Room is saved against the less urgent only."""
    drive = Drive(["1000 tokens / 8s"], URGENT, TrafficClass("mid", priority=40))
    drive.submit("mid", tokens=500)
    drive.run(1.0)
    large = drive.submit("mid", tokens=900)
    drive.run(2.0)
    urgent = drive.submit("urgent", tokens=100)
    drive.run(30.0)
    assert [grant.ticket for grant in drive.grants[1:]] == [urgent, large]
