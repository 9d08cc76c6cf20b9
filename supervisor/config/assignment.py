"""One value for one place in the tree of settings, and where it came from.

Sources are brought to one form, the assignment; applied in order of precedence they give the tree
that is validated. Which assignment decided a place can be asked afterwards, so that an error names
the file or the variable to mend.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from supervisor.limits import Limit

Place = tuple[str, ...]
"""`("quota", "limits")` for `quota.limits`."""

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Assignment:
    """A value for a place.

    Attributes:
        origin: The source as an error names it.
        place: Where it goes; empty for a whole tree.
        value: What goes there; a table is laid over the table below it.
        from_environment: Whether it may hold a secret.
    """

    origin: str
    place: Place
    value: Any
    from_environment: bool = False

    def over(self, below: Any) -> Any:
        """What stands at the place when `below` stood there before."""
        return _overlaid(below, self.value)

    def sets(self, place: Place) -> bool:
        """Whether it decides this place, or anything below it."""
        if self.place[: len(place)] == place:
            return True
        above = self.place == place[: len(self.place)]
        return above and _at(self.value, place[len(self.place) :]) is not _NOTHING


@dataclass(frozen=True, slots=True)
class RateAssignment(Assignment):
    """A limit that takes the place of the limit over the same period.

    Attributes:
        usual: Limits that hold when no source below has any.
    """

    usual: tuple[Limit, ...] = ()

    def over(self, below: Any) -> list[Any]:
        """The limits with this one in its predecessor's place, or at the end."""
        limits: list[Any] = [*below] if isinstance(below, list) else [below]
        if below is None:
            limits = list(self.usual)
        for index, item in enumerate(limits):
            if self._succeeds(item):
                return [*limits[:index], self.value, *limits[index + 1 :]]
        return [*limits, self.value]

    def _succeeds(self, item: Any) -> bool:
        try:
            limit = item if isinstance(item, Limit) else Limit.parse(item)
        except (TypeError, ValueError):
            # Not a limit: validation will say so.
            return False
        return (limit.unit, limit.period) == (self.value.unit, self.value.period)


def tree_of(assignments: Sequence[Assignment]) -> dict[str, Any]:
    """Apply assignments, the least important first."""
    tree: Any = {}
    for assignment in assignments:
        tree = _applied(tree, assignment.place, assignment)
    return cast("dict[str, Any]", tree)


def origin_of(place: Place, assignments: Sequence[Assignment]) -> str:
    """The source that decided a place; empty when none did and the default holds."""
    for assignment in reversed(assignments):
        if assignment.sets(place):
            return assignment.origin
    return origin_of(place[:-1], assignments) if len(place) > 1 else ""


def read_text(text: str) -> Any:
    """A value as the environment and the command line write it.

    Lists and inline tables are TOML; anything else stays text, and the setting's own parser reads
    numbers and truth values out of it.
    """
    if not re.match(r"\s*[\[{]", text):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _applied(below: Any, place: Place, assignment: Assignment) -> Any:
    if not place:
        return assignment.over(below)
    table = cast("dict[str, Any]", below) if isinstance(below, dict) else {}
    return {**table, place[0]: _applied(table.get(place[0]), place[1:], assignment)}


def _overlaid(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    merged = dict(cast("dict[str, Any]", below))
    for key, item in cast("dict[str, Any]", above).items():
        merged[key] = _overlaid(merged.get(key), item)
    return merged


def _at(value: Any, place: Place) -> Any:
    for part in place:
        if not isinstance(value, dict):
            return _NOTHING
        value = cast("dict[str, Any]", value).get(part, _NOTHING)
    return value
