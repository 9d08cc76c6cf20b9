"""Counts who asked and how it ended, for the report; the judge counts windows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


def caller_label(key: str) -> str:
    """The name a bearer token has in the report: no key is ever shown.

    Args:
        key: The token as it was sent, without `Bearer`; empty where none was.
    """
    return hashlib.sha256(key.encode()).hexdigest()[:12] if key else "none"


@dataclass(slots=True)
class _Caller:
    attempts: int = 0
    refused: int = 0


@dataclass(slots=True)
class Tally:
    """What happened so far.

    Attributes:
        in_flight: Requests that have arrived and are not done.
        most_in_flight: The most there were at once.
        hung_up: Requests whose client left before the answer was complete.
        outcomes: Requests by how they ended: an HTTP status, or the fate that befell them.
        most_callers: Bearers, and header values, that are told apart; the rest share one place.
    """

    in_flight: int = 0
    most_in_flight: int = 0
    hung_up: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    most_callers: int = 10_000
    _bearers: dict[str, _Caller] = field(default_factory=dict[str, _Caller])
    _headers: dict[tuple[str, str], _Caller] = field(default_factory=dict[tuple[str, str], _Caller])

    def enter(self) -> None:
        """A request arrived."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def saw(self, key: str, headers: Sequence[tuple[str, str]], *, refused: bool) -> None:
        """Count an attempt for whoever made it.

        Args:
            key: The bearer token.
            headers: Names and values of the headers that are counted by.
            refused: Whether it was refused for quota.
        """
        callers = [self._caller(self._bearers, key, others="")]
        for name, value in headers:
            callers.append(self._caller(self._headers, (name, value), others=(name, "(others)")))
        for caller in callers:
            caller.attempts += 1
            caller.refused += refused

    def _caller(self, callers: dict[T, _Caller], name: T, *, others: T) -> _Caller:
        caller = callers.get(name)
        if caller is None:
            # Whoever sends a new value each time must not fill the memory.
            name = name if len(callers) < self.most_callers else others
            caller = callers.setdefault(name, _Caller())
        return caller

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        headers: dict[str, dict[str, Any]] = {}
        for (name, value), caller in self._headers.items():
            headers.setdefault(name, {})[value] = _counts(caller)
        return {
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "hung_up": self.hung_up,
            "outcomes": dict(sorted(self.outcomes.items())),
            "bearers": {caller_label(key): _counts(who) for key, who in self._bearers.items()},
            "headers": headers,
        }


def _counts(caller: _Caller) -> dict[str, int]:
    return {"attempts": caller.attempts, "refused": caller.refused}
