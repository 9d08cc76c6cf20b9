"""Who may have ended the process: deaths in a row at one place, one suspect at a time."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from sqlite3 import connect

import anyio
import anyio.to_thread
import pytest

from supervisor.jobs import JobRun
from supervisor.jobs.suspects import (
    FIRST_DELAY,
    OFTEN,
    TURN,
    Casualty,
    Suspect,
    Suspects,
    judge_deaths,
)
from supervisor.messages import JsonValue
from tests.jobs.team import Team


def casualty(name: str = "a", *, deaths: int = 0, alone: int = 0, reached: int = 0) -> Casualty:
    """A job that ran when the process died."""
    return Casualty(name, "work", 0, deaths, alone, reached, asking=0, waited=False)


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


def test_who_waits_for_an_answer_is_excused_for_long_but_not_for_ever() -> None:
    """Parked at the end of a budget, a job does nothing; of a part of it nobody can tell."""
    parked = replace(casualty(deaths=2), asking=1)
    (found,) = judge_deaths([(parked, 0)])
    for deaths in range(3, OFTEN + 1):
        (found,) = judge_deaths([(parked, 0)])
        assert (found.deaths, found.alone, found.ending) == (deaths, 0, None)
        parked = replace(parked, deaths=deaths)
    while found.ending is None:
        (found,) = judge_deaths([(parked, 0)])
        parked = replace(parked, deaths=found.deaths, alone=found.alone)
    assert parked.deaths == OFTEN + 3


def test_suspects_have_turns() -> None:
    """One starts at a time, over all roles; the next when it got further, or after its turn."""
    suspects = Suspects([Suspect("a", "x", 0), Suspect("b", "x", 0), Suspect("c", "y", 0)])
    begun = FIRST_DELAY
    assert (suspects.held("x", begun), suspects.held("y", begun)) == (["b"], [])
    suspects.started("a", begun)
    suspects.started("other", begun)
    assert (suspects.held("x", begun), suspects.held("y", begun)) == (["b"], ["c"])
    assert suspects.next_turn(begun) == TURN
    assert (suspects.held("x", begun + TURN), suspects.held("y", begun + TURN)) == ([], [])
    assert not suspects.passed("other")
    assert suspects.passed("a")
    assert suspects.passed("b")
    assert (suspects.held("x", begun), suspects.held("y", begun)) == ([], [])
    assert suspects.next_turn(begun) == float("inf")


def test_a_suspect_starts_ever_later() -> None:
    """Others work before, so that an end of the process by somebody else comes before it starts."""
    for alone, delay in enumerate([2.0, 8.0, 32.0, 32.0]):
        suspects = Suspects([Suspect("a", "x", alone)], since=100.0)
        assert suspects.next_turn(100.0) == delay
        assert suspects.held("x", 99.9 + delay) == ["a"]
        assert suspects.held("x", 100.0 + delay) == []


@dataclass
class World:
    """Jobs of five asks, some of which end the process, and ends that come from outside.

    Attributes:
        killers: Which of the jobs end the process, a second after their start.
        rows: What is on record of each job that is not done.
        asks: Seconds to each answer.
        condemned: Those that were set aside.
    """

    killers: frozenset[str]
    rows: dict[str, Casualty]
    asks: float = 0.5
    condemned: set[str] = field(default_factory=set[str])

    def live(self, longest: float) -> None:
        """One process's life, and what the next one makes of its end."""
        suspects = Suspects(
            Suspect(one.id, "x", one.alone) for one in self.rows.values() if one.suspect
        )
        now, reached = 0.0, {name: one.reached for name, one in self.rows.items()}
        running: dict[str, float] = {}
        while now < longest and self.rows:
            held = suspects.held("x", now)
            for name in [name for name in self.rows if name not in held and name not in running]:
                if len(running) < 5:
                    running[name] = now
                    suspects.started(name, now)
            now += 0.25
            if any(now >= running[name] + 1.0 for name in running if name in self.killers):
                break
            for name in [name for name in running if name not in self.killers]:
                self._answer(name, running, suspects, reached=reached, now=now)
        self._judge([(self.rows[name], reached[name]) for name in running])

    def _answer(
        self,
        name: str,
        running: dict[str, float],
        suspects: Suspects,
        *,
        reached: dict[str, int],
        now: float,
    ) -> None:
        if now < running[name] + self.asks:
            return
        reached[name] += 1
        running[name] = now
        suspects.passed(name)
        if reached[name] >= 5:
            del running[name], self.rows[name]

    def _judge(self, casualties: list[tuple[Casualty, int]]) -> None:
        for found in judge_deaths(casualties):
            row = self.rows.pop(found.id)
            if found.ending is None:
                self.rows[found.id] = replace(
                    row, deaths=found.deaths, alone=found.alone, reached=found.reached
                )
            else:
                self.condemned.add(found.id)
        self.rows = dict(sorted(self.rows.items()))


def world(*, jobs: int, killers: int = 0, asks: float = 0.5) -> World:
    """Jobs of which the first few kill."""
    names = [f"{number:03}" for number in range(jobs)]
    return World(frozenset(names[:killers]), {name: casualty(name) for name in names}, asks)


@pytest.mark.parametrize("asks", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("longest", [1.0, 4.0, 20.0])
def test_kills_from_outside_condemn_nobody(longest: float, asks: float) -> None:
    """However fast they come: two hundred of them set none of three hundred jobs aside."""
    dice, killed = Random(f"{longest} {asks}"), world(jobs=300, asks=asks)
    for _ in range(200):
        killed.live(dice.uniform(0.0, longest))
    assert killed.condemned == set()


@pytest.mark.parametrize("killers", [1, 2, 7])
def test_who_kills_is_condemned_and_nobody_else(killers: int) -> None:
    """Also several beside each other and in one role; all others are done in the end."""
    killed = world(jobs=20, killers=killers)
    lives = 0
    while killed.rows:
        killed.live(600.0)
        lives += 1
    assert killed.condemned == killed.killers
    assert lives <= 5 * killers + 1


@pytest.mark.slow
async def test_who_ends_the_process_is_set_aside(
    sqlite_team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three deaths with it at work set a job aside; others go on, and a retry is a new try."""
    monkeypatch.setattr("supervisor.jobs.suspects.FIRST_DELAY", 0.01)
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


@pytest.mark.slow
async def test_a_parked_job_is_not_set_aside_for_being_killed(
    sqlite_team: Team, sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four deaths while it waits for the API, and it goes on in the end."""
    monkeypatch.setattr("supervisor.jobs.suspects.FIRST_DELAY", 0.01)
    team, deaths = sqlite_team, 0

    async def handle(run: JobRun) -> JsonValue:
        async with run.asking():
            if deaths < 4:
                asking.set()
                await anyio.sleep_forever()
        return run.number

    team.add("work", handle)

    def noted() -> bool:
        with closing(connect(sqlite)) as database:
            return bool(database.execute("SELECT asking FROM supervisor_jobs").fetchone()[0])

    job_id = ""
    for _ in range(4):
        asking = anyio.Event()
        async with team.at_work() as jobs:
            job_id = (await jobs.submit("work", 1, key="k")).id
            await asking.wait()
            assert await anyio.to_thread.run_sync(noted) is (deaths >= 2)
        # As a death leaves it.
        await team.change("UPDATE supervisor_jobs SET status = 'running', asking = (deaths >= 2)")
        deaths += 1
    async with team.at_work() as jobs:
        ended = await jobs.wait(job_id)
    assert (ended.status.value, ended.result) == ("done", 5)


class _Panic(BaseException):
    """What a library of another language may raise."""


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), _Panic("no")],
    ids=["exit", "interrupt", "generator", "panic"],
)
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
