"""As fast as any exact policy can be: quota.md, section 2."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.limits import Limit
from supervisor.messages import TrafficClass
from tests.properties.drive import Drive
from tests.properties.oracle import TICK, bound

JITTER = 4 * TICK
WINDOWS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from([0.5, 2.0, 8.0])),
    min_size=1,
    max_size=3,
    unique_by=lambda window: window[1],
)


def proved(windows: list[tuple[int, float]]) -> Drive:
    """A key whose limits have proved themselves, so that no burst trickles any more; idle."""
    limits = [Limit(amount, "requests", period) for amount, period in windows]
    drive = Drive(limits, TrafficClass("one"), jitter=JITTER)
    for _ in range(3 * max(amount for amount, _ in windows) + 1):
        drive.submit("one")
        drive.run(drive.now + 16.0)
    drive.grants.clear()
    return drive


@pytest.mark.slow
@settings(max_examples=40)
@given(windows=WINDOWS, steps=st.lists(st.sampled_from([0, 0, 0, 1, 7, 64, 700]), max_size=30))
def test_every_request_goes_at_the_bound(
    windows: list[tuple[int, float]], steps: list[int]
) -> None:
    """One class alone sends its k-th request exactly at s_k, with W + J for W: nobody can beat it.

    Every grant is used as late as it may be counted, so the bound is that of periods W + J.
    """
    drive = proved(windows)
    arrivals: list[float] = []
    moment = drive.now
    for step in steps:
        moment += step * TICK
        arrivals.append(moment)
        drive.at(moment, partial(drive.submit, "one"))
    drive.run(moment + 300.0)
    spans = [(amount, period + JITTER) for amount, period in windows]
    assert [grant.at for grant in drive.grants] == bound(arrivals, spans)


@settings(max_examples=20)
@given(windows=WINDOWS, waiting=st.integers(1, 25))
def test_a_round_looks_again_no_later_than_the_bound(
    windows: list[tuple[int, float]], waiting: int
) -> None:
    """Without any event in between, the moments at which rounds look again suffice."""
    drive = proved(windows)
    start = drive.now
    for _ in range(waiting):
        drive.submit("one")
    drive.run(start + 300.0)
    spans = [(amount, period + JITTER) for amount, period in windows]
    assert [grant.at for grant in drive.grants] == bound([start] * waiting, spans)
    assert drive.idle_rounds == 0
