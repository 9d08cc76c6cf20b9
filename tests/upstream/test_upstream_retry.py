"""When a failed attempt is repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.upstream.failures import RETRYABLE, Failure, FailureKind
from supervisor.upstream.retry import retry_delay

SERVER = Failure(FailureKind.SERVER, "no", status=500)


@pytest.mark.parametrize(
    ("retries", "delay"), [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (4, 8.0), (9, 8.0)]
)
def test_the_delay_doubles(retries: int, delay: float) -> None:
    """Retries wait 1, 2, 4 and then 8 seconds, and up to a quarter more."""
    assert retry_delay(SERVER, retries=retries, most=99, spread=0.0) == delay
    assert retry_delay(SERVER, retries=retries, most=99, spread=1.0) == delay * 1.25


@given(retries=st.integers(0, 50), most=st.integers(0, 50), spread=st.floats(0, 1))
def test_retries_are_counted(retries: int, most: int, spread: float) -> None:
    """There are exactly `most` retries, each within its quarter."""
    delay = retry_delay(SERVER, retries=retries, most=most, spread=spread)
    assert (delay is None) is (retries >= most)
    assert delay is None or 1.0 <= delay <= 10.0


@pytest.mark.parametrize("seconds", [0.0, 0.5, 120.0])
def test_retry_after_wins(seconds: float) -> None:
    """The server's word counts at every retry, from the second on only to lengthen our delays."""
    failure = Failure(FailureKind.CAPACITY, "no", retry_after=seconds)
    assert retry_delay(failure, retries=0, most=3, spread=0.9) == seconds
    assert retry_delay(failure, retries=2, most=3, spread=0.9) == max(seconds, 4.0)
    assert retry_delay(failure, retries=3, most=3, spread=0.9) is None


def test_a_final_failure_is_final() -> None:
    """What the API forbids to repeat is not repeated, though its kind could be."""
    failure = Failure(FailureKind.SERVER, "no", retry_after=1.0, final=True)
    assert retry_delay(failure, retries=0, most=3, spread=0.0) is None


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - RETRYABLE))
def test_the_rest_is_final(kind: FailureKind) -> None:
    """What no repetition mends is not repeated; a quota refusal has a pause of its own."""
    failure = Failure(kind, "no", retry_after=1.0)
    assert retry_delay(failure, retries=0, most=3, spread=0.0) is None
