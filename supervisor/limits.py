"""The one spelling of a limit: `100 requests / minute`, `10000000 tokens / 90s`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["requests", "tokens"]

_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_SUFFIXES = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LIMIT = re.compile(
    r"\s*(?P<amount>\d+(?:_\d+)*)\s+(?P<unit>requests?|tokens?)\s*/\s*(?P<period>[\w.]+)"
    r"(?:\s*,?\s*burst\s+(?P<burst>\d+(?:_\d+)*))?\s*"
)
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<suffix>ms|s|m|h|d)")
EXPECTED = (
    '"N requests / PERIOD" or "N tokens / PERIOD", PERIOD one of second minute hour day 90s 5m 2h'
)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` of `unit` in any `period`.

    Attributes:
        amount: How many, at least 1.
        unit: What is counted.
        period: Length of the window in seconds.
        burst: Most at once, where the server is a token bucket that states it; None otherwise.
    """

    amount: int
    unit: Unit
    period: float
    burst: int | None = None

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read a limit.

        Args:
            text: For example `100 requests / minute` or `100 requests / 1s burst 10`.

        Raises:
            ValueError: The text is no limit; the message says what was expected.
        """
        match = _LIMIT.fullmatch(text)
        period = _period(match["period"]) if match else None
        if match is None or period is None or int(match["amount"]) < 1:
            raise ValueError(f'expected {EXPECTED}, got: "{text}"')
        burst = int(match["burst"]) if match["burst"] else None
        if burst is not None and not 1 <= burst <= int(match["amount"]):
            raise ValueError(f'expected a burst from 1 to {match["amount"]}, got: "{text}"')
        unit: Unit = "requests" if match["unit"].startswith("request") else "tokens"
        return cls(int(match["amount"]), unit, period, burst)

    def __str__(self) -> str:
        names = {seconds: name for name, seconds in _PERIODS.items()}
        period = names.get(self.period) or f"{self.period:.15g}s"
        burst = f" burst {self.burst}" if self.burst is not None else ""
        return f"{self.amount} {self.unit} / {period}{burst}"


def parse_duration(text: str) -> float:
    """Read a duration such as `250ms`, `90s`, `5m`, `2h`.

    Returns:
        Seconds.

    Raises:
        ValueError: The text is no duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'expected a duration like "250ms", "90s", "5m" or "2h", got: "{text}"')
    return float(match["number"]) * _SUFFIXES[match["suffix"]]


def _period(text: str) -> float | None:
    if text in _PERIODS:
        return _PERIODS[text]
    try:
        seconds = parse_duration(text)
    except ValueError:
        return None
    return seconds if seconds > 0 else None
