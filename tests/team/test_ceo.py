"""The planner with a real team: its tasks are jobs, and outlive what happens to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from supervisor.jobs import JobStatus
from supervisor.team.team import Team
from tests.team.conftest import House

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CEO = Path(__file__).parents[2] / "roles" / "ceo"

WORKER = """
from supervisor import Brief, Context, JobFailed, Priority, Role

class Worker(Role[Brief, dict[str, object]]):
    priority = Priority.LOW

    async def handle(self, job: Brief, ctx: Context) -> dict[str, object]:
        answer = await ctx.ask(job.task)
        if answer.text == "no":
            raise JobFailed("too hard")
        seen = [one.id for one in job.context]
        return {"said": answer.text, "seen": seen, "max_usd": str(job.max_usd)}
"""

PRICE = 2_500_000_000
"""Ticks of an answer: a quarter of a dollar."""


class Model:
    """What the model says, and whom it keeps waiting.

    Args:
        house: Whose API it stands for.
        tasks: The plan: id and needs of each task.
    """

    def __init__(self, house: House, tasks: Sequence[tuple[str, Sequence[str]]]) -> None:
        self.tasks = tasks
        self.asked: list[str] = []
        self.waiting: set[str] = set()
        self.held: set[str] = set()
        self.news = anyio.Event()
        house.write("worker", WORKER)
        shutil.copytree(CEO, house.roles / "ceo", ignore=shutil.ignore_patterns("__pycache__"))
        house.api.handle = self.handle  # type: ignore[method-assign]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer, once nobody holds the question back any more."""
        body = json.loads(request.content)
        question = kind_of(body)
        self.asked.append(question)
        self.waiting.add(question)
        self.tell()
        try:
            while question in self.held:
                await self.news.wait()
        finally:
            self.waiting.discard(question)
            self.tell()
        return answer(self.says(question))

    def says(self, question: str) -> str:
        """The plan, or a word."""
        return self.plan() if question == "plan" else f"{question}!"

    def plan(self) -> str:
        """The plan as the model writes it."""
        tasks = [
            {
                "id": id,
                "role": "worker",
                "instruction": f"do {id}",
                "needs": needs,
                "done_when": "",
                "max_calls": None,
                "max_usd": None,
            }
            for id, needs in self.tasks
        ]
        return json.dumps({"tasks": tasks})

    def tell(self) -> None:
        """Something has changed."""
        self.news.set()
        self.news = anyio.Event()

    def release(self) -> None:
        """Hold nobody back any more."""
        self.held.clear()
        self.tell()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        with anyio.fail_after(10):
            while not holds():
                await self.news.wait()


def kind_of(body: dict[str, Any]) -> str:
    """What is asked: `plan`, `summary`, or a task's instruction."""
    if "response_format" in body:
        return "plan"
    first, last = body["messages"][0], body["messages"][-1]
    return "summary" if first["role"] == "system" else str(last["content"])


def answer(text: str) -> httpx.Response:
    """An answer with its price."""
    message = {"role": "assistant", "content": text}
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 12,
        "cost_in_usd_ticks": PRICE,
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return httpx.Response(200, json={"id": "1", "choices": [choice], "usage": usage})


async def report_on(team: Team, goal: object) -> dict[str, Any]:
    """The report on a goal."""
    with anyio.fail_after(10):
        job = await team.jobs.wait((await team.submit("ceo", goal)).id)
    assert job.status is JobStatus.DONE, job.error
    assert isinstance(job.result, dict)
    return job.result


async def test_tasks_run_at_once_with_the_goals_priority(house: House) -> None:
    """Tasks that do not need each other are under way together, as urgent as their goal."""
    model = Model(house, [("a", []), ("b", []), ("c", ["a", "b"])])
    model.held = {"do a", "do b"}
    async with house.open() as team:
        job = await team.submit("ceo", "ship it")
        await model.until(lambda: model.waiting >= {"do a", "do b"})
        assert team.jobs.snapshot().roles["ceo"].waiting == 1
        model.release()
        ended = await team.jobs.wait(job.id)
        children = await team.jobs.list(role="worker")
    assert isinstance(ended.result, dict)
    report = ended.result
    assert (report["status"], report["summary"]) == ("done", "summary!")
    assert [one["result"]["seen"] for one in report["done"]] == [[], [], ["a", "b"]]
    assert report["cost"] == {"requests": 5, "tokens": 60, "usd": 1.25}
    assert {(child.parent, child.priority) for child in children} == {(job.id, 20)}


async def test_goals_that_wait_hold_no_slot(house: House) -> None:
    """With one slot for goals and one for tasks, two goals at once both come to their end."""
    model = Model(house, [("a", []), ("b", [])])
    ceo = house.roles / "ceo" / "__init__.py"
    ceo.write_text(ceo.read_text().replace("concurrency = 8", "concurrency = 1"))
    house.write("worker", WORKER.replace("LOW\n", "LOW\n    concurrency = 1\n"))
    model.held = {"do a", "do b"}
    async with house.open() as team:
        jobs = [await team.submit("ceo", goal) for goal in ("one", "two")]
        await model.until(lambda: model.asked.count("plan") == 2)
        model.release()
        with anyio.fail_after(10):
            ended = [await team.jobs.wait(job.id) for job in jobs]
    assert [job.status for job in ended] == [JobStatus.DONE] * 2


async def test_a_plan_that_is_none_is_asked_for_once_more(house: House) -> None:
    """The model is told what is wrong with its plan; after two it is one task."""
    model = Model(house, [("a", ["b"])])
    async with house.open() as team:
        report = await report_on(team, "ship it")
    assert model.asked == ["plan", "plan", "ship it", "summary"]
    assert [(one["id"], one["result"]["said"]) for one in report["done"]] == [("all", "ship it!")]


async def test_a_failed_task_is_reported(house: House) -> None:
    """A child that fails is told with its reason, and what needs it is left out."""
    model = Model(house, [("a", []), ("b", ["a"]), ("c", [])])
    model.says = lambda question: (  # type: ignore[method-assign]
        {"plan": model.plan(), "do a": "no"}.get(question, "yes")
    )
    async with house.open() as team:
        report = await report_on(team, {"goal": "ship it", "max_usd": 5})
    assert report["status"] == "partial"
    assert [one["id"] for one in report["done"]] == ["c"]
    assert "too hard" in report["not_done"][0]["why"]
    assert report["not_done"][1]["why"] == "it needs what was not done: a"
    assert "do b" not in model.asked


async def test_cancelling_a_goal_cancels_its_tasks_and_a_retry_revives_them(house: House) -> None:
    """Cancelled tasks are cancelled with their goal; asked for again, only they are done again."""
    model = Model(house, [("a", []), ("b", []), ("c", ["b"])])
    model.held = {"do a", "do c"}
    async with house.open() as team:
        job = await team.submit("ceo", "ship it")
        await model.until(lambda: model.waiting >= {"do a", "do c"})
        await team.jobs.cancel(job.id)
        await model.until(lambda: not model.waiting)
        before = await team.jobs.list(role="worker")
        model.release()
        await team.jobs.retry(job.id)
        with anyio.fail_after(10):
            ended = await team.jobs.wait(job.id)
    cancelled, done = JobStatus.CANCELLED, JobStatus.DONE
    assert sorted(one.status for one in before) == [cancelled, cancelled, done]
    assert ended.status is done
    assert isinstance(ended.result, dict)
    assert ended.result["status"] == "done"
    assert sorted(model.asked) == ["do a", "do a", "do b", "do c", "do c", "plan", "summary"]


async def test_a_goal_goes_on_after_a_restart_and_pays_nothing_twice(house: House) -> None:
    """After a stop in the middle only what was in flight is asked again, budgets are as before."""
    model = Model(house, [("a", []), ("b", []), ("c", ["b"]), ("d", ["a", "c"])])
    model.held = {"do a", "do c"}
    async with house.open() as team:
        job = await team.submit("ceo", {"goal": "ship it", "max_usd": 4})
        await model.until(lambda: model.waiting >= {"do a", "do c"})
        before = {one.id: one.input for one in await team.jobs.list(role="worker")}
    model.release()
    # A role that has joined meanwhile changes nothing for what was planned without it.
    house.write("another", WORKER.replace("Worker", "Another"))
    async with house.open() as team:
        with anyio.fail_after(10):
            ended = await team.jobs.wait(job.id)
        after = {one.id: one.input for one in await team.jobs.list(role="worker")}
    assert isinstance(ended.result, dict)
    assert (ended.result["status"], ended.runs) == ("done", 2)
    assert sorted(model.asked) == [
        *["do a", "do a", "do b", "do c", "do c", "do d"],
        *["plan", "summary"],
    ]
    assert before.items() <= after.items()
    assert len(after) == 4
