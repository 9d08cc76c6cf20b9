"""Counts by itself whether a client kept within the limits; the verdict of acceptance tests.

It sees arrival times and nothing else: not what the server's limiter decided (that is only counted)
and not what the client believed. Every attempt counts, refused ones too, because every attempt is
what the client promised to bound. It shares no code with `limits.py` and `meters.py` on purpose.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from supervisor.limits import Limit


@dataclass(frozen=True, slots=True)
class WorstWindow:
    """The fullest stretch `[t, t + period)` that was seen for one limit.

    Attributes:
        limit: The limit, as it is written.
        amount: What it allows.
        worst: What the fullest window held, in the limit's unit.
        at: When that window ended, in seconds after the first arrival.
        over: Attempts on whose arrival more than `amount` lay in the window.
    """

    limit: str
    amount: int
    worst: int
    at: float
    over: int


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What the judge saw.

    Attributes:
        worst: One entry for each limit.
        over: Attempts that went beyond any limit, each counted once.
        attempts: All arrivals.
        refused: Attempts that the server refused for quota.
        attempts_after_first_hour: Arrivals an hour or more after the first one.
        refused_after_first_hour: Refusals among those.
        tokens: Tokens of all attempts, prompts and answers.
        seconds: From the first arrival to the last.
    """

    worst: tuple[WorstWindow, ...]
    over: int
    attempts: int
    refused: int
    attempts_after_first_hour: int
    refused_after_first_hour: int
    tokens: int
    seconds: float


class _Tape:
    """The arrivals of the last `period`, and the fullest it ever was."""

    __slots__ = ("amounts", "at", "held", "limit", "over", "times", "worst")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.times: deque[float] = deque()
        self.amounts: deque[int] = deque()
        self.held = 0
        self.worst = 0
        self.at = 0.0
        self.over = 0

    def record(self, now: float, amount: int) -> bool:
        """Add an amount; whether the window ending now holds too much."""
        times, amounts, period = self.times, self.amounts, self.limit.period
        times.append(now)
        amounts.append(amount)
        self.held += amount
        # Two arrivals exactly one period apart never lie in one half-open window.
        while times[0] + period <= now:
            times.popleft()
            self.held -= amounts.popleft()
        if self.held > self.worst:
            self.worst, self.at = self.held, now
        return self.held > self.limit.amount


class Judge:
    """Keeps the worst window of each limit, streaming, O(1) amortised for each arrival.

    Args:
        limits: The limits that the client was told to keep.
        settling: Seconds after the first arrival that count as "the first hour".
    """

    def __init__(self, limits: Sequence[Limit], *, settling: float = 3600.0) -> None:
        self._settling = settling
        self._tapes: list[_Tape] = []
        self.watch(limits)
        self.reset()

    def reset(self) -> None:
        """Forget everything but the limits."""
        self._tapes = [_Tape(tape.limit) for tape in self._tapes]
        self._first = math.nan
        self._last = -math.inf
        self._over = 0
        self._attempts = [0, 0]
        self._refused = [0, 0]
        self._tokens = 0

    def watch(self, limits: Sequence[Limit]) -> None:
        """Judge by other limits from now on; one that stays keeps its history."""
        known = {tape.limit: tape for tape in self._tapes}
        self._tapes = [known.get(limit) or _Tape(limit) for limit in dict.fromkeys(limits)]

    def saw(self, now: float, tokens: int = 0, *, refused: bool = False) -> None:
        """An attempt arrived.

        Args:
            now: Its arrival in seconds. One that is older than the last counts as simultaneous.
            tokens: Tokens known on arrival.
            refused: Whether the server refused it for quota.
        """
        now = self._forward(now)
        late = 1 if now - self._first >= self._settling else 0
        self._attempts[late] += 1
        self._refused[late] += refused
        self._tokens += tokens
        over = False
        for tape in self._tapes:
            amount = 1 if tape.limit.unit == "requests" else tokens
            if tape.record(now, amount):
                tape.over += 1
                over = True
        self._over += over

    def spent(self, now: float, tokens: int) -> None:
        """Tokens of an attempt became known after its arrival.

        Args:
            now: When, in seconds.
            tokens: Completion and reasoning tokens.
        """
        now = self._forward(now)
        self._tokens += tokens
        for tape in self._tapes:
            if tape.limit.unit == "tokens":
                tape.record(now, tokens)

    def report(self) -> JudgeReport:
        """The verdict so far."""
        first = self._first
        seconds = 0.0 if math.isnan(first) else self._last - first
        return JudgeReport(
            worst=tuple(
                WorstWindow(
                    limit=str(tape.limit),
                    amount=tape.limit.amount,
                    worst=tape.worst,
                    at=tape.at - first if tape.worst else 0.0,
                    over=tape.over,
                )
                for tape in self._tapes
            ),
            over=self._over,
            attempts=sum(self._attempts),
            refused=sum(self._refused),
            attempts_after_first_hour=self._attempts[1],
            refused_after_first_hour=self._refused[1],
            tokens=self._tokens,
            seconds=seconds,
        )

    def _forward(self, now: float) -> float:
        if math.isnan(self._first):
            self._first = now
        self._last = max(self._last, now)
        return self._last
