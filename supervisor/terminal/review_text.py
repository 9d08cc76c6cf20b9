"""A review for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from supervisor.terminal.text import Color, Painter

_COLORS = {"error": Color.BAD, "warning": Color.WARNING, "note": Color.FAINT}
_FEW = 5
"""Files that are named for one reason."""
# What a model or a file says must not steer the terminal it is shown on.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def review_text(review: Mapping[str, Any], painter: Painter) -> str:
    """The review as lines.

    Args:
        review: What the role `quality` returns.
        painter: Colours it, or not.
    """
    sections = [_finding(one, painter) for one in review["findings"]]
    sections.append("\n".join(_tail(review, painter)))
    return "\n\n".join(section for section in sections if section)


def _finding(one: Mapping[str, Any], painter: Painter) -> str:
    lines = f"{one['start']}" if one["end"] == one["start"] else f"{one['start']}-{one['end']}"
    place = painter.paint(f"{_plain(one['file'])}:{lines}", Color.STRONG)
    severity = painter.paint(one["severity"], _COLORS[one["severity"]])
    rule = painter.paint(f"[{_plain(one['rule_id'])}, {one['confidence']:.0%}]", Color.FAINT)
    shown = [f"{place}  {severity}  {_plain(one['title'])}  {rule}"]
    shown += _indented(one["why"])
    shown += _indented(one["suggestion"], mark="> ")
    return "\n".join(shown)


def _tail(review: Mapping[str, Any], painter: Painter) -> Iterable[str]:
    if review.get("summary"):
        yield _plain(review["summary"])
    for one in review.get("linted", ()):
        if one["error"]:
            text = f"{one['linter']} could not be used: {_plain(one['error'])}"
            yield painter.paint(text, Color.WARNING)
    by_reason: dict[str, list[str]] = {}
    for one in review.get("left_out", ()):
        by_reason.setdefault(one["why"], []).append(_plain(one["file"]))
    for why, files in by_reason.items():
        text = f"not shown to the model: {_listed(files)} ({_plain(why)})"
        yield painter.paint(text, Color.FAINT)


def _listed(files: Sequence[str]) -> str:
    more = f" and {len(files) - _FEW} more" if len(files) > _FEW else ""
    return f"{', '.join(files[:_FEW])}{more}"


def _indented(text: str, *, mark: str = "") -> list[str]:
    lines = [_plain(line) for line in text.strip().splitlines()]
    return [
        f"    {mark if not number else ' ' * len(mark)}{line}" for number, line in enumerate(lines)
    ]


def _plain(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
