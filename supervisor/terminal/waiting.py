"""What a person is told while a question waits: one line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supervisor.terminal.clean import clean

_MINUTE = 60
_HOUR = 3600


def waiting_text(why: Mapping[str, Any]) -> str:
    """Place, what stands in the way, and when it is expected to go.

    Args:
        why: What `/api/why/ID` answers.
    """
    place = why.get("place")
    ahead = place - 1 if isinstance(place, int) else 0
    urgent = why.get("urgent_ahead") or 0
    if ahead <= 0:
        head = "first in line"
    else:
        head = f"{ahead} ahead" + (f", {urgent} more urgent" if urgent else "")
    expected = why.get("expected")
    when = f"goes in {duration(expected)}" if isinstance(expected, int | float) else ""
    # A narrow terminal cuts the end off, which is the least of it.
    return "; ".join(part for part in (head, when, one_line(str(why.get("detail") or ""))) if part)


def duration(seconds: float) -> str:
    """Whole seconds in words, such as `8 s` or `2 min 5 s`.

    Args:
        seconds: 0 or more; what is less than one counts as one, for zero would mean now.
    """
    whole = max(1, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def one_line(text: str) -> str:
    """A text of the house on one line, harmless."""
    return " ".join(clean(text).split())
