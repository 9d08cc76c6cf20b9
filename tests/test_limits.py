"""The spelling of limits and durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.limits import EXPECTED, Limit, parse_duration


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("100 requests / minute", Limit(100, "requests", 60.0)),
        ("1 request / second", Limit(1, "requests", 1.0)),
        ("10_000_000 tokens/hour", Limit(10_000_000, "tokens", 3600.0)),
        ("  5   token / day ", Limit(5, "tokens", 86400.0)),
        ("5 requests / 90s", Limit(5, "requests", 90.0)),
        ("5 requests / 250ms", Limit(5, "requests", 0.25)),
        ("5 requests / 1.5h", Limit(5, "requests", 5400.0)),
        ("9 requests / 1s burst 3", Limit(9, "requests", 1.0, 3)),
        ("9 requests / 1s, burst 9", Limit(9, "requests", 1.0, 9)),
    ],
)
def test_reads(text: str, limit: Limit) -> None:
    """A limit is a number, what is counted, and a period."""
    assert Limit.parse(text) == limit


@pytest.mark.parametrize(
    "text",
    [
        *("", "100", "100 rpm", "100 requests", "requests / minute", "100 / minute"),
        *("0 requests / minute", "-1 requests / minute", "1.5 requests / minute"),
        *("100 requests / fortnight", "100 requests / 0s", "100 requests / 5", "1 dollars / day"),
        *("_ requests / minute", "100 requests per minute", "100 Requests / minute"),
    ],
)
def test_refuses(text: str) -> None:
    """What is no limit is answered with how one is written."""
    with pytest.raises(ValueError, match=r"^expected ") as caught:
        Limit.parse(text)
    assert str(caught.value) == f'expected {EXPECTED}, got: "{text}"'


@pytest.mark.parametrize("burst", [0, 10])
def test_burst_fits_the_limit(burst: int) -> None:
    """A burst is at least one and at most the whole limit."""
    with pytest.raises(ValueError, match="expected a burst from 1 to 9"):
        Limit.parse(f"9 requests / 1s burst {burst}")


@given(
    st.builds(
        Limit,
        st.integers(min_value=1, max_value=10**12),
        st.sampled_from(["requests", "tokens"]),
        st.integers(min_value=1, max_value=10**9).map(lambda milliseconds: milliseconds / 1000),
        st.none() | st.just(1),
    )
)
def test_text_is_read_back(limit: Limit) -> None:
    """A limit's text is the same limit, whatever its period."""
    assert Limit.parse(str(limit)) == limit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("0s", 0.0), (" 90s ", 90.0), ("5m", 300.0), ("2h", 7200.0), ("1d", 86400.0)],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is a number and a unit."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 weeks", "1e3s", "5s5s"])
def test_no_durations(text: str) -> None:
    """What is no duration is answered with how one is written."""
    with pytest.raises(ValueError, match="expected a duration like"):
        parse_duration(text)
