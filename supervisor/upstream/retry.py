"""How long to wait before another attempt. Pure."""

from __future__ import annotations

from supervisor.upstream.failures import RETRYABLE, Failure

DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before the first, second … retry."""

_SPREAD = 0.25


def retry_delay(failure: Failure, *, retries: int, most: int, spread: float) -> float | None:
    """Decide on a retry.

    Args:
        failure: What went wrong.
        retries: Retries that were made already.
        most: Most retries.
        spread: Random number in [0, 1), so that many that failed together do not return together.

    Returns:
        Seconds to wait, or None when there is to be no further attempt.
    """
    if failure.final or failure.kind not in RETRYABLE or retries >= most:
        return None
    step = DELAYS[min(retries, len(DELAYS) - 1)]
    if failure.retry_after is None:
        return step * (1.0 + _SPREAD * spread)
    # Once the server has been believed in vain, its word only lengthens our own delays.
    return max(failure.retry_after, step if retries else 0.0)
