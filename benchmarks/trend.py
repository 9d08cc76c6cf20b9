"""A straight line through what was measured, and how sure its slope is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt


@dataclass(frozen=True, slots=True)
class Trend:
    """A line fitted by least squares.

    Attributes:
        slope: How much the one grows with one of the other.
        error: Standard error of the slope. What is measured in a row hangs together, so it is
            widened by how much each deviation resembles the one before it.
    """

    slope: float
    error: float


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """Fit a line.

    Args:
        points: At least three, in the order in which they were measured.
    """
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    left = [y - mean_y - slope * (x - mean_x) for x, y in points]
    power = sum(one * one for one in left)
    error = sqrt(power / max(1, count - 2) / spread)
    alike = sum(one * other for one, other in pairwise(left)) / power if power else 0.0
    alike = min(max(alike, 0.0), 0.99)
    return Trend(slope, error * sqrt((1 + alike) / (1 - alike)))
