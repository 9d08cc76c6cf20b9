"""Who may have ended the process: deaths in a row at one place, one suspect at a time."""

from __future__ import annotations

import anyio
import pytest

from supervisor.jobs import JobRun
from supervisor.jobs.suspects import TURN, Casualty, Finding, Suspects, judge_deaths
from supervisor.messages import JsonValue
from tests.jobs.team import Team


def casualty(name: str = "a", *, deaths: int = 0, alone: int = 0, reached: int = 0) -> Casualty:
    """A job that ran when the process died."""
    return Casualty(name, "work", 0, deaths, alone, reached, waited=False)


def died(*casualties: tuple[Casualty, int]) -> list[tuple[int, bool]]:
    """The deaths in a row of each, and whether it is set aside."""
    return [(each.deaths, each.ending is not None) for each in judge_deaths(casualties)]


def test_three_deaths_at_the_same_place_poison() -> None:
    """The third in a row is the end; one answer in between begins the count anew."""
    assert died((casualty(), 0)) == [(1, False)]
    assert died((casualty(deaths=1, alone=1), 0)) == [(2, False)]
    assert died((casualty(deaths=2, alone=2), 0)) == [(3, True)]
    assert died((casualty(deaths=2, alone=2, reached=4), 5)) == [(1, False)]


def test_only_a_lone_suspect_is_set_aside() -> None:
    """Who is no suspect yet does not excuse one; another suspect does."""
    assert died((casualty(deaths=4, alone=2), 0), (casualty("b"), 0)) == [(5, True), (1, False)]
    both = (casualty(deaths=4, alone=2), 0), (casualty("b", deaths=2), 0)
    assert died(*both) == [(5, False), (3, False)]


def test_suspects_have_turns() -> None:
    """One starts at a time, over all roles; the next when it has ended, or after its turn."""
    suspects = Suspects([Finding("a", "x", 2, 0, 0, None)], [("b", "x"), ("c", "y")])
    assert sorted([*suspects.held("x", 0.0), *suspects.held("y", 0.0)]) == ["a"]
    suspects.started("b", 0.0)
    suspects.started("other", 1.0)
    assert (suspects.held("x", 1.0), suspects.held("y", 1.0)) == (["a"], ["c"])
    assert (suspects.held("x", TURN), suspects.held("y", TURN)) == ([], [])
    suspects.ended("a")
    suspects.ended("b")
    assert (suspects.held("x", 1.0), suspects.held("y", 1.0)) == ([], [])


@pytest.mark.slow
async def test_who_ends_the_process_is_set_aside(sqlite_team: Team) -> None:
    """Three deaths with it at work set a job aside; others go on, and a retry is a new try."""
    team, at_work = sqlite_team, 0

    async def handle(run: JobRun) -> JsonValue:
        nonlocal at_work
        answer = await team.ask(run, str(run.input))
        if run.input == "killer" and at_work < 3:
            at_work += 1
            reached.set()
            await anyio.sleep_forever()
        return answer

    team.add("work", handle)
    killer = ""
    for _ in range(3):
        reached = anyio.Event()
        async with team.at_work() as jobs:
            killer = (await jobs.submit("work", "killer", key="k")).id
            await reached.wait()
        # As a death leaves it: nobody has put it back.
        await team.change("UPDATE supervisor_jobs SET status = 'running'")
    async with team.at_work() as jobs:
        ended = await jobs.wait(killer)
        assert (ended.poisoned, ended.runs) == (True, 3)
        assert "there is no traceback" in str(ended.error)
        assert (await jobs.wait((await jobs.submit("work", "next")).id)).result == "next!"
        await jobs.retry(killer)
        assert (await jobs.wait(killer)).result == "killer!"
    assert team.asked == ["killer", "next"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
async def test_what_wants_to_end_the_process_is_a_crash(
    sqlite_team: Team, error: BaseException
) -> None:
    """A handler that raises what ends a program is set aside with its traceback; we live on."""

    async def handle(run: JobRun) -> JsonValue:
        raise BaseExceptionGroup("tasks", [error]) if run.number == 2 else error

    sqlite_team.add("work", handle)
    async with sqlite_team.at_work() as jobs:
        ended = await jobs.wait((await jobs.submit("work", 1)).id)
    assert (ended.poisoned, ended.runs) == (True, 3)
    assert type(error).__name__ in str(ended.detail)
