"""What happens, in order; every act checks what it says."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from benchmarks.kills import answers_on_record
from benchmarks.launch import Running, report, simulator, supervisor
from examples.demo.stage import HEAPS, LIMITS, NOTES, Stage
from examples.demo.team import Team

T = TypeVar("T")

_CROWD = 16
"""Waiting requests from which on the key counts as full."""
_GOAL = "Make the tests pass and have it reviewed."
_AT_ONCE = 0.5
"""Seconds that a chat question may wait for its turn."""
_QUESTIONS = 1
"""Requests of the chat's, which no job asks."""
_WINDOW = 5.5
"""Where an earlier run has just filled the window, room has to come back first, for anybody."""


class Failed(Exception):
    """Something did not happen; the text says what."""


class Story:
    """The demonstration.

    Args:
        stage: Where it happens.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._began = time.perf_counter()
        self._lost = 0
        self._told: set[str] = set()
        self._goes_on = stage.is_set

    def tell(self) -> None:
        """All of it.

        Raises:
            Failed: Something did not happen.
        """
        stage = self._stage
        if self._goes_on:
            self._say("stage", f"going on with what an earlier run has left in {stage.folder}")
        else:
            stage.folder.mkdir(parents=True, exist_ok=True)
            stage.set()
        self._require(not self._tests_pass(), "the test of the repository fails at first")
        self._say("stage", "a repository with a failing test; a key for " + " and ".join(LIMITS))
        with self._api() as api:
            goal = self._until_killed(api)
            with self._team(api) as team:
                self._say("team", f"started again after {team.process.seconds:.1f} s; it goes on")
                self._watch(team, goal)
                self._check_result(team.job(goal)["result"])
                self._await_heaps(team)
            self._check_judge(report(api))
        self._say("end", "all of it happened")

    # -- acts -------------------------------------------------------------------------------------

    def _until_killed(self, api: Running) -> str:
        """The first half: everybody at work, a question, and a kill."""
        recorded = answers_on_record(self._stage.folder).total()
        with self._team(api) as team:
            self._say("team", f"ready after {team.process.seconds:.1f} s: {team.process.url}")
            for number, heap in enumerate(self._stage.heaps):
                work = {"index": [str(heap)], "describe": True}
                team.submit("memory", work, key=f"heap {number}")
            if self._goes_on and self._has_little_left(team):
                self._say("memory", "an earlier run has read nearly all notes: no kill this time")
                return self._hand_in(team)
            count = self._until(
                team,
                lambda: n if (n := team.waiting("memory")) >= _CROWD else 0,
                15,
                wanted=f"{_CROWD} requests of memory's to wait",
            )
            self._say("memory", f"{HEAPS * NOTES} notes to read; {count} requests wait, more come")
            goal = self._hand_in(team)
            self._until(
                team, lambda: "code" in self._followed(team, goal), 20, wanted="code to begin"
            )
            self._ask(team)
            self._until(
                team, lambda: self._is_under_way(team, goal), 20, wanted="code to have had answers"
            )
            team.kill()
            # An answer that has left the API is in flight until it is on record, too.
            recorded = answers_on_record(self._stage.folder).total() - recorded
            self._lost = report(api)["attempts"] - recorded - _QUESTIONS
        self._say("kill -9", f"in the middle of code's work, {self._lost} requests in flight")
        return goal

    def _hand_in(self, team: Team) -> str:
        """The goal, which is the same job however often it is handed in."""
        goal = {"goal": _GOAL, "repository": str(self._stage.repository)}
        self._say("you", f"goal: {_GOAL}")
        return team.submit("ceo", goal, key="goal")

    def _has_little_left(self, team: Team) -> bool:
        """Whether memory's work does not fill the key any more."""
        try:
            team.until(
                lambda: team.waiting("memory") >= _CROWD, seconds=5.0, wanted="requests to wait"
            )
        except TimeoutError:
            return True
        return False

    def _ask(self, team: Team) -> None:
        waiting = team.waiting("memory")
        began = time.perf_counter()
        try:
            answer, waited = team.chat("How is it going?")
        except RuntimeError as error:
            raise Failed(str(error)) from error
        took = time.perf_counter() - began
        self._say("chat", f"How is it going? — {answer}")
        self._say(
            "chat",
            f"it waited {waited * 1000:.0f} ms for its turn, behind {waiting} requests of memory's "
            f"({took:.1f} s in all, the program's start and the model's time included)",
        )
        self._require(waiting > 0, "memory's requests wait while the question is asked")
        most = _WINDOW if self._goes_on else _AT_ONCE
        self._require(waited <= most, f"the question waits at most {most} s")

    def _is_under_way(self, team: Team, goal: str) -> bool:
        """Whether code has had answers, and is not done yet."""
        code = self._followed(team, goal).get("code")
        return code is not None and (code["cost"]["requests"] >= 2 or code["status"] == "done")

    def _watch(self, team: Team, goal: str) -> None:
        def ended() -> bool:
            self._followed(team, goal)
            return team.job(goal)["status"] not in ("queued", "running")

        self._until(team, ended, 30, wanted="the goal's job to end")
        job = team.job(goal)
        self._require(
            job["status"] == "done",
            f"the goal's job is done (it is {job['status']}: {job['error']})",
        )

    def _check_result(self, result: dict[str, Any]) -> None:
        done = {task["id"]: task["result"] for task in result["done"]}
        self._say("ceo", f"{result['status']}: {result['summary']}")
        cost = result["cost"]
        self._say(
            "ceo",
            f"it cost {cost['requests']} requests, {cost['tokens']} tokens, {cost['usd']} USD",
        )
        self._require(result["status"] == "done", f"all tasks are done, not: {result['not_done']}")
        self._require(set(done) == {"find", "mend", "review"}, "memory, code and quality took part")
        places = done["find"]["sources"]
        self._require(any("spans.py" in one for one in places), "memory finds the place")
        self._require(done["mend"]["passed"] is True, "code's tests pass")
        self._require(self._tests_pass(done["mend"]["branch"]), "they pass on its branch")
        self._require(not self._tests_pass(), "your own working tree is as it was")
        self._require(self._stage.git("status", "--porcelain") == "", "nothing in it has changed")
        findings = done["review"]["findings"]
        self._require(
            all(one["file"] == "spans.py" for one in findings), "findings are on changed lines"
        )
        for one in findings:
            self._say("quality", f"{one['file']}:{one['start']} {one['severity']}: {one['title']}")
        self._say("you", f"git merge {done['mend']['branch']}")

    def _await_heaps(self, team: Team) -> None:
        def ended() -> bool:
            jobs = team.get("/api/jobs?role=memory&limit=100")["jobs"]
            return all(job["status"] not in ("queued", "running") for job in jobs)

        self._until(team, ended, 45, wanted="all of memory's jobs to end")
        jobs = team.get("/api/jobs?role=memory&status=done&limit=100")["jobs"]
        self._require(len(jobs) == HEAPS + 1, "all of memory's jobs are done")
        self._say("memory", f"all {HEAPS * NOTES} notes are read")

    def _check_judge(self, verdict: dict[str, Any]) -> None:
        self._say(
            "judge",
            f"{verdict['attempts']} requests; over a limit {verdict['over']}, refused "
            f"{verdict['refused']}, asked again after an answer {verdict['asked_again']} "
            f"(in flight at the kill: {self._lost})",
        )
        self._require(verdict["over"] == 0, "no request goes over a limit")
        self._require(verdict["refused"] == 0, "no request is refused")
        self._require(verdict["asked_again"] <= self._lost, "nothing answered is asked again")

    # -- means ------------------------------------------------------------------------------------

    @contextmanager
    def _api(self) -> Generator[Running]:
        with simulator(
            self._stage.folder,
            limits=list(LIMITS),
            answers=str(self._stage.folder / "answers.json"),
            latency="250ms",
            jitter="250ms",
            count_repeats=True,
        ) as running:
            yield running

    @contextmanager
    def _team(self, api: Running) -> Generator[Team]:
        with supervisor(self._stage.folder, self._stage.config(api.url)) as running:
            yield Team(running)

    def _followed(self, team: Team, goal: str) -> dict[str, dict[str, Any]]:
        """The goal's jobs by role; says what is new of them."""
        jobs = team.below(goal)
        for role, job in sorted(jobs.items(), key=lambda item: item[1]["created"]):
            for status in ("running", "done", "failed"):
                if (
                    job["status"] in (status, "done")
                    and (mark := f"{role} {status}") not in self._told
                ):
                    self._told.add(mark)
                    if status == job["status"] or status == "running":
                        self._say(role, status)
        return jobs

    def _tests_pass(self, branch: str = "") -> bool:
        """Whether the tests pass in the working tree, or on a branch."""
        folder = self._stage.repository
        if branch:
            folder = self._stage.folder / "checked"
            self._stage.git("worktree", "add", "--quiet", "--detach", str(folder), branch)
        try:
            command = [sys.executable, "-B", "-m", "unittest", "-q"]
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60)
            return done.returncode == 0
        finally:
            if branch:
                self._stage.git("worktree", "remove", "--force", str(folder))

    def _until(self, team: Team, what: Callable[[], T], seconds: float, *, wanted: str) -> T:
        try:
            return team.until(what, seconds=seconds, wanted=wanted)
        except TimeoutError as error:
            raise Failed(str(error)) from error

    def _require(self, holds: bool, law: str) -> None:  # noqa: FBT001 - a law that holds or not
        if not holds:
            raise Failed(f"expected that {law}")

    def _say(self, who: str, what: str) -> None:
        print(f"{time.perf_counter() - self._began:5.1f} s  {who:<8} {what}", flush=True)
