"""Amounts that go by a size: what is thought of one is seldom too low, and not far too high."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.quota.by_size import BySize

SIZES = st.integers(100, 2_000_000)


def prompts() -> BySize:
    """A quarter of a token for each byte at least."""
    return BySize(least=0.25)


@given(size=SIZES, learned=st.lists(st.tuples(SIZES, st.floats(0, 1e6)), max_size=20))
def test_never_below_the_least(size: int, learned: list[tuple[int, float]]) -> None:
    """Whatever was seen, however little."""
    one = prompts()
    for known, amount in learned:
        one.learn(known, amount, beyond=0.0)
    assert one.high(size) >= size / 4
    assert one.high(size, least=0.5) >= size / 2


@given(
    size=SIZES,
    learned=st.lists(SIZES, min_size=1, max_size=20),
    rate=st.floats(0.01, 0.25),
    frame=st.integers(0, 5_000),
)
def test_a_frame_round_an_ordinary_text(
    size: int, learned: list[int], rate: float, frame: int
) -> None:
    """Where texts have no more for each byte than the least, any small one tells of any large."""
    one = BySize(least=rate)
    for known in learned:
        one.learn(known, known * rate + frame, beyond=0.0)
    if min(learned) <= size:
        assert one.high(size) >= (size * rate + frame) * (1 - 1e-9)


@given(size=SIZES, dense=st.floats(0.25, 1.0), frame=st.integers(0, 100_000))
def test_of_the_same_size_exactly(size: int, dense: float, frame: int) -> None:
    """What is alike comes to the same, and what was seen once is remembered."""
    one = prompts()
    for amount in (size * dense + frame, size * 0.25, 0.0):
        one.learn(size, amount, beyond=1.0)
    assert one.high(size) == pytest.approx(size * dense + frame)


@given(size=st.integers(100_000, 2_000_000))
def test_small_ones_do_not_make_large_ones_dear(size: int) -> None:
    """A frame ten times as large as the text is not taken for the density of texts."""
    one = prompts()
    one.learn(100, 700, beyond=0.5)
    assert one.high(size) <= size / 2 + 700


def test_what_was_dear_once_is_forgotten() -> None:
    """After fifty others of its size an exception counts no more."""
    one = prompts()
    one.learn(1_000, 90_000, beyond=0.5)
    for _ in range(49):
        one.learn(1_000, 250, beyond=0.25)
    assert one.high(1_000) == 90_000
    one.learn(1_000, 250, beyond=0.25)
    assert one.high(1_000) == 250
