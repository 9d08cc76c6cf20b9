"""`[[schedule]]`: how schedules are called that nobody has named, and what their inputs may be."""

from __future__ import annotations

from supervisor.config.schedule import ScheduleSettings, named
from supervisor.config.settings import Settings
from tests.config.conftest import Project

TWO = """
[[schedule]]
cron = "@daily"
role = "memory"
input = {index = ["docs"], describe = true}

[[schedule]]
cron = "0 3 * * mon"
role = "memory"
name = "weekly"
timezone = "Europe/Berlin"
priority = "low"
missed = "SKIP"
"""


def test_schedules_are_read(project: Project) -> None:
    """A table for each schedule; what is not said has its default."""
    daily, weekly = project.load(TWO).schedule
    assert (daily.input, daily.timezone.key, daily.priority, daily.missed) == (
        {"index": ["docs"], "describe": True},
        "UTC",
        None,
        "once",
    )
    assert (weekly.name, weekly.input, weekly.timezone.key, weekly.priority, weekly.missed) == (
        "weekly",
        None,
        "Europe/Berlin",
        60,
        "skip",
    )


def test_one_table_is_a_list_of_one() -> None:
    """The environment and the command line can give a single schedule."""
    one = Settings.model_validate({"schedule": {"cron": "@daily", "role": "a"}})
    assert [each.role for each in one.schedule] == ["a"]


def test_an_input_is_not_shown() -> None:
    """What a job is given may be anything, and is nobody's business in a log."""
    assert "docs" not in repr(ScheduleSettings(cron="@daily", role="a", input="docs"))


def test_a_schedule_without_a_name_is_called_like_its_role() -> None:
    """The second of a role is numbered, around the names that were given."""
    schedules = [
        ScheduleSettings(cron="@daily", role=role, name=name)
        for role, name in [("a", None), ("b", "a"), ("a", None), ("b", None), ("a", "a-2")]
    ]
    assert list(named(schedules)) == ["a-3", "a", "a-4", "b", "a-2"]
    assert list(named(schedules[3:4] + schedules[2:3])) == ["b", "a"]
