"""Arrivals: a real trace, and four classes made from a seed. And the bound nobody can beat."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

Arrival = tuple[float, str]
"""(seconds from the start, name of the class)."""

_TRACE = Path(__file__).parent / "data" / "azure_code.csv"


def real_trace(name: str) -> list[Arrival]:
    """The Azure trace of code completions, as one class."""
    with _TRACE.open(newline="") as file:
        return [(float(row["t_s"]), name) for row in csv.DictReader(file)]


def four_classes(seed: int, *, hours: float, surge_at: float | None = None) -> list[Arrival]:
    """The mix of quota.md, section 3, without the endless backlog of memory.

    Args:
        seed: Of the random numbers.
        hours: Length.
        surge_at: Hour at which 500 code requests come, 100 ms apart; None for none.
    """
    dice, end = random.Random(seed), hours * 3600
    arrivals: list[Arrival] = []
    arrivals += [(moment, "ceo") for moment in _poisson(dice, 60.0, end)]
    for moment in _poisson(dice, 1200.0, end):
        size = dice.randint(20, 60)
        arrivals += [(moment + 0.05 * step, "code") for step in range(size)]
    arrivals += [(moment, "quality") for moment in _poisson(dice, 6.0, end)]
    if surge_at is not None:
        arrivals += [(surge_at * 3600 + 0.1 * step, "code") for step in range(500)]
    return sorted(arrivals)


def _poisson(dice: random.Random, every: float, end: float) -> list[float]:
    moments: list[float] = []
    moment = dice.expovariate(1 / every)
    while moment < end:
        moments.append(moment)
        moment += dice.expovariate(1 / every)
    return moments


def bound(arrivals: Sequence[float], windows: Sequence[tuple[int, float]]) -> list[float]:
    """The earliest moments at which any policy can send, quota.md section 2.

    Args:
        arrivals: Seconds, ascending.
        windows: (N, W in seconds) of every limit.
    """
    sent: list[float] = []
    for index, arrival in enumerate(arrivals):
        moment = max(arrival, sent[-1]) if sent else arrival
        for amount, period in windows:
            if index >= amount:
                moment = max(moment, sent[index - amount] + period)
        sent.append(moment)
    return sent
