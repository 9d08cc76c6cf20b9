"""What the role quality finds, as its jobs return it."""

from __future__ import annotations

from typing import Any


def finding(**changes: Any) -> dict[str, Any]:
    """A finding; its keys with other values, or more of them."""
    return {
        "rule_id": "lost-error",
        "severity": "error",
        "confidence": 0.9,
        "file": "a.py",
        "start": 4,
        "end": 4,
        "title": "removes a file",
        "why": "nobody asked for it",
        "suggestion": "do not",
        **changes,
    }
