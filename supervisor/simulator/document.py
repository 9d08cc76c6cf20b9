"""JSON off the wire: objects and lists of which nothing is known yet."""

from __future__ import annotations

from typing import Any, TypeGuard

Json = dict[str, Any]
"""A JSON object; its values are not known to be anything."""


def is_object(value: Any) -> TypeGuard[Json]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)
