"""One line of a benchmark's table: what was measured, what must hold, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """A figure.

    Attributes:
        name: What was measured.
        value: The figure with its unit.
        must: What must hold, as shown; empty where the figure is told as information.
        holds: Whether it does.
    """

    name: str
    value: str
    must: str = ""
    holds: bool = True


def at_most(name: str, value: float, most: float, *, unit: str = "", digits: int = 2) -> Row:
    """A figure that must not be larger than `most`."""
    shown = f"{value:.{digits}f}{unit}"
    return Row(name, shown, f"<= {most:g}{unit}", value <= most)


def at_least(name: str, value: float, least: float, *, unit: str = "", digits: int = 2) -> Row:
    """A figure that must not be smaller than `least`."""
    shown = f"{value:.{digits}f}{unit}"
    return Row(name, shown, f">= {least:g}{unit}", value >= least)


def show(rows: Iterable[Row], *, title: str) -> int:
    """Print rows as they come.

    Args:
        rows: The rows.
        title: What stands above them.

    Returns:
        How many do not hold.
    """
    print(f"{'':2} {title:70} {'value':>14}  {'must':>12}")
    failed = 0
    for row in rows:
        mark = ("ok" if row.holds else "NO") if row.must else ""
        failed += not row.holds
        print(f"{mark:2} {row.name:70} {row.value:>14}  {row.must:>12}", flush=True)
    return failed


def quantile(values: Iterable[float], part: float) -> float:
    """The value below which a part of all lies; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def middle(values: Iterable[float]) -> float:
    """The median; NaN of none."""
    known = list(values)
    return median(known) if known else float("nan")
