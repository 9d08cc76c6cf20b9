"""Shortens results, so that a prompt does not grow without bound. Pure."""

from __future__ import annotations

import json
from typing import Any

from supervisor import JsonValue

_STEPS = (2, 4, 16, 64)


def excerpt(value: JsonValue, *, room: int) -> JsonValue:
    """A value that takes no more than so much room; what was left out is said in it.

    Long texts inside are cut first, so that short ones beside them (a branch, a verdict) stay
    whole; what is still too long becomes the beginning of its JSON text.

    Args:
        value: Any JSON value.
        room: Most characters of its JSON text, 200 or more.
    """
    if _length(value) <= room:
        return value
    for step in _STEPS:
        shorter: JsonValue = _with_short_texts(value, room // step)
        if _length(shorter) <= room:
            return shorter
    text = json.dumps(value, ensure_ascii=False)
    most = room
    while _length(_cut(text, most)) > room:
        most = most * 3 // 4
    return _cut(text, most)


def _length(value: JsonValue) -> int:
    return len(json.dumps(value, ensure_ascii=False))


def _with_short_texts(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return _cut(value, most)
    if isinstance(value, list):
        return [_with_short_texts(one, most) for one in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {key: _with_short_texts(one, most) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return value


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[:most]} [cut: {most} of {len(text)} characters]"
