"""Reserves: kept for those who have a share, lent where they are not needed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.quota.room import Room
from supervisor.quota.window import RequestWindow, TokenWindow

PERIOD = 8.0
SHARES = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3]), min_size=3, max_size=3)
OWNERS = st.integers(0, 2)
DEED = st.sampled_from(["open", "honour", "take", "fill", "save", "found", "review"])
DEEDS = st.lists(st.tuples(DEED, OWNERS), max_size=80)


def room(amount: int = 20, **shares: float) -> tuple[Room, RequestWindow]:
    """A room whose classes are `a`, `b`, `c` (0, 1, 2) with these shares, fully wanted."""
    window = RequestWindow(Limit(amount, "requests", PERIOD), 0.0)
    one = Room(window, 0.0)
    for name, share in shares.items():
        one.set_share("abc".index(name), share, initial=amount)
    return one, window


def held(one: Room) -> list[float]:
    """What each of three classes holds."""
    return [reserve.held if (reserve := one.reserve_of(owner)) else 0.0 for owner in range(3)]


@settings(max_examples=80)
@given(amount=st.integers(1, 30), shares=SHARES, deeds=DEEDS)
def test_reserves_never_hold_more_than_is_free(
    amount: int, shares: list[float], deeds: list[tuple[str, int]]
) -> None:
    """Held rooms are within what is free and within the shares, and nobody is offered more."""
    one, window = room(amount, **dict(zip("abc", shares, strict=True)))
    one.open(0.0)
    now = 0.0
    for deed, owner in deeds:
        now += 0.7 if deed == "open" else 0.0
        do(deed, one, owner, now=now)
        free = amount - window.used
        assert free >= 0
        assert min(held(one)) >= 0
        assert sum(held(one)) <= free + 1e-9
        for number, share in enumerate(shares):
            assert one.available(number) <= free + 1e-9
            # A share of less than one request still keeps one, or it could never be used.
            assert held(one)[number] <= max(share * amount, 1.0) + 1e-9


def do(deed: str, one: Room, owner: int, *, now: float) -> None:
    """One of the things that happen to a room."""
    assert isinstance(one.window, RequestWindow)
    match deed:
        case "open":
            one.open(now)
        case "take" if one.available(owner) >= 1:
            one.took(owner, 1)
            one.window.take(now, owner)
        case "found":
            one.found(owner, 1, ready=now % 3 < 1)
        case "review":
            one.review(now, 0.7)
        case "honour":
            one.honour(owner)
        case "fill":
            one.fill(owner)
        case _:
            one.save()


def test_what_is_unspoken_for_goes_first() -> None:
    """A class takes what nobody kept before it touches its own reserve."""
    one, window = room(20, a=0.3)
    one.open(0.0)
    one.fill(0)
    assert (one.available(0), one.available(1)) == (20, 14)
    for _ in range(14):
        one.took(0, 1)
        window.take(0.0, 0)
    assert (held(one)[0], one.available(1)) == (6.0, 0.0)
    one.took(0, 1)
    assert held(one)[0] == 5.0


def test_a_reserve_is_not_open_to_others() -> None:
    """What a class keeps nobody else may take."""
    one, _ = room(10, a=0.5)
    one.open(0.0)
    one.fill(0)
    for _ in range(5):
        one.took(1, 1)
    assert (one.available(1), one.available(0)) == (0.0, 5.0)


def test_a_waiting_class_within_its_share_comes_before_all_else() -> None:
    """Honoured, it is offered its next room even when everything else is spoken for."""
    one, window = room(10, a=0.5)
    for number in range(10):
        window.take(number * 0.5, 1)
    one.open(PERIOD)
    one.honour(0)
    assert (one.available(0), one.available(1)) == (1.0, 0.0)


def test_a_class_that_had_its_share_is_not_honoured() -> None:
    """A class that has spent its share of the window waits its turn."""
    one, window = room(10, a=0.2)
    for _ in range(2):
        window.take(0.0, 0)
    one.open(0.0)
    one.honour(0)
    assert held(one)[0] == 0.0


def test_what_was_used_beyond_its_reservation_is_nobodys_room() -> None:
    """When answers are longer than expected, reserves shrink to what is really free."""
    window = TokenWindow(Limit(100, "tokens", PERIOD), 0.0)
    one = Room(window, 0.0)
    one.set_share(0, 0.5, initial=50)
    one.open(0.0)
    one.fill(0)
    assert held(one)[0] == 50
    window.reserve(20, 1)
    window.settle(1.0, 1, reserved=20, actual=80)
    one.open(1.0)
    assert held(one)[0] == 20
    assert (one.available(0), one.available(1)) == (20, 0)
    window.settle(1.0, 1, reserved=0, actual=50)
    one.open(1.0)
    assert (held(one)[0], one.available(0), one.available(1)) == (0, 0, 0)


def test_a_share_taken_away_keeps_nothing() -> None:
    """A class without a share has no reserve."""
    one, _ = room(10, a=0.5)
    one.open(0.0)
    one.fill(0)
    one.set_share(0, 0.0, initial=10)
    one.open(0.0)
    assert one.reserve_of(0) is None
    assert one.available(1) == 10


def test_a_reserve_grows_by_whoever_found_it_empty_and_shrinks_by_those_who_did_not() -> None:
    """It settles where one in a hundred finds it empty."""
    one, _ = room(100, a=0.5)
    reserve = one.reserve_of(0)
    assert reserve is not None
    reserve.wanted = 2.0
    for _ in range(100):
        one.found(0, 1, ready=True)
    shrunk = reserve.wanted
    one.found(0, 1, ready=False)
    assert 0.9 < 2.0 - shrunk < 1.1
    assert reserve.wanted == pytest.approx(shrunk + 1)


def test_a_class_that_is_quiet_for_long_keeps_little() -> None:
    """After several windows without a request nearly everything is lent to the others."""
    one, window = room(100, a=0.5)
    now = 0.0
    while now < 40 * PERIOD:
        now += PERIOD / 10
        one.open(now)
        one.fill(0)
        one.review(now, PERIOD / 10)
    one.open(now)
    assert one.available(1) >= 95
    assert one.kept() <= 2.0
    assert window.used == 0


def test_saving_keeps_all_that_is_free_until_the_next_round() -> None:
    """For a larger request everybody else finds nothing, and the next round begins anew."""
    one, _ = room(10)
    one.open(0.0)
    one.save()
    assert one.available(1) == 0
    one.open(0.0)
    assert one.available(1) == 10


# -- bugs ------------------------------------------------------------------------------------------


def test_a_lowered_share_holds_at_once() -> None:
    """After a share was lowered its reserve is no larger than the new one."""
    one, _ = room(100, a=0.5)
    one.open(0.0)
    one.fill(0)
    one.set_share(0, 0.1, initial=100)
    one.open(1.0)
    one.fill(0)
    assert held(one)[0] <= 10


def test_a_reserve_of_less_than_one_request_stands_in_nobodys_way() -> None:
    """A share that does not come to one request does not keep the only one from the others."""
    one, _ = room(1, a=0.1)
    one.open(0.0)
    one.fill(0)
    assert one.available(0) >= 1
    assert one.available(1) >= 1


def test_a_reserve_holds_whole_requests() -> None:
    """One that wants a little less than two holds two: a part of one would be of no use."""
    one, _ = room(20, a=0.1)
    one.open(0.0)
    one.fill(0)
    one.took(0, 1)
    one.found(0, 1, ready=True)
    one.open(0.1)
    one.fill(0)
    assert held(one)[0] == 2.0
