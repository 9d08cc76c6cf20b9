"""Restart decisions over all their inputs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.supervision.restart import Done, ExitKind, Failed, Restart, decide, recent
from supervisor.supervision.spec import Backoff, Policy, RestartBudget, RestartType

seconds = st.floats(0, 1e6)
kinds = st.sampled_from(["normal", "crash", "cancelled"])
types = st.sampled_from(["permanent", "transient", "temporary"])
budgets = st.builds(RestartBudget, max_restarts=st.integers(0, 3000), period=st.floats(0.1, 1e5))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy that may be made."""
    initial = draw(st.floats(0, 100))
    backoff = Backoff(
        initial=initial,
        factor=draw(st.floats(1, 1e6)),
        maximum=initial + draw(st.floats(0, 1000)),
        jitter=draw(st.floats(0, 1)),
    )
    return Policy(budget=draw(budgets), backoff=backoff)


@pytest.mark.parametrize(
    ("kind", "restart", "comes_back"),
    [
        ("normal", "permanent", True),
        ("crash", "permanent", True),
        ("cancelled", "permanent", False),
        ("normal", "transient", False),
        ("crash", "transient", True),
        ("cancelled", "transient", False),
        ("normal", "temporary", False),
        ("crash", "temporary", False),
        ("cancelled", "temporary", False),
    ],
)
def test_restart_types_mean_what_they_mean_in_otp(
    kind: ExitKind, restart: RestartType, *, comes_back: bool
) -> None:
    """Permanent always comes back, transient after a crash, temporary never."""
    decision = decide(kind, restart, earlier=(), now=0, policy=Policy(), luck=0)
    assert isinstance(decision, Restart) is comes_back
    assert isinstance(decision, Done) is not comes_back


def test_delays_double_up_to_the_budget() -> None:
    """Without luck the delays are the initial one, doubled by each restart that still counts."""
    delays: list[float] = []
    earlier: tuple[float, ...] = ()
    while isinstance(
        decision := decide("crash", "permanent", earlier=earlier, now=1, policy=Policy(), luck=0),
        Restart,
    ):
        delays.append(decision.delay)
        earlier = (*earlier, 1.0)
    assert delays == [0.5, 1, 2, 4, 8]
    assert decision == Failed(6)


def test_a_restart_counts_to_the_end_of_the_period() -> None:
    """A restart counts for exactly the period, its last instant included, as in OTP."""
    budget = RestartBudget(period=60)
    assert recent((0.0, 0.5, 60.0), now=60.0, budget=budget) == (0.0, 0.5, 60.0)
    assert recent((0.0, 0.5, 60.0), now=60.25, budget=budget) == (0.5, 60.0)


@given(kinds, types, st.lists(seconds), seconds, policies(), st.floats(0, 1))
def test_a_delay_is_never_longer_than_the_maximum(
    kind: ExitKind,
    restart: RestartType,
    earlier: list[float],
    now: float,
    policy: Policy,
    luck: float,
) -> None:
    """Whatever happened before, a delay lies between nothing and the maximum."""
    decision = decide(kind, restart, earlier=earlier, now=now, policy=policy, luck=luck)
    if isinstance(decision, Restart):
        assert 0 <= decision.delay <= policy.backoff.maximum


@given(policies(), st.lists(st.floats(0, 50), min_size=1, max_size=60))
def test_no_period_holds_more_restarts_than_the_budget(policy: Policy, lives: list[float]) -> None:
    """However long the runs last, no period holds more restarts than the budget allows."""
    now = 0.0
    restarts: list[float] = []
    for life in lives:
        now += life
        decision = decide("crash", "permanent", earlier=restarts, now=now, policy=policy, luck=0)
        if not isinstance(decision, Restart):
            break
        restarts.append(now)
        now += decision.delay
    budget = policy.budget
    for end in restarts:
        held = [moment for moment in restarts if end - budget.period <= moment <= end]
        # The sum of floats may fall on either side of the period's edge.
        edge = sum(abs(end - budget.period - moment) < 1e-6 for moment in held)
        assert len(held) - edge <= budget.max_restarts


@given(policies(), st.integers(0, 3000), st.floats(0, 1))
def test_more_restarts_never_shorten_the_delay(policy: Policy, count: int, luck: float) -> None:
    """With the same luck, one restart more never makes the next delay shorter."""

    def delay(restarts: int) -> float | None:
        earlier = (0.0,) * restarts
        decision = decide("crash", "transient", earlier=earlier, now=0, policy=policy, luck=luck)
        return decision.delay if isinstance(decision, Restart) else None

    shorter, longer = delay(count), delay(count + 1)
    assert longer is None or (shorter is not None and shorter <= longer)
