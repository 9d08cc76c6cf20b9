"""How far each schedule has come: one row a schedule, beside the jobs that it has handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from supervisor.jobs.store import Store
from supervisor.jobs.table import metadata

schedules = sa.Table(
    "supervisor_schedules",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("moments", sa.Text, nullable=False),
    sa.Column("settled", sa.Float, nullable=False),
    sa.Column("moment", sa.Float),
    sa.Column("job", sa.Text),
)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a schedule has come.

    Attributes:
        settled: Moments up to this one, as Unix time, are done with.
        moment: The last that got a job; None for none yet.
        job: Id of the last job; None for none yet.
    """

    settled: float
    moment: float | None = None
    job: str | None = None


class Timetable:
    """The schedules' places, durable.

    Args:
        store: The open store of jobs.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, moments: Mapping[str, str], *, now: float) -> dict[str, Place]:
        """Forget schedules that are gone, begin those that are new or have other moments.

        A new schedule has missed nothing: what lies before `now` is none of its moments.

        Args:
            moments: What is scheduled when, by the schedule's name.
            now: Unix time in seconds.

        Raises:
            StoreError: The store cannot be used.
        """
        return await self._store.write(partial(_keep, moments=moments, now=now))

    async def note(self, name: str, place: Place) -> None:
        """Write down how far a schedule has come.

        Raises:
            StoreError: The store cannot be used.
        """
        change = (
            sa.update(schedules)
            .where(schedules.c.name == name)
            .values(settled=place.settled, moment=place.moment, job=place.job)
        )
        await self._store.write(lambda connection: connection.execute(change))


def _keep(connection: sa.Connection, moments: Mapping[str, str], now: float) -> dict[str, Place]:
    places: dict[str, Place] = {}
    for row in connection.execute(sa.select(schedules)).all():
        if moments.get(row.name) == row.moments:
            places[row.name] = Place(row.settled, row.moment, row.job)
        else:
            connection.execute(sa.delete(schedules).where(schedules.c.name == row.name))
    for name in moments.keys() - places.keys():
        places[name] = Place(now)
        connection.execute(
            sa.insert(schedules).values(name=name, moments=moments[name], settled=now)
        )
    return places
