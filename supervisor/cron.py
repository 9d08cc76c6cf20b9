"""When a schedule's moments are: a cron expression in a time zone, asked for Unix times. Pure.

The rules of daylight saving are those of Debian's cron, which most people know without knowing
it. A fixed time that the clocks skip comes at the moment they have skipped to; one that they pass
twice comes the first time; what has `*` for its hour or minute comes by the time that really
passes.
"""

from __future__ import annotations

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
_FIRST_LOOK_BACK = 3600.0
# Any will do: only the expression is looked at.
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


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
        try:
            CronSim(_NAMES.get(text, text), _SOME_DAY)
        except CronSimError as error:
            what = str(error).removeprefix("Bad ")
            raise ValueError(f"{EXPECTED} (its {what} is none)") from None
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
