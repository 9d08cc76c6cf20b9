"""Reservations that are seldom too small, learned from what was used."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.quota.estimate import Estimator

SIZES = st.integers(0, 2_000_000)

ANSWERS: dict[str, tuple[Callable[[Random], float], float]] = {
    "only the prompt varies": (lambda dice: 300.0, 0.09),
    "uniform": (lambda dice: dice.uniform(50, 1_500), 0.03),
    "normal": (lambda dice: max(1.0, dice.gauss(800, 200)), 0.04),
    "exponential": (lambda dice: dice.expovariate(1 / 600), 0.07),
    "heavy tail": (lambda dice: dice.lognormvariate(6, 1), 0.08),
}
"""Tokens of an answer, and the part of requests that may turn out to need more than reserved."""


def test_before_anything_is_known_an_answer_is_a_thousand_tokens() -> None:
    """The first reservation follows the bytes and leaves room for an answer."""
    assert Estimator().estimate(4_000) == 2_000


@given(size=SIZES, learned=st.lists(st.tuples(SIZES, st.integers(0, 10**6), st.integers(0, 10**6))))
def test_it_is_never_below_one(size: int, learned: list[tuple[int, int, int]]) -> None:
    """Whatever was learned, a request needs at least one token."""
    estimator = Estimator()
    for known, prompt, answer in learned:
        estimator.learn(known, prompt=prompt, answer=answer)
    assert estimator.estimate(size) >= 1


@pytest.mark.parametrize("name", list(ANSWERS))
def test_it_is_seldom_too_low(name: str) -> None:
    """Of 4,000 random requests only the stated part uses more than was reserved for it."""
    draw, most = ANSWERS[name]
    dice, estimator = Random(name), Estimator()
    too_low = 0
    for _ in range(4_000):
        size = dice.randint(200, 20_000)
        prompt, answer = int(size / dice.uniform(3, 5)), int(draw(dice))
        too_low += estimator.estimate(size) < prompt + answer
        estimator.learn(size, prompt=prompt, answer=answer)
    assert too_low / 4_000 <= most


@pytest.mark.parametrize("name", list(ANSWERS))
def test_it_is_not_far_too_high(name: str) -> None:
    """On average no more than three times of what is needed is reserved."""
    draw, _ = ANSWERS[name]
    dice, estimator = Random(name), Estimator()
    reserved = used = 0
    for _ in range(4_000):
        answer = int(draw(dice))
        reserved += estimator.estimate(2_000)
        used += 500 + answer
        estimator.learn(2_000, prompt=500, answer=answer)
    assert reserved <= 3 * used


def test_it_follows_a_change() -> None:
    """When answers become ten times longer, a few dozen of them suffice to know."""
    estimator = Estimator()
    for _ in range(50):
        estimator.learn(400, prompt=100, answer=100)
    for _ in range(30):
        estimator.learn(400, prompt=100, answer=1_000)
    assert 1_000 <= estimator.estimate(400) <= 2_500


def test_short_prompts_say_little_of_a_long_one() -> None:
    """What the API puts around each is in a long one once, not for each of its bytes."""
    estimator = Estimator()
    for size in (60, 70, 80) * 10:
        estimator.learn(size, prompt=200 + size // 4, answer=100)
    assert estimator.estimate(70) >= 200 + 70 // 4 + 100
    assert estimator.least(400_000) == 100_000
    assert 100_000 < estimator.estimate(400_000) < 202_000


def test_pictures_are_thin() -> None:
    """Where many bytes have few tokens, as in pictures, that is learned."""
    estimator = Estimator()
    for _ in range(30):
        estimator.learn(1_000_000, prompt=1_500, answer=100)
    assert estimator.least(2_000_000) <= 3_000
    assert estimator.estimate(2_000_000) <= 20_000


def test_an_empty_body_teaches_nothing_about_bytes() -> None:
    """A request without a body cannot tell tokens per byte, its answer still counts."""
    estimator = Estimator()
    estimator.learn(0, prompt=50, answer=10)
    assert estimator.estimate(4_000) == 1_000 + 20
