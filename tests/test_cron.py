"""Cron expressions: what they mean, whatever the clocks do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
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

MINUTES = "expected 0 to 59, a range, a step, or *"
MONTHS = "expected 1 to 12 or jan to dec, a range, a step, or *"
DAYS = "expected 0 to 7 or sun to sat, a range, a step, or *"


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
        ("0 0 30 2 *", " (its day never comes)"),
        ("0 0 */31 * mon#2", " (its day never comes)"),
        *(
            (f"{minute} * * * *", f' (its minute "{minute[:40]}" is none: {MINUTES})')
            for minute in (
                "60",
                "H",
                "-1",
                "1.5",
                "9" * 5_000,
                "5-",
                "-5",
                "1-2-3",
                "0-60",
                "mon",
                "\u0663",
                "L",
                "?",
                "*-5",
                "**",
            )
        ),
        *(
            (f"{minute} * * * *", f' (its minute "{minute}" is none: expected a step of 1 to 60)')
            for minute in ("*/61", "*/0", "0/99", "0-9/61", "*/-5", "*/", "*/5/2", "*/x")
        ),
        ("5-3 * * * *", ' (its minute "5-3" is none: a range goes up, write "5-59,0-3")'),
        (
            "1,5-5/2 * * * *",
            ' (its minute "5-5/2" is none: a range of one value has no steps, write "5")',
        ),
        ("0,,5 * * * *", f' (its minute "" is none: {MINUTES})'),
        ("0 24 * * *", ' (its hour "24" is none: expected 0 to 23, a range, a step, or *)'),
        ("0 */25 * * *", ' (its hour "*/25" is none: expected a step of 1 to 24)'),
        ("0 0 0 * *", ' (its day "0" is none: expected 1 to 31, a range, a step, or *)'),
        ("0 0 */32 * *", ' (its day "*/32" is none: expected a step of 1 to 31)'),
        ("0 0 L/2 * *", ' (its day "L/2" is none: expected 1 to 31, a range, a step, or *)'),
        ("0 0 1 13 *", f' (its month "13" is none: {MONTHS})'),
        ("0 0 1 */13 *", ' (its month "*/13" is none: expected a step of 1 to 12)'),
        ("0 0 * * fun", f' (its weekday "fun" is none: {DAYS})'),
        ("0 0 * * mon#6", f' (its weekday "mon#6" is none: {DAYS})'),
        ("0 0 * * */8", ' (its weekday "*/8" is none: expected a step of 1 to 7)'),
        (
            "0 0 * * sat-sun",
            ' (its weekday "sat-sun" is none: a range goes up, write "sat-7,0-sun")',
        ),
    ],
)
def test_what_is_no_expression_is_refused(text: object, said: str) -> None:
    """The error says what was expected, which field is wrong, and what it may be."""
    with pytest.raises(ValueError, match="five fields") as error:
        Cron.parse(text, ZONE)
    assert str(error.value) == EXPECTED + said


@pytest.mark.parametrize(
    ("weekdays", "days"), [("sat-7,0-sun", {5, 6}), ("fri-7,0-mon", {4, 5, 6, 0})]
)
def test_the_advice_for_a_range_that_goes_down(weekdays: str, days: set[int]) -> None:
    """What is to be written instead of a range that goes down means what was meant."""
    cron = Cron.parse(f"0 0 * * {weekdays}", ZONE)
    found = moments(cron, at("2026-01-01T00:00:00"), 7)
    assert {datetime.fromisoformat(moment).weekday() for moment in found} == days


@dataclass(frozen=True)
class Meaning:
    """A field, and which values it stands for by the definition."""

    text: str
    values: frozenset[int]


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, steps: int) -> Meaning:
    """A list of values, ranges and steps; among them all that is written seldom."""
    texts: list[str] = []
    values: set[int] = set()
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(st.integers(low, high), st.integers(low, high))))
        kind = draw(st.sampled_from(["*", "one", "range"]))
        step = draw(st.none() | st.integers(1, steps))
        if kind == "*":
            text, start, end = "*", low, high
        elif kind == "one" or start == end:
            text, end = str(start), start if step is None else high
        else:
            text = f"{start}-{end}"
        texts.append(text if step is None else f"{text}/{step}")
        values.update(range(start, end + 1, step or 1))
    return Meaning(",".join(texts), frozenset(values))


@settings(max_examples=150)
@given(
    minute=fields(0, 59, 60),
    hour=fields(0, 23, 24),
    day=fields(1, 31, 31),
    weekday=fields(0, 7, 7),
    start=st.integers(1_767_225_600, 1_900_000_000),
)
def test_a_moment_is_the_first_that_fits(
    minute: Meaning, hour: Meaning, day: Meaning, weekday: Meaning, start: int
) -> None:
    """After any second comes the first minute whose fields all fit, and none before it."""
    both = day.text.startswith("*") or weekday.text.startswith("*")

    def fits(moment: datetime) -> bool:
        by_day = moment.day in day.values
        by_weekday = bool({moment.isoweekday(), moment.isoweekday() % 7} & weekday.values)
        return (by_day and by_weekday) if both else (by_day or by_weekday)

    try:
        cron = Cron.parse(f"{minute.text} {hour.text} {day.text} * {weekday.text}", ZONE)
    except ValueError as error:
        assert "never comes" in str(error)  # noqa: PT017 - such as the second Monday on a 1st
        return
    found = datetime.fromtimestamp(cron.after(start), UTC)
    assert found.timestamp() > start
    assert found.second == 0
    assert (found.minute in minute.values, found.hour in hour.values, fits(found)) == (True,) * 3
    day_before = datetime.fromtimestamp(start, UTC).replace(hour=0, minute=0, second=0)
    while day_before.date() <= found.date():
        times = product(sorted(hour.values), sorted(minute.values)) if fits(day_before) else ()
        for hours, minutes in times:
            moment = day_before.replace(hour=hours, minute=minutes)
            assert moment.timestamp() <= start or moment >= found
        day_before += timedelta(days=1)


@settings(max_examples=300)
@given(st.from_regex(r"[*0-9]{1,3}(-[0-9]{0,3})?(/[0-9]{0,3})?", fullmatch=True))
def test_a_field_is_taken_only_where_it_has_a_meaning(text: str) -> None:
    """A minute is a value, a range that goes up, or *, with a step of what there is at most."""
    match = re.fullmatch(r"(\*|(\d+)(-\d+)?)(/\d+)?", text, re.ASCII)
    first, last, step = (
        (int(match[2] or 0), int((match[3] or "").strip("-") or match[2] or 59), match[4])
        if match
        else (1, 0, None)
    )
    meant = 0 <= first <= last <= 59 and (step is None or 1 <= int(step[1:]) <= 60)
    meant = meant and not (match and match[3] and step and first == last)
    try:
        Cron.parse(f"{text} * * * *", ZONE)
        taken = True
    except ValueError:
        taken = False
    assert taken == meant


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
