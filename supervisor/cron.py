"""When a schedule's moments are: a cron expression in a time zone, asked for Unix times. Pure.

The rules of daylight saving are those of Debian's cron, which most people know without knowing
it. A fixed time that the clocks skip comes at the moment they have skipped to; one that they pass
twice comes the first time; what has `*` for its hour or minute comes by the time that really
passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

EXPECTED = (
    'five fields, "minute hour day month weekday", such as "0 3 * * mon-fri" or "*/15 * * * *", '
    "or one of @hourly, @daily, @weekly, @monthly, @yearly"
)
EXPECTED_ZONE = 'the name of a time zone, such as "UTC" or "Europe/Berlin"'

_NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIRST_LOOK_BACK = 3600.0
# Any will do: only the expression is looked at.
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Field:
    """What may stand in one of the five places: `CronSim` takes more than has a meaning.

    Attributes:
        name: What it is called.
        low: Its least number.
        high: Its greatest.
        steps: How many values there are, which is the longest step that means anything.
        names: Names of its values, the first of which is the least.
        special: What else is an item.
    """

    name: str
    low: int
    high: int
    steps: int
    names: tuple[str, ...] = ()
    special: str = r"(?!)"

    def fault(self, text: str) -> str:
        """What is wrong with a field; empty when nothing is."""
        for item in text.split(","):
            reason = self._fault(item)
            if reason:
                return f'its {self.name} "{item[:40]}" is none: {reason}'
        return ""

    def _fault(self, item: str) -> str:
        base, slash, step = item.partition("/")
        first, dash, last = base.partition("-")
        if base != "*":
            if not slash and re.fullmatch(self.special, base, re.ASCII | re.IGNORECASE):
                return ""
            start = self._number(first)
            end = self._number(last) if dash else start
            if start is None or end is None:
                also = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
                return f"expected {self.low} to {self.high}{also}, a range, a step, or *"
            if start > end:
                fixed = f"{first}-{self.high},{self.low}-{last}"
                return f'a range goes up, write "{fixed}"'
            if slash and dash and start == end:
                return f'a range of one value has no steps, write "{first}"'
        if slash and not (_is_number(step) and 1 <= int(step) <= self.steps):
            return f"expected a step of 1 to {self.steps}"
        return ""

    def _number(self, text: str) -> int | None:
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.low
        return int(text) if _is_number(text) and self.low <= int(text) <= self.high else None


_FIELDS = (
    _Field("minute", 0, 59, 60),
    _Field("hour", 0, 23, 24),
    _Field("day", 1, 31, 31, special="LW?"),
    _Field("month", 1, 12, 12, names=_MONTHS),
    _Field("weekday", 0, 7, 7, names=_DAYS, special=rf"[0-7]L|([0-7]|{'|'.join(_DAYS)})#[1-5]"),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments of one expression.

    Attributes:
        text: As it was written.
        zone: The time zone that its hours are meant in.
    """

    text: str
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: object, zone: ZoneInfo) -> Cron:
        """Check an expression.

        Raises:
            ValueError: It is none, or its day never comes; the message says what was expected.
        """
        if not isinstance(text, str) or (len(text.split()) != 5 and text not in _NAMES):
            raise ValueError(EXPECTED)
        plain = _NAMES.get(text, text)
        faults = (field.fault(part) for field, part in zip(_FIELDS, plain.split(), strict=True))
        fault = next(filter(None, faults), "") or ("" if _comes(plain) else "its day never comes")
        if fault:
            raise ValueError(f"{EXPECTED} ({fault})")
        return cls(text, zone)

    def after(self, moment: float) -> float:
        """The first moment after one, both as Unix time in seconds."""
        return next(self._following(moment))

    def latest(self, since: float, until: float) -> float | None:
        """The last moment after `since` and not after `until`; None when there is none."""
        back = _FIRST_LOOK_BACK
        while since < until:
            # From near the end first: a year of minutes is half a million moments.
            start = max(since, until - back)
            found = None
            for moment in self._following(start):
                if moment > until:
                    break
                found = moment
            if found is not None or start == since:
                return found
            back *= 4
        return None

    def _following(self, moment: float) -> Iterator[float]:
        start = datetime.fromtimestamp(moment, UTC).astimezone(self.zone)
        for local in CronSim(_NAMES.get(self.text, self.text), start):
            yield local.timestamp()

    def __str__(self) -> str:
        return f"{self.text} {self.zone.key}"


def _comes(text: str) -> bool:
    """Whether there is any such moment, which is one within forty years."""
    try:
        return next(CronSim(text, _SOME_DAY), None) is not None
    except CronSimError:
        return False


def _is_number(text: str) -> bool:
    # No longer than any that means something: int() refuses thousands of digits.
    return text.isascii() and text.isdigit() and len(text) <= 4


def parse_zone(name: object) -> ZoneInfo:
    """Check the name of a time zone.

    Raises:
        ValueError: This machine knows none of that name.
    """
    try:
        if isinstance(name, str):
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    raise ValueError(EXPECTED_ZONE)


def iso(moment: float) -> str:
    """A moment as people and keys write it: `2026-03-01T03:00:00Z`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
