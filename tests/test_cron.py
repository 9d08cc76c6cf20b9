"""Cron expressions: what they mean, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.cron import EXPECTED, Cron, iso, parse_zone

ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
TEXTS = [
    *("30 2 * * *", "0,30 2 * * *", "*/20 * * * *", "0 * * * *", "5 1-4 * * *", "0 3 * * sun"),
    *("15 */2 * * *", "@daily", "@hourly", "10 2 25 10 *", "0 0 29 2 *"),
]


def at(text: str, zone: str = "UTC") -> float:
    """A local time as Unix time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def moments(cron: Cron, start: float, count: int) -> list[str]:
    """The next moments after one, as people write them."""
    found: list[str] = []
    for _ in range(count):
        start = cron.after(start)
        found.append(iso(start))
    return found


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"),
        ("*/20 * * * *", "2026-01-01T00:20:00Z", "2026-01-01T00:40:00Z"),
        ("0 9-17/4 * * mon-fri", "2026-01-01T09:00:00Z", "2026-01-01T13:00:00Z"),
        ("0 0 1 jan,JUL *", "2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("0 0 * * 7", "2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"),
        ("@hourly", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"),
        ("@daily", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
        ("@midnight", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"),
        ("@weekly", "2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"),
        ("@monthly", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"),
    ],
)
def test_an_expression_means_what_it_says(text: str, first: str, second: str) -> None:
    """Five fields with names, ranges, steps and lists, and the names for common ones."""
    cron = Cron.parse(text, ZONE)
    assert moments(cron, at("2026-01-01T00:00:00"), 2) == [first, second]
    assert str(cron) == f"{text} UTC"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 3 * *", ""),
        ("0 0 3 * * *", ""),
        ("@reboot", ""),
        ("", ""),
        (5, ""),
        ("60 * * * *", " (its minute is none)"),
        ("0 0 * * fun", " (its day-of-week is none)"),
        ("*/0 * * * *", " (its minute is none)"),
        ("H * * * *", " (its minute is none)"),
        ("0 0 30 2 *", " (its day-of-month is none)"),
    ],
)
def test_what_is_no_expression_is_refused(text: object, said: str) -> None:
    """The error says what was expected and which field is wrong."""
    with pytest.raises(ValueError, match="five fields") as error:
        Cron.parse(text, ZONE)
    assert str(error.value) == EXPECTED + said


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe", 5, None])
def test_what_is_no_time_zone_is_refused(name: object) -> None:
    """Only a zone that this machine knows is one."""
    with pytest.raises(ValueError, match="the name of a time zone"):
        parse_zone(name)


def test_a_skipped_time_comes_once() -> None:
    """Half past two on the day that has none comes when the clocks have skipped it."""
    cron = Cron("30 2 * * *", BERLIN)
    assert moments(cron, at("2026-03-28T12:00", "Europe/Berlin"), 2) == [
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ]
    assert str(cron) == "30 2 * * * Europe/Berlin"


def test_a_repeated_time_comes_once() -> None:
    """Half past two on the day that has two comes with the first; every 30 minutes is both."""
    start = at("2026-10-25T01:45", "Europe/Berlin")
    assert moments(Cron("30 2 * * *", BERLIN), start, 2) == [
        "2026-10-25T00:30:00Z",
        "2026-10-26T01:30:00Z",
    ]
    assert moments(Cron("*/30 * * * *", BERLIN), start, 4) == [
        "2026-10-25T00:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
    ]


@pytest.mark.slow
@settings(max_examples=60)
@given(
    text=st.sampled_from(TEXTS),
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(["2026-03-28", "2026-03-07", "2026-10-24", "2026-10-31", "2026-04-04"]),
    offset=st.integers(0, 3 * 86_400_000),
)
def test_moments_do_not_depend_on_where_one_looks_from(
    text: str, zone: str, day: str, offset: int
) -> None:
    """Looking from anywhere finds the same moments, each once, also when the clocks change."""
    cron = Cron.parse(text, ZoneInfo(zone))
    start = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    walked = [start]
    while walked[-1] < start + 3 * 86_400 and len(walked) < 2000:
        walked.append(cron.after(walked[-1]))
    assert all(one < other for one, other in pairwise(walked))
    moment = start + offset / 1000
    known = [each for each in walked[1:] if each > moment]
    if known and moment > walked[1]:
        assert cron.after(moment) == known[0]
        before = [each for each in walked[1:] if each <= moment]
        assert cron.latest(start, moment) == before[-1]


def test_the_latest_of_a_year_of_minutes_is_found_at_once() -> None:
    """A long absence costs no walk through all that was missed; an empty stretch has none."""
    cron = Cron("* * * * *", ZONE)
    now = at("2027-01-01T00:00:30")
    assert cron.latest(at("2026-01-01T00:00:00"), now) == now - 30
    assert Cron("@yearly", ZONE).latest(at("2020-06-01T00:00"), now) == at("2027-01-01T00:00")
    assert Cron("@yearly", ZONE).latest(now, now) is None
    assert Cron("@yearly", ZONE).latest(now, now + 86_400) is None
