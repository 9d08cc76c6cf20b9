"""All windows of a key together: what stands in the way, what is counted, what is shown."""

from __future__ import annotations

from supervisor.limits import Limit
from supervisor.messages import TrafficClass
from supervisor.quota.block import Obstacle
from supervisor.quota.quota import Quota

ANY = float("inf")
START = 20_000.0
"""When the tests begin: late enough that what proved the limits has left every window."""


def at(seconds: float) -> float:
    """A moment after the start."""
    return START + seconds


def quota(*limits: str, jitter: float = 0.25) -> Quota:
    """A key with one class, `code`, numbered 0, and limits that have proved themselves."""
    parsed = [Limit.parse(limit) for limit in limits]
    one = Quota(parsed, jitter=jitter, now=0.0)
    one.set_class(TrafficClass("code"))
    requests = [limit for limit in parsed if limit.unit == "requests"]
    pause = max((limit.period / limit.amount for limit in requests), default=0.0)
    for number in range(3 * max((limit.amount for limit in requests), default=0) + 1):
        one.take(0, 0, number * pause)
    return one


def send(one: Quota, count: int, *, now: float = 0.0, tokens: int = 0, owner: int = 0) -> int:
    """Grant up to `count` requests of a class in one round, `now` seconds after the start.

    Returns:
        How many really went.
    """
    allowance = one.open(at(now))
    for sent in range(count):
        if sent >= allowance or one.blocked(owner, tokens, at(now)) is not None:
            return sent
        one.take(owner, tokens, at(now))
    return count


def obstacle(one: Quota, *, now: float, tokens: int = 0, owner: int = 0) -> tuple[Obstacle, float]:
    """What blocks the next request of a class, and until how long after the start."""
    one.open(at(now))
    block = one.blocked(owner, tokens, at(now))
    assert block is not None
    return block.obstacle, block.until - START


# -- what stands in the way ------------------------------------------------------------------------


def test_without_limits_nothing_stands_in_the_way() -> None:
    """A key without limits lets everything through and paces nothing."""
    one = quota()
    assert send(one, 1_000, tokens=10**9) == 1_000
    assert (one.largest(0), one.fastest_pace, one.pace(0)) == (None, None, None)


def test_a_full_window_says_which_and_until_when() -> None:
    """The block names the limit and the moment at which its next unit returns."""
    one = quota("2 requests / minute")
    assert send(one, 5, now=1.0) == 2
    assert obstacle(one, now=10.0) == (Obstacle.WINDOW, 61.25)
    block = one.blocked(0, 0, at(10.0))
    assert block is not None
    assert block.detail == "2 of 2 requests / minute used"
    assert block.short_of_room


def test_the_tightest_of_several_windows_binds() -> None:
    """Requests and tokens, seconds and minutes are kept together."""
    one = quota("5 requests / second", "7 requests / minute", "100 tokens / minute")
    assert send(one, 9, tokens=30) == 3
    assert obstacle(one, now=0.1, tokens=30)[0] is Obstacle.WINDOW
    # Ten tokens and four requests are left, two of them in this second.
    assert send(one, 9, now=0.2, tokens=0) == 2
    assert send(one, 9, now=2.0, tokens=0) == 2


def test_what_others_keep_is_named() -> None:
    """A block by a reserve names who keeps the room."""
    one = quota("10 requests / minute")
    one.set_class(TrafficClass("ceo", priority=0, share=0.5))
    one.open(at(0.0))
    one.fill(1)
    assert send(one, 10) == 9
    block = one.blocked(0, 0, at(0.0))
    assert block is not None
    assert block.obstacle is Obstacle.RESERVE
    assert block.detail == "1 of 10 requests / minute kept for ceo"
    assert send(one, 10, owner=1) == 1


def test_a_ceiling_binds_its_own_class_only() -> None:
    """A class at its ceiling waits, the others go on."""
    one = quota("100 requests / minute")
    one.set_class(TrafficClass("code", ceiling=("2 requests / minute", "500 tokens / minute")))
    one.set_class(TrafficClass("quality"))
    assert send(one, 5) == 2
    assert obstacle(one, now=1.0) == (Obstacle.CEILING, 60.0)
    assert send(one, 5, owner=1) == 5
    assert send(one, 5, now=60.0, tokens=300) == 1
    assert obstacle(one, now=61.0, tokens=300)[0] is Obstacle.CEILING


def test_a_pause_closes_a_round_for_everybody() -> None:
    """While the server wants silence nobody goes, then one probe does."""
    one = quota("100 requests / minute")
    one.refused(at(5.0), granted_at=at(4.0), after=3.0, spread=0.0)
    assert one.open(at(6.0)) == 0
    closed = one.closed(at(6.0))
    assert (closed.obstacle, closed.until) == (Obstacle.PAUSE, at(8.0))
    assert closed.detail == "the server refused for quota"
    assert send(one, 5, now=10.0) == 1
    assert one.closed(at(10.5)).detail == "one probe is under way"


def test_a_burst_closes_a_round_until_it_refills() -> None:
    """A stated burst is an allowance of the round, and the round learns when it opens."""
    one = quota("60 requests / minute burst 3", jitter=0.0)
    assert send(one, 5) == 3
    closed = one.closed(at(0.0))
    assert (closed.obstacle, closed.until) == (Obstacle.BURST, at(1.0))
    assert closed.detail == "burst of 60 requests / minute burst 3"


# -- counting --------------------------------------------------------------------------------------


def test_settling_gives_the_difference_back() -> None:
    """What was reserved and not used is free at once, what was used returns after W + J."""
    one = quota("100 tokens / minute")
    assert send(one, 1, tokens=100) == 1
    one.settle(0, reserved=100, actual=40, now=at(10.0))
    assert send(one, 9, now=10.0, tokens=30) == 2
    assert one.snapshot(at(70.0)).windows[0].used == 100
    assert one.snapshot(at(70.25)).windows[0].used == 60


def test_a_reservation_lasts_as_long_as_its_attempt() -> None:
    """Tokens of an attempt under way count however long it takes."""
    one = quota("100 tokens / minute")
    send(one, 1, tokens=100)
    assert obstacle(one, now=1_000.0, tokens=1) == (Obstacle.WINDOW, ANY)


def test_one_refusal_teaches_the_fullest_limit() -> None:
    """The limit nearest to its end is believed less, the others as before."""
    one = quota("10 requests / minute", "1000 requests / hour")
    send(one, 9)
    one.refused(at(1.0), granted_at=at(0.0), after=None, spread=0.0)
    minute, hour = one.snapshot(at(1.0)).strictness
    assert (minute.refusals, hour.refusals) == (1, 0)
    assert minute.burst is not None
    assert hour.burst is None


def test_when_a_burst_cannot_be_smaller_the_next_limit_is_taught() -> None:
    """What a burst of one does not mend is not the fullest limit's fault: the next is doubted."""
    one = quota("10 requests / minute", "1000 requests / hour")
    send(one, 9)
    for second in (1.0, 2.0, 3.0):
        one.refused(at(second), granted_at=at(second), after=None, spread=0.0)
    minute, hour = one.snapshot(at(3.0)).strictness
    assert (minute.refusals, hour.refusals) == (2, 1)
    assert minute.rate == 9 / 60.25


def test_an_echo_teaches_nothing() -> None:
    """The second of two refusals under way at once does not slow us down once more."""
    one = quota("100 requests / minute")
    send(one, 9)
    assert one.refused(at(1.0), granted_at=at(0.0), after=None, spread=0.0)
    before = one.snapshot(at(1.0)).strictness
    assert not one.refused(at(1.1), granted_at=at(0.0), after=None, spread=0.0)
    assert one.snapshot(at(1.1)).strictness == before


def test_released_late_is_counted_late() -> None:
    """Grants whose writing down took time leave the window that much later."""
    one = quota("2 requests / minute")
    send(one, 2)
    one.restamp([0, 0], at(3.0))
    assert obstacle(one, now=61.0) == (Obstacle.WINDOW, 63.25)


def test_attempts_of_before_a_restart_count() -> None:
    """Requests, tokens and ceilings on requests are as full as they were."""
    one = quota("10 requests / minute", "100 tokens / minute")
    one.set_class(TrafficClass("code", ceiling=("3 requests / minute",)))
    for second in (-30.0, -20.0, -10.0):
        one.restore(0, at(second))
        one.restore_tokens(0, 25, at(second))
    requests, tokens = one.snapshot(at(0.0)).windows
    assert (requests.used, tokens.used, requests.spent) == (3, 75, {"code": 3})
    assert obstacle(one, now=0.0) == (Obstacle.CEILING, 30.0)


# -- changes and views -----------------------------------------------------------------------------


def test_a_class_keeps_its_number_and_what_it_spent() -> None:
    """Another priority, share or the same ceiling changes nothing of what was counted."""
    one = quota("100 requests / minute")
    ceiling = ("2 requests / minute",)
    assert one.set_class(TrafficClass("code", ceiling=ceiling)) == 0
    send(one, 2)
    assert one.set_class(TrafficClass("code", priority=0, share=0.5, ceiling=ceiling)) == 0
    assert obstacle(one, now=1.0) == (Obstacle.CEILING, 60.0)
    assert list(one.by_priority()) == [(0, 0)]


def test_classes_with_a_share_come_most_urgent_first() -> None:
    """Reserves are filled in the order of urgency, whatever the order of the configuration."""
    one = quota("100 requests / minute")
    for name, priority in (("low", 80), ("high", 20), ("middle", 40)):
        one.set_class(TrafficClass(name, priority=priority, share=0.1))
    assert [priority for priority, _ in one.by_priority()] == [20, 40, 80]


def test_the_largest_request_fits_into_every_window() -> None:
    """No single request may need more tokens than the smallest window holds."""
    assert quota("500 tokens / second", "100 tokens / minute").largest(0) == 100


def test_the_forecast_names_the_tightest_bound() -> None:
    """A request goes when window, ceiling, bucket, pause and pace have let it."""
    one = quota("10 requests / minute")
    assert one.expected(0, ahead=0, own_ahead=0, now=at(5.0)) == at(5.0)
    send(one, 10)
    assert one.expected(0, ahead=0, own_ahead=0, now=at(5.0)) == at(60.25)
    assert one.expected(0, ahead=12, own_ahead=12, now=at(5.0)) == at(120.5)
    one.refused(at(5.0), granted_at=at(4.0), after=600.0, spread=0.0)
    assert one.expected(0, ahead=0, own_ahead=0, now=at(5.0)) >= at(65.0)


def test_the_snapshot_shows_each_window() -> None:
    """Used, free, reserved and spent by whom are shown under the names of the classes."""
    one = quota("10 requests / minute", "100 tokens / minute")
    one.set_class(TrafficClass("ceo", priority=0, share=0.2))
    send(one, 3, tokens=20)
    one.open(at(0.0))
    one.fill(1)
    requests, tokens = one.snapshot(at(30.0)).windows
    assert (requests.limit, requests.used, requests.amount) == ("10 requests / minute", 3, 10)
    assert (requests.next_free, requests.spent) == (0.0, {"code": 3, "ceo": 0})
    assert requests.reserved == {"ceo": 1.0}
    assert (tokens.used, tokens.spent["code"], tokens.reserved) == (60, 60, {"ceo": 2.0})
    send(one, 9)
    assert one.snapshot(at(30.0)).windows[0].next_free == 0.0


def test_a_paced_class_is_shown() -> None:
    """The snapshot names the classes that are paced, and their rates."""
    one = quota("100 requests / minute")
    one.set_class(TrafficClass("ceo", priority=0, share=0.1))
    for _ in range(500):
        one.arrived(0)
    send(one, 5, now=1.0)
    assert list(one.snapshot(at(1.0)).pace) == ["code"]
    assert one.pace(0) == one.snapshot(at(1.0)).pace["code"]


# -- bugs ------------------------------------------------------------------------------------------


def test_a_pause_by_hand_is_not_blamed_on_the_server() -> None:
    """Why am I waiting? Because an operator said so."""
    one = quota("10 requests / minute")
    one.pause.set_by_hand(paused=True)
    assert "server" not in one.closed(at(0.0)).detail


def test_a_refusal_for_tokens_is_not_blamed_on_requests() -> None:
    """Where the tokens are used up and the requests are not, the requests limit stays believed."""
    one = quota("1000 requests / minute", "1000 tokens / minute")
    send(one, 1, tokens=1_000)
    one.refused(at(1.0), granted_at=at(0.0), after=None, spread=0.0)
    assert one.snapshot(at(1.0)).strictness[0].burst is None


def test_a_changed_ceiling_remembers_what_was_spent() -> None:
    """A ceiling that is edited while it is full does not open."""
    one = quota("100 requests / minute")
    one.set_class(TrafficClass("code", ceiling=("10 requests / minute",)))
    assert send(one, 20) == 10
    one.set_class(TrafficClass("code", ceiling=("11 requests / minute",)))
    assert send(one, 20, now=1.0) == 1


def test_a_ceiling_added_in_front_does_not_empty_the_others() -> None:
    """A ceiling that stays as it is stays as full as it is, wherever it stands in the list."""
    one = quota("100 requests / minute")
    one.set_class(TrafficClass("code", ceiling=("10 requests / minute",)))
    assert send(one, 20) == 10
    ceilings = ("50 requests / hour", "10 requests / minute")
    one.set_class(TrafficClass("code", ceiling=ceilings))
    assert send(one, 20, now=1.0) == 0


def test_a_changed_ceiling_never_counts_below_nothing() -> None:
    """An attempt that ends after its class's ceiling was edited gives nobody extra tokens."""
    one = quota("100000 tokens / minute")
    one.set_class(TrafficClass("code", ceiling=("1000 tokens / minute",)))
    send(one, 1, tokens=1_000)
    one.set_class(TrafficClass("code", ceiling=("500 tokens / minute",)))
    one.settle(0, reserved=1_000, actual=0, now=at(1.0))
    assert one.blocked(0, 501, at(1.0)) is not None


def test_released_late_is_counted_late_under_a_ceiling_too() -> None:
    """A ceiling counts what was sent when it was sent."""
    one = quota("100 requests / minute")
    one.set_class(TrafficClass("code", ceiling=("1 requests / minute",)))
    send(one, 1)
    one.restamp([0], at(5.0))
    assert send(one, 1, now=60.5) == 0


def test_released_late_is_counted_late_by_the_burst_too() -> None:
    """A stated burst that was released late leaves no room right after it."""
    one = quota("60 requests / minute burst 3", jitter=0.0)
    send(one, 3)
    one.restamp([0, 0, 0], at(2.5))
    assert send(one, 3, now=2.6) == 0


def test_a_restart_has_no_fresh_burst() -> None:
    """A burst that was sent just before a restart is not sent again right after it."""
    one = quota("60 requests / minute burst 3", jitter=0.0)
    for _ in range(3):
        one.restore(0, at(-0.1))
    assert send(one, 3) == 0


def test_a_restart_does_not_empty_a_ceiling_on_tokens() -> None:
    """Tokens that a class used before a restart count against its ceiling after it."""
    one = quota("100000 tokens / minute")
    one.set_class(TrafficClass("code", ceiling=("1000 tokens / minute",)))
    one.restore_tokens(0, 1_000, at(-1.0))
    assert send(one, 1, tokens=500) == 0


# -- what needs no tokens -------------------------------------------------------------------------


def test_what_needs_no_tokens_teaches_nothing_about_them() -> None:
    """However much goes that needs none, the reserves of tokens stay as they were."""
    ones = [quota("1000 requests / 1s", "1000 tokens / minute") for _ in range(2)]
    for one in ones:
        one.set_class(TrafficClass("ceo", share=0.5))
        for number in range(200):
            one.settle(1, reserved=0, actual=40, now=at(number * 6.0))
            one.open(at(number * 6.0))
        one.hold(0, 1_000)
        one.open(at(1_195.0))
        for _ in range(200):
            one.found(1, 40, ready=False)
    for _ in range(1_000):
        ones[0].found(1, 0, ready=True)
    for one in ones:
        one.settle(0, reserved=1_000, actual=0, now=at(1_200.0))
        one.open(at(1_200.0))
        one.fill(1)
    kept = [one.snapshot(at(1_200.0)).windows[1].reserved["ceo"] for one in ones]
    assert kept[0] == kept[1] > 0.0


def test_what_was_sent_before_is_held_without_asking() -> None:
    """Tokens are held beyond what is free; what needs none goes all the same."""
    one = quota("1000 tokens / minute")
    one.set_class(TrafficClass("code", ceiling=("500 tokens / minute",)))
    one.hold(0, 1_200)
    assert one.snapshot(at(0.0)).windows[0].used == 1_200
    assert obstacle(one, now=0.0, tokens=1)[0] is Obstacle.WINDOW
    assert send(one, 2, tokens=0) == 2
    one.settle(0, reserved=1_200, actual=100, now=at(1.0))
    assert send(one, 5, now=1.0, tokens=200) == 2
    assert obstacle(one, now=1.0, tokens=200)[0] is Obstacle.CEILING
