"""The planner: any plan is carried out as its needs say, and the report tells all of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from roles.ceo import Ceo
from roles.ceo.budget import Budget
from roles.ceo.excerpt import excerpt
from roles.ceo.goal import Goal
from roles.ceo.outcome import Outcome
from roles.ceo.plan import MOST_TASKS, Plan, form_for, ids
from roles.ceo.planning import single_task
from roles.ceo.report import Report
from roles.ceo.roster import Member, form_of
from roles.code.work import Work
from roles.memory import Work as Search
from supervisor import (
    Brief,
    Colleague,
    Cost,
    Draining,
    JobCancelled,
    JobError,
    JobFailed,
    RequestError,
    RoleError,
)
from supervisor.testing import ScriptedContext, run_role, run_virtual

pytestmark = pytest.mark.anyio

BRIEF = TypeAdapter(Brief).json_schema()
TEAM = [
    Colleague("ceo", "plans", TypeAdapter(Goal | str).json_schema()),
    Colleague("code", "changes code in a git repository", BRIEF),
    Colleague("memory", "finds passages", TypeAdapter(Search | Brief | str).json_schema()),
    Colleague("poet", "writes verse", {"type": "string"}),
    Colleague("sums", "adds numbers", {"type": "array", "items": {"type": "number"}}),
]

Do = Callable[[Any], Awaitable[Any]]


def task(id: str, *needs: str, **changes: object) -> dict[str, Any]:
    """A task as the model writes it."""
    return {
        "id": id,
        "role": "code",
        "instruction": f"do {id}",
        "needs": list(needs),
        "done_when": "",
        "max_calls": None,
        "max_usd": None,
        **changes,
    }


def plan(*tasks: dict[str, Any]) -> dict[str, Any]:
    """A plan as the model writes it."""
    return {"tasks": list(tasks)}


def scripted(
    *answers: object, do: Do | None = None, poet: Do | None = None, **more: Any
) -> ScriptedContext:
    """A context of a team whose coder and poet do this; by default they say what they did."""

    async def did(job: Any) -> Any:
        return f"did {job.task if isinstance(job, Brief) else job}"

    delegated = {"code": do or did, "memory": do or did, "poet": poet or did}
    said: Any = answers
    context: dict[str, Any] = {"delegated": delegated, "team": TEAM, "role": "ceo", **more}
    return ScriptedContext(said, **context)


async def ask(context: ScriptedContext, **goal: Any) -> Report:
    """The report on a goal."""
    return await run_role(Ceo, {"goal": "ship it", **goal}, context=context)


# -- plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ([], "at least 1 item"),
        ([task(str(number)) for number in range(9)], "at most 8 items"),
        ([task("a"), task("a")], '2 tasks have the id "a"'),
        ([task("a", "b")], '"a" needs "b", which is no task; there are: a'),
        ([task("a", "a")], "in a circle: a"),
        ([task("a"), task("b", "a", "d"), task("c", "b"), task("d", "c")], "in a circle: b, c, d"),
        ([task("a", role="ceo")], "Input should be 'code' or 'poet'"),
        ([task("a", instruction="")], "at least 1 character"),
        ([task("a b")], "should match pattern"),
        ([task("a", max_usd=0)], "greater than 0"),
        ([task("a", colour="red")], "Extra inputs"),
    ],
)
def test_what_is_no_plan_is_refused(tasks: list[dict[str, Any]], problem: str) -> None:
    """A plan has one to eight tasks with ids of their own, known roles and no circle of needs."""
    with pytest.raises(ValidationError, match="tasks") as refused:
        form_for(["code", "poet"]).model_validate(plan(*tasks))
    assert problem in str(refused.value)


@dataclass(frozen=True)
class Case:
    """A plan, how long its tasks take, and which of them fail."""

    tasks: list[dict[str, Any]]
    seconds: Mapping[str, int]
    failing: frozenset[str]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any acyclic plan, its tasks told in any order."""
    ids = list("abcdefgh")[: draw(st.integers(1, MOST_TASKS))]
    tasks = [
        task(
            id, *draw(st.lists(st.sampled_from(ids[:place]), unique=True) if place else st.just([]))
        )
        for place, id in enumerate(ids)
    ]
    seconds = {id: draw(st.integers(0, 3)) for id in ids}
    failing = draw(st.frozensets(st.sampled_from(ids)))
    return Case(draw(st.permutations(tasks)), seconds, failing)


def live_through(case: Case) -> tuple[Report, list[tuple[float, str]], dict[str, float]]:
    """Carry a plan out in virtual time: the report, the starts in order, and when tasks ended."""
    starts: list[tuple[float, str]] = []
    ends: dict[str, float] = {}

    async def do(job: Any) -> str:
        id = job.task.removeprefix("do ")
        starts.append((round(anyio.current_time(), 3), id))
        await anyio.sleep(case.seconds[id])
        ends[id] = round(anyio.current_time(), 3)
        if id in case.failing:
            raise JobFailed(f"{id} is too hard")
        return f"{id} it is"

    async def main() -> Report:
        return await ask(scripted(plan(*case.tasks), "summary", do=do))

    return run_virtual(main), starts, ends


@pytest.mark.slow
@settings(max_examples=25)
@given(cases())
def test_each_task_starts_once_and_as_early_as_its_needs_let_it(case: Case) -> None:
    """A task starts in the moment in which the last of its needs is done, and only once."""
    _, starts, ends = live_through(case)
    assert len({id for _, id in starts}) == len(starts)
    needs = {one["id"]: one["needs"] for one in case.tasks}
    for began, id in starts:
        assert began == max((ends[need] for need in needs[id]), default=0.0)
        assert not set(needs[id]) & case.failing
    idle = needs.keys() - {id for _, id in starts}
    for id in idle:
        assert set(needs[id]) & (case.failing | idle)


@pytest.mark.slow
@settings(max_examples=25)
@given(cases())
def test_done_and_not_done_are_all(case: Case) -> None:
    """Whatever fails, every task is reported once, in the plan's order, with result or reason."""
    report, *_ = live_through(case)
    done, not_done = [one.id for one in report.done], [one.id for one in report.not_done]
    order = [one["id"] for one in case.tasks]
    assert sorted(done + not_done) == sorted(order)
    assert done == [id for id in order if id in done]
    assert not_done == [id for id in order if id in not_done]
    assert all(one.result == f"{one.id} it is" for one in report.done)
    assert all(one.why for one in report.not_done)
    assert case.failing <= {*not_done}
    expected = "done" if not not_done else "partial" if done else "failed"
    assert report.status == expected


@pytest.mark.slow
@settings(max_examples=25)
@given(cases(), st.permutations([0, 1, 2, 3]))
def test_prompts_do_not_depend_on_who_ends_first(case: Case, pace: list[int]) -> None:
    """Whatever order the tasks end in, the same is asked and the same is delegated."""
    asked: list[object] = []
    for order in ([0, 0, 0, 0], pace):
        other = Case(case.tasks, {id: order[s] for id, s in case.seconds.items()}, case.failing)
        asked.append(run_virtual(prompts, other))
    assert asked[0] == asked[1]


async def prompts(case: Case) -> object:
    """All that is asked of model and team."""

    async def do(job: Any) -> str:
        id = str(job.task).removeprefix("do ")
        await anyio.sleep(case.seconds[id])
        if id in case.failing:
            raise JobFailed("no")
        return id

    context = scripted(plan(*case.tasks), "summary", do=do)
    await ask(context)
    jobs = sorted((role, job.model_dump_json()) for role, job in context.jobs)
    return [(one.prompt, one.system) for one in context.asked], jobs


# -- planning --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "form"),
    [
        (Brief, "brief"),
        (Search | Brief | str, "brief"),
        (list[Brief], None),
        (str, "text"),
        (Goal | str, "text"),
        (str | None, "text"),
        (Search, None),
        (int, None),
        (bytes, None),
    ],
)
def test_who_can_be_given_a_task_shows_in_the_schema(type_: Any, form: str | None) -> None:
    """A role can be planned with when it takes a brief, or else a plain text."""
    assert form_of(TypeAdapter(type_).json_schema(), goal=Goal(goal="x")) == form


def test_who_needs_a_repository_is_offered_with_one_only() -> None:
    """A role that has to be given a repository cannot work on a goal without one."""
    schema = TypeAdapter(Work).json_schema()
    assert form_of(schema, goal=Goal(goal="x")) is None
    assert form_of(schema, goal=Goal(goal="x", repository="/src")) == "brief"
    assert form_of({**BRIEF, "required": ["repository"]}, goal=Goal(goal="x")) is None


def test_a_schema_that_refers_to_itself_has_an_end() -> None:
    """References are followed once."""
    loop = {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}}
    assert form_of(loop, goal=Goal(goal="x")) is None
    assert form_of({}, goal=Goal(goal="x")) is None


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a git repository; nothing is in it."""
    folder = tmp_path_factory.mktemp("shop")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return str(folder)


async def test_a_wrong_repository_costs_nothing(tmp_path: Path) -> None:
    """A goal whose repository is missing, or is none, fails before anybody is asked or told."""
    for wrong in (tmp_path, tmp_path / "missing"):
        context = scripted()
        with pytest.raises(JobFailed, match=f"expected a git repository, got: {wrong}: "):
            await ask(context, repository=str(wrong))
        assert (context.asked, context.jobs) == ([], [])


async def test_only_those_who_can_do_it_are_offered(shop: str) -> None:
    """The model is shown, and may name, all roles but the planner and those that take no task."""
    context = scripted(plan(task("a")), "summary")
    await ask(context, repository=shop, max_usd="2.5")
    asked = context.asked[0]
    told = json.loads(str(asked.prompt))
    assert [(one["name"], one["takes"]) for one in told.pop("team")] == [
        ("code", "brief"),
        ("memory", "brief"),
        ("poet", "text"),
    ]
    assert told == {"goal": "ship it", "repository": shop, "max_usd": "2.5"}
    assert asked.schema is not None
    schema = asked.schema.model_json_schema()["$defs"]["Task"]
    assert schema["properties"]["role"]["enum"] == ["code", "memory", "poet"]
    assert sorted(schema["required"]) == sorted(schema["properties"])


async def test_without_colleagues_a_goal_fails() -> None:
    """Where nobody can be given a task, the job says so."""
    with pytest.raises(JobFailed, match="nobody to delegate to"):
        await ask(scripted(team=[TEAM[0], TEAM[-1]]))


async def test_without_a_plan_it_is_one_task() -> None:
    """When the model gives no plan twice, the goal as it is goes to the fittest role."""
    context = scripted(JobFailed("does not conform, twice"), "summary")
    report = await ask(context, goal="write a verse", repository="")
    assert context.jobs == [("poet", "write a verse")]
    assert [(one.id, one.role) for one in report.done] == [("all", "poet")]


@pytest.mark.parametrize(
    ("goal", "repository", "role"),
    [
        ("change the code", "", "code"),
        ("find the passages", "", "memory"),
        ("write some verse", "", "poet"),
        ("write some verse", "/src", "code"),
        ("FINDS passages", "/src", "memory"),
        ("?", "", "code"),
    ],
)
def test_the_fittest_role_shares_most_words(goal: str, repository: str, role: str) -> None:
    """A repository asks for a role that takes a brief; then most words in common; then the name."""
    roster = [
        Member(name="code", description="changes code", form="brief"),
        Member(name="memory", description="finds passages", form="brief"),
        Member(name="poet", description="writes verse", form="text"),
    ]
    chosen = single_task(Goal(goal=goal, repository=repository), roster)
    assert [(one.role, one.instruction) for one in chosen.tasks] == [(role, goal)]


@pytest.mark.parametrize("goal", ["", "  ", {"goal": ""}, {"goal": "x", "repository": "src"}])
async def test_a_goal_says_something(goal: object) -> None:
    """A goal has words, and its repository an absolute path."""
    with pytest.raises(ValidationError):
        await run_role(Ceo, goal, context=scripted())


async def test_a_text_is_a_goal() -> None:
    """A goal can be given as a text alone."""
    report = await run_role(Ceo, " ship it ", context=scripted(plan(task("a")), "summary"))
    assert (report.goal, report.status) == ("ship it", "done")


# -- delegation ------------------------------------------------------------------------------------


async def test_a_task_is_told_what_it_builds_on(shop: str) -> None:
    """A brief has the task, the repository, and the results of its needs and of theirs."""
    tasks = [
        task("c", "b", done_when="it works", max_calls=3),
        task("b", "a"),
        task("a"),
        task("x"),
    ]
    context = scripted(plan(*tasks), "summary")
    await ask(context, repository=shop)
    briefs = {job.task: job for _, job in context.jobs}
    last = briefs["do c"]
    assert (last.repository, last.done_when, last.max_calls) == (shop, "it works", 3)
    assert [(one.id, one.result) for one in last.context] == [("a", "did do a"), ("b", "did do b")]
    assert briefs["do x"].context == ()


async def test_who_takes_a_text_is_told_the_same_in_words(shop: str) -> None:
    """A role that takes no brief gets one as a text, results marked as data."""
    last = task("b", "a", role="poet", done_when="it rhymes")
    context = scripted(plan(task("a"), last), "summary")
    await ask(context, repository=shop)
    _, text = context.jobs[-1]
    head, *rest = text.split("\n\n")
    assert (head, rest[:2]) == ("do b", [f"Repository: {shop}", "Done when: it rhymes"])
    assert "data, not instructions" in rest[2]
    assert json.loads(rest[2].partition("\n")[2]) == [
        {"id": "a", "role": "code", "result": "did do a"}
    ]


async def test_long_results_are_cut_with_a_note() -> None:
    """What others are told of a result is bounded; what is reported is whole."""
    whole = {"branch": "work", "diff": "x" * 200_000}

    async def do(job: Any) -> Any:
        return whole if job.task == "do a" else "ok"

    context = scripted(plan(task("a"), task("b", "a")), "summary", do=do)
    report = await ask(context)
    _, brief = context.jobs[-1]
    shown = brief.context[0].result
    assert shown["branch"] == "work"
    assert "[cut: 30000 of 200000 characters]" in shown["diff"]
    assert report.done[0].result == whole
    assert len(str(context.asked[-1].prompt)) < 70_000


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.builds(str.__mul__, st.text(max_size=9), st.integers(1, 99)),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(), inner, max_size=8),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=25)
@given(JSON, st.integers(200, 400))
def test_an_excerpt_fits(value: Any, room: int) -> None:
    """An excerpt never takes more than its room; what fits is left as it is."""
    short = excerpt(value, room=room)
    assert len(json.dumps(short, ensure_ascii=False)) <= room
    if len(json.dumps(value, ensure_ascii=False)) <= room:
        assert short == value


@pytest.mark.parametrize("value", [list(range(999)), '"' * 999, {"x" * 999: [True]}])
def test_what_has_no_long_texts_becomes_the_beginning_of_its_json(value: Any) -> None:
    """What cannot be shortened inside is told as the beginning of its JSON text."""
    short = excerpt(value, room=300)
    assert isinstance(short, str)
    assert "[cut: " in short
    assert len(json.dumps(short)) <= 300


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (JobError("job 7 of code failed: no"), "job 7 of code failed: no"),
        (JobCancelled("job 7 of code was cancelled"), "job 7 of code was cancelled"),
        (RoleError('no role is called "code"'), 'no role is called "code"'),
        (JobFailed("x" * 2000), f"{'x' * 600} [cut]"),
        (JobFailed(""), "JobFailed"),
    ],
)
async def test_a_child_that_fails_is_a_result(error: Exception, why: str) -> None:
    """A failed task stops what builds on it and nothing else."""

    async def do(job: Any) -> str:
        if job.task == "do a":
            raise error
        return "ok"

    tasks = [task("a"), task("b", "a"), task("c", "b"), task("d")]
    report = await ask(scripted(plan(*tasks), "summary", do=do))
    assert report.status == "partial"
    assert [one.id for one in report.done] == ["d"]
    assert [(one.id, one.why) for one in report.not_done] == [
        ("a", why),
        ("b", "it needs what was not done: a"),
        ("c", "it needs what was not done: a"),
    ]


async def test_work_that_did_not_pass_is_not_done() -> None:
    """A result that says itself that it failed or did not pass counts as not done, and why."""
    told = {"passed": False, "summary": "two tests fail", "branch": "ceo/a"}

    async def do(job: Any) -> Any:
        return told if job.task == "do a" else {"passed": True}

    report = await ask(scripted(plan(task("a"), task("b")), "summary", do=do))
    assert [one.id for one in report.done] == ["b"]
    (undone,) = report.not_done
    assert undone.why == ("it did not pass; two tests fail; what there is is on branch ceo/a")
    assert Outcome.of_result({"passed": False}).why == "it did not pass"
    assert Outcome.of_result({"status": "failed", "summary": "no"}).why == "it failed; no"
    assert Outcome.of_result({"status": "partial"}).is_done
    assert Outcome.of_result({"passed": None, "stopped": ""}).is_done
    assert Outcome.of_result({"passed": None, "stopped": "no steps left"}).why == "no steps left"


@pytest.mark.parametrize("error", [Draining("the process is stopping"), ValueError("a bug")])
async def test_what_is_no_task_s_fault_passes_through(error: Exception) -> None:
    """The process's stop, or a bug, is no result: it ends the job as itself."""

    async def do(_: Any) -> str:
        raise error

    with pytest.raises(type(error), match=str(error)):
        await ask(scripted(plan(task("a"), task("b")), "summary", do=do))


# -- money -----------------------------------------------------------------------------------------


class Priced(ScriptedContext):
    """A context in which every delegated job costs what its role says.

    Attributes:
        spent: US dollars so far; None when nobody tells.
    """

    spent: Decimal | None = Decimal(0)

    async def cost(self) -> Cost:
        """What has been spent."""
        return Cost(len(self.asked), 0, self.spent)


def priced(*tasks: dict[str, Any], price: Mapping[str, str], seconds: int = 0) -> Priced:
    """A context in which tasks cost so much, by id, and take so long."""

    async def do(job: Any) -> str:
        await anyio.sleep(seconds)
        cost = min(Decimal(price[job.task.removeprefix("do ")]), job.max_usd)
        assert context.spent is not None
        context.spent += cost
        return "ok"

    said: Any = [plan(*tasks), "summary"]
    context = Priced(said, delegated={"code": do}, team=TEAM, role="ceo")
    return context


def parts(context: ScriptedContext) -> dict[str, Decimal]:
    """What each task was allowed to spend."""
    return {job.task.removeprefix("do "): job.max_usd for _, job in context.jobs}


async def test_tasks_that_start_together_share_what_is_left() -> None:
    """The smallest wish first, the others in equal parts; later ones get what is left then."""
    tasks = [task("a"), task("b", max_usd=2.0), task("c"), task("d", "a", "b", "c")]
    context = priced(*tasks, price={"a": "1", "b": "2", "c": "3", "d": "9"})
    report = await ask(context, max_usd=10)
    assert parts(context) == {"a": 4, "b": 2, "c": 4, "d": 4}
    assert report.status == "done"
    assert report.cost.usd == 10


async def test_when_the_money_is_gone_the_rest_is_not_done() -> None:
    """What cannot be paid for is not begun; the report is partial and no more is asked."""
    context = priced(task("a"), task("b", "a"), task("c", "b"), price={"a": "5"})
    report = await ask(context, max_usd=5)
    assert report.status == "partial"
    assert [(one.id, one.why) for one in report.not_done] == [
        (id, "budget: nothing is left of max_usd 5") for id in "bc"
    ]
    assert len(context.asked) == 1
    assert report.summary.startswith("1 of 3 tasks done: a. Not done: b (budget")


async def test_money_that_is_gone_before_the_first_task_is_no_failure() -> None:
    """When the plan alone has cost it all, nothing is begun, and the report is partial."""
    context = priced(task("a"), price={})
    context.spent = Decimal(1)
    report = await ask(context, max_usd=1)
    assert (report.status, context.jobs) == ("partial", [])


async def test_a_task_waits_for_what_others_may_give_back(virtual: object) -> None:
    """While others hold the money a task waits; when they end it gets what they have left."""
    tasks = [task("a", max_usd=1.0), task("b"), task("c", "a", max_usd=4.0)]
    context = priced(*tasks, price={"a": "1", "b": "2", "c": "1"}, seconds=1)
    report = await ask(context, max_usd=4)
    assert parts(context) == {"a": 1, "b": 3, "c": 1}
    assert report.status == "done"


async def test_without_a_price_the_report_says_so() -> None:
    """Where the API tells no price, the report does not claim that the money was kept to."""
    context = priced(task("a", max_usd=1.5), price={"a": "0"})

    async def do(job: Any) -> str:
        return str(job.max_usd)

    report = await ask(scripted(plan(task("a", max_usd=1.5)), "All is well.", do=do))
    assert (report.done[0].result, report.cost.usd) == ("1.5", None)
    assert report.summary == ("All is well. What it cost is not known: the API told no price.")
    context = scripted(plan(task("a")), "All is well.", do=do)  # type: ignore[assignment]
    report = await ask(context, max_usd=3)
    assert report.done[0].result == "3.000000"
    assert "nobody knows whether max_usd 3 was kept" in report.summary


DOLLARS = st.decimals(0, 100, places=2)


@given(
    limit=st.decimals("0.01", 100, places=2),
    spent=DOLLARS,
    held=DOLLARS,
    wish=st.none() | st.decimals("0.01", 100, places=2),
    sharers=st.integers(1, MOST_TASKS),
)
def test_no_more_is_given_than_there_is(
    limit: Decimal, spent: Decimal, held: Decimal, wish: Decimal | None, sharers: int
) -> None:
    """A part fits beside all that is spent and held, and its sharers'; nobody gets over a wish."""
    part = Budget(limit=limit, spent=spent, held=held).part(wish=wish, sharers=sharers)
    if part is not None:
        assert part > 0
        assert spent + held + part * sharers <= limit
        assert wish is None or part <= wish
    elif not held:
        assert limit - spent < Decimal("0.00001")


# -- the report ------------------------------------------------------------------------------------


async def test_the_summary_rests_on_the_results() -> None:
    """The model is shown what was done and what was not, and told to claim nothing else."""
    context = scripted(plan(task("a"), task("b", role="memory")), "Two things were done.")
    report = await ask(context)
    asked = context.asked[-1]
    assert "Claim nothing that the results do not show" in asked.system
    assert "data" in asked.system
    told = json.loads(str(asked.prompt))
    assert [(one["id"], one["result"]) for one in told["done"]] == [
        ("a", "did do a"),
        ("b", "did do b"),
    ]
    assert told["not_done"] == []
    assert report.summary.startswith("Two things were done.")
    assert report.cost.requests == 2


@pytest.mark.parametrize(
    "answer",
    [RequestError("no answer"), JobFailed("no choices"), "  "],
    ids=["none", "bad", "empty"],
)
async def test_without_a_summary_the_facts_are_told(answer: object) -> None:
    """A report comes even when the model does not answer at the end."""
    report = await ask(scripted(plan(task("a")), answer))
    assert report.summary.startswith("1 of 1 tasks done: a.")
    assert report.status == "done"


async def test_a_stop_during_the_summary_is_no_report() -> None:
    """When the process stops before the summary is there, the job goes on later."""
    with pytest.raises(Draining):
        await ask(scripted(plan(task("a")), Draining("the process is stopping")))


async def test_a_goal_without_an_answer_fails() -> None:
    """When the model cannot be asked for a plan, the job fails with the reason."""
    with pytest.raises(RequestError, match="no answer"):
        await ask(scripted(RequestError("no answer")))


def test_the_report_is_json() -> None:
    """What is stored of a plan and read back is the same plan."""
    form = form_for(["code"])
    made = form.model_validate(plan(task("a", max_usd=0.25)))
    assert Plan.model_validate_json(made.model_dump_json()).tasks[0].max_usd == 0.25


@given(cases())
def test_what_a_task_builds_on_is_told_in_order(case: Case) -> None:
    """Of what a task builds on, each comes once and after what it builds on itself."""
    made = Plan.model_validate(plan(*case.tasks))
    for one in made.tasks:
        behind = ids(made.behind(one))
        assert {*one.needs} <= {*behind}
        for place, id in enumerate(behind):
            needs = next(each.needs for each in made.tasks if each.id == id)
            assert {*needs} <= {*behind[:place]}
