"""How far schedules have come is kept over restarts, on every database."""

from __future__ import annotations

from supervisor.jobs.timetable import Place
from tests.jobs.team import Team

NOW = 1_800_000_000.0


async def test_places_are_kept(team: Team) -> None:
    """A new schedule begins now; what is noted is there after a restart."""
    moments = {"nightly": "0 3 * * * UTC", "hourly": "@hourly UTC"}
    noted = Place(NOW + 60, NOW + 50, "j1")
    async with team.at_work() as jobs:
        assert await jobs.timetable.keep(moments, now=NOW) == dict.fromkeys(moments, Place(NOW))
        await jobs.timetable.note("hourly", noted)
        await jobs.timetable.note("nobody", noted)
        kept = await jobs.timetable.keep(moments, now=NOW + 100)
    assert kept == {"nightly": Place(NOW), "hourly": noted}


async def test_other_moments_begin_anew(team: Team) -> None:
    """A schedule whose moments were changed, or that was away, has missed nothing."""
    async with team.at_work() as jobs:
        table = jobs.timetable
        await table.keep({"a": "@daily UTC", "b": "@daily UTC"}, now=NOW)
        changed = await table.keep({"a": "@hourly UTC"}, now=NOW + 10)
        back = await table.keep({"a": "@hourly UTC", "b": "@daily UTC"}, now=NOW + 20)
    assert changed == {"a": Place(NOW + 10)}
    assert back == {"a": Place(NOW + 10), "b": Place(NOW + 20)}
