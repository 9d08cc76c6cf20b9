"""Classes of equal priority share in proportion to their weight."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scheduler.gates import Closed, Queue

SHARES = st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.25]), min_size=2, max_size=4)
ROUNDING = 1e-9


@settings(max_examples=30)
@given(shares=SHARES, rounds=st.integers(1, 80))
def test_equals_are_served_in_proportion_to_weight(shares: list[float], rounds: int) -> None:
    """Of two classes that always want more, neither ever is ahead by more than one request."""
    weights = [max(share, 0.01) for share in shares]
    served = Queue(*shares).serve(rounds, refill=range(len(shares)))
    turns = [served.count(owner) / weight for owner, weight in enumerate(weights)]
    for mine, weight in zip(turns, weights, strict=True):
        assert mine <= min(turns) + 1 / weight + ROUNDING


def test_a_class_that_was_idle_has_no_credit() -> None:
    """A class that comes late shares from then on; it does not catch up what it did not want."""
    queue = Queue(0.1, 0.1)
    queue.serve(50, refill=[0])
    served = queue.serve(20, refill=[0, 1])
    assert abs(served.count(0) - served.count(1)) <= 1


def test_a_class_that_was_busy_has_no_debt() -> None:
    """A class that pauses and comes back shares from then on, but for one request of each."""
    queue = Queue(0.1, 0.1)
    queue.serve(50, refill=[0])
    queue.serve(50, refill=[1])
    served = queue.serve(20, refill=[0, 1])
    assert abs(served.count(0) - served.count(1)) <= 2


def test_a_changed_weight_holds_at_once() -> None:
    """A share that is changed while its class waits shows in the very next grants."""
    queue = Queue(0.1, 0.1)
    queue.serve(20, refill=[0, 1])
    queue.scheduler.set_class(0, concurrency=None, share=0.3)
    served = queue.serve(40, refill=[0, 1])
    assert abs(served.count(0) - 30) <= 1


def test_a_newcomer_does_not_inherit_the_lag_of_a_slow_class() -> None:
    """A class that comes while a bounded equal lags behind shares from then on with the others."""
    queue = Queue(0.1, 0.1, 0.1)
    queue.gate.shut[0] = Closed()
    queue.serve(200, refill=[0, 1])
    del queue.gate.shut[0]
    queue.serve(1, refill=[0, 1])
    queue.gate.shut[0] = Closed()
    served = queue.serve(40, refill=[0, 1, 2])
    assert abs(served.count(1) - served.count(2)) <= 1
