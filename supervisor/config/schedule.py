"""What `[[schedule]]` says: which role gets which job when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from supervisor.config import value
from supervisor.cron import Cron
from supervisor.messages import JsonValue

NAME = r"[a-z][a-z0-9_-]*"

Missed = Literal["once", "skip"]
"""What becomes of moments that passed unseen: one job for all of them together, or none."""


class ScheduleSettings(BaseModel):
    """One schedule.

    Attributes:
        cron: When, as a cron expression.
        role: Who gets the job.
        input: What it is given; None, which is JSON's null, when nothing is said.
        name: What it is called; None for its role's name.
        timezone: The time zone that the expression's hours are meant in.
        priority: 0 (most urgent) to 99; None for the role's own.
        missed: What becomes of moments that passed unseen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    cron: Annotated[str, PlainValidator(value.cron)]
    role: Annotated[str, PlainValidator(value.plain_text("the name of a role", NAME))]
    input: Annotated[JsonValue, PlainValidator(value.plain_value)] = Field(default=None, repr=False)
    name: (
        Annotated[
            str,
            PlainValidator(
                value.plain_text('lower-case letters, digits, "_" or "-", such as "nightly"', NAME)
            ),
        ]
        | None
    ) = None
    timezone: Annotated[ZoneInfo, PlainValidator(value.zone), PlainSerializer(str)] = ZoneInfo(
        "UTC"
    )
    priority: Annotated[int, PlainValidator(value.priority)] | None = None
    missed: Annotated[Missed, PlainValidator(value.one_of("once", "skip"))] = "once"

    @property
    def moments(self) -> Cron:
        """When it is due."""
        return Cron(self.cron, self.timezone)


def named(schedules: Sequence[ScheduleSettings]) -> Mapping[str, ScheduleSettings]:
    """Schedules by name; one without is called like its role, the role's second `ROLE-2`.

    Two that were given the same name are one too few here; `consistency` refuses that.
    """
    taken = {each.name for each in schedules}
    counts: Counter[str] = Counter()
    names: dict[str, ScheduleSettings] = {}
    for each in schedules:
        name = each.name
        while name is None:
            counts[each.role] += 1
            number = counts[each.role]
            free = each.role if number == 1 else f"{each.role}-{number}"
            name = None if free in taken else free
        names[name] = each
    return names
