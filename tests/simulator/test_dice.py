"""Chance that repeats itself."""

from __future__ import annotations

from collections import Counter

from supervisor.simulator.dice import Dice


def test_the_same_seed_and_place_throw_the_same() -> None:
    """Two dice of one seed and index agree; another index or seed does not."""

    def throws(seed: int, index: int) -> list[float]:
        dice = Dice(seed, index)
        return [dice.roll() for _ in range(5)]

    assert throws(7, 3) == throws(7, 3)
    assert len({throws(seed, index)[0] for seed in range(20) for index in range(20)}) == 400


def test_rolls_are_spread_evenly() -> None:
    """First rolls of many requests fill all tenths from 0 to below 1 about equally."""
    rolls = [Dice(1, index).roll() for index in range(10_000)]
    assert all(0.0 <= roll < 1.0 for roll in rolls)
    tenths = Counter(int(roll * 10) for roll in rolls)
    assert all(900 < tenths[tenth] < 1100 for tenth in range(10))


def test_numbers_stay_below_their_bound() -> None:
    """`below(n)` throws each of 0 to n - 1."""
    dice = Dice(0, 0)
    assert {dice.below(6) for _ in range(200)} == set(range(6))
