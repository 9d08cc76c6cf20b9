"""The simulated server's own limiter: several limits at once, decided on arrival.

Pure: `now` is passed in. It shares no code with the client's `quota/` nor with `judge.py`, so that
a wrong idea in one of them cannot hide in the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from supervisor.limits import Limit
from supervisor.simulator.meters import Kind, Meter, meter_maker

_PERIOD_WORDS = {1.0: "Second", 60.0: "Minute", 3600.0: "Hour", 86400.0: "Day"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was refused.

    Attributes:
        limit: The limit that had no room.
        actual: What the count would have become with this request.
    """

    limit: Limit
    actual: int

    @property
    def period(self) -> str:
        """The period as the API writes it: `Second`, `Minute`, `Hour`, `Day`, else `90s`."""
        return _PERIOD_WORDS.get(self.limit.period, f"{self.limit.period:g}s")


@dataclass(frozen=True, slots=True)
class Remaining:
    """What the rate-limit headers say; None where there is no limit of that unit.

    With several limits of a unit it is the one that was listed first, as a header has one place.
    """

    limit_requests: int | None = None
    requests: int | None = None
    limit_tokens: int | None = None
    tokens: int | None = None


class ServerLimits:
    """Admits or refuses requests, each limit counted as `kind` says.

    Args:
        limits: Limits on requests and tokens; all of them hold together.
        kind: How each is counted.
        burst: Size of a requests bucket (kind `token_bucket`) where the limit states none.
        offset: Where windows begin, in seconds on the clock that `now` is read from.
        count_refused: Whether a refused request counts against the requests limits all the same.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        kind: Kind = "sliding_log",
        *,
        burst: int | None = None,
        offset: float = 0.0,
        count_refused: bool = False,
    ) -> None:
        make = meter_maker(kind, burst=burst, offset=offset)
        self._requests = [(limit, make(limit)) for limit in limits if limit.unit == "requests"]
        self._tokens = [(limit, make(limit)) for limit in limits if limit.unit == "tokens"]
        self._count_refused = count_refused

    def admit(self, now: float, prompt_tokens: int = 0) -> Refusal | None:
        """Take one request's room in every limit, or in none.

        Args:
            now: Arrival in seconds; must not go back.
            prompt_tokens: Tokens that are known on arrival.

        Returns:
            None when admitted.
        """
        refusal = _first_full(self._requests, now, 1)
        if refusal is None and self._tokens:
            refusal = _first_full(self._tokens, now, prompt_tokens)
        if refusal is None or self._count_refused:
            for _, meter in self._requests:
                meter.take(now, 1)
        if refusal is None:
            self.book_output(now, prompt_tokens)
        return refusal

    def book_output(self, now: float, tokens: int) -> None:
        """Count tokens that became known after admission, room or not.

        Args:
            now: Seconds; must not go back.
            tokens: Completion and reasoning tokens.
        """
        if tokens > 0:
            for _, meter in self._tokens:
                meter.take(now, tokens)

    def remaining(self, now: float) -> Remaining:
        """What the headers of a successful answer say at `now`."""
        requests, tokens = self._requests[:1], self._tokens[:1]
        return Remaining(
            limit_requests=requests[0][0].amount if requests else None,
            requests=_left(*requests[0], now=now) if requests else None,
            limit_tokens=tokens[0][0].amount if tokens else None,
            tokens=_left(*tokens[0], now=now) if tokens else None,
        )


def _first_full(meters: list[tuple[Limit, Meter]], now: float, amount: int) -> Refusal | None:
    for limit, meter in meters:
        actual = meter.used(now) + amount
        if actual > limit.amount:
            return Refusal(limit, actual)
    return None


def _left(limit: Limit, meter: Meter, *, now: float) -> int:
    return max(0, limit.amount - meter.used(now))
