"""Jobs, roles, queue, usage and models over HTTP."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from starlette.requests import Request

from supervisor.clock import LoopClock
from supervisor.jobs.job import Job, JobStatus
from supervisor.messages import Cost, JsonValue
from supervisor.messages import Request as AskedByJob
from supervisor.upstream.failures import Failure, FailureKind
from supervisor.upstream.outcome import Outcome
from supervisor.web.closing import Closing
from supervisor.web.identity import Doorkeeper
from supervisor.web.models import FRESH, Models
from tests.waiting import until
from tests.web.house import CHAT, QUESTION, beside, ended, open_house, paper_role, waiting

pytestmark = pytest.mark.anyio


async def test_job_is_accepted_with_its_id() -> None:
    """A job is answered with 202, its id and where to look."""
    async with open_house() as house:
        response = await house.client.post(
            "/api/jobs", json={"role": "quality", "input": {"a": [1]}, "priority": "high"}
        )
    assert response.status_code == 202
    job = response.json()
    assert (job["id"], job["status"], job["priority"]) == ("j1", "queued", 20)
    assert response.headers["location"] == "/api/jobs/j1"
    assert house.jobs.kept["j1"].input == {"a": [1]}


async def test_many_submissions_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a crowd of submissions a few are worked on at once, and all are accepted."""
    gate = anyio.Event()
    at_once: list[int] = [0]
    async with open_house() as house:
        submit = house.jobs.submit

        async def held(role: str, job_input: JsonValue, **more: Any) -> Job:
            at_once.append(at_once[-1] + 1)
            await gate.wait()
            at_once.append(at_once[-1] - 1)
            return await submit(role, job_input, **more)

        monkeypatch.setattr(house.jobs, "submit", held)
        document = {"role": "quality", "input": None}
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(partial(house.client.post, "/api/jobs", json=document))
            await until(lambda: at_once[-1] == 8)
            gate.set()
    assert max(at_once) == 8
    assert len(house.jobs.kept) == 20


async def test_a_job_that_runs_says_why_its_request_waits() -> None:
    """One that is parked until there is money again, or room, says so; once it is sent no more."""
    async with open_house() as house:
        await house.client.post("/api/jobs", json={"role": "quality", "input": None})
        house.jobs.kept["j1"] = replace(house.jobs.kept["j1"], status=JobStatus.RUNNING)
        house.broker.pause("lunch")
        asked = AskedByJob(id="r1", traffic_class="quality", body=b"{}", job="j1")
        async with beside(partial(house.broker.ask, asked)):
            await until(lambda: waiting(house, "quality"))
            shown = (await house.client.get("/api/jobs/j1")).json()
            assert shown["why"] == "its request waits: first in line; sending is paused by hand"
            house.broker.resume()
            await until(lambda: not waiting(house, "quality"))
            assert (await house.client.get("/api/jobs/j1")).json()["why"] == ""


async def test_same_key_is_the_same_job() -> None:
    """The same key for the same role twice is one job."""
    async with open_house() as house:
        document = {"role": "quality", "input": None, "key": "k"}
        first = (await house.client.post("/api/jobs", json=document)).json()
        second = (await house.client.post("/api/jobs", json=document)).json()
    assert first["id"] == second["id"]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "expected a JSON object"),
        ({"input": 1}, "expected role to name a role, got: null"),
        ({"role": "quality"}, "expected an input, got: none"),
        ({"role": "quality", "input": 1, "key": 5}, "expected key to be a string, got: 5"),
        ({"role": "quality", "input": 1, "priority": 100}, "got: 100"),
        ({"role": "quality", "input": 1, "priority": 10**25}, f"got: {10**25}"),
        ({"role": "quality", "input": 1, "priority": "soon"}, 'got: "soon"'),
        ({"role": "quality", "input": 1, "priority": True}, "got: true"),
        ({"role": "quality", "input": 1, "prio": 1}, 'unknown field "prio"'),
    ],
)
async def test_what_is_no_job_is_refused(document: object, text: str) -> None:
    """A body that describes no job is refused with what was expected; nothing is kept."""
    async with open_house() as house:
        response = await house.client.post("/api/jobs", json=document)
    assert response.status_code == 400
    assert text in response.json()["error"]["message"]
    assert not house.jobs.kept


@pytest.mark.parametrize(
    "number", [10**25, -(10**25), 2**63, 2**64, -(2**63) - 1, 10**300 + 1], ids=str
)
async def test_integers_come_back_as_they_were_given(number: int) -> None:
    """However long an integer is, none of its digits is lost on the way in and out."""
    body = b'{"role": "quality", "input": {"n": [%d, 1.5, "x"]}}' % number
    async with open_house() as house:
        accepted = await house.client.post("/api/jobs", content=body)
        house.jobs.finish("j1", [number])
        ended_job = await house.client.get("/api/jobs/j1")
    assert json.loads(accepted.content)["input"] == {"n": [number, 1.5, "x"]}
    assert accepted.json()["cost"] == ended_job.json()["cost"] == asdict(Cost())
    assert json.loads(ended_job.content)["result"] == [number]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (b"1" * 400, "number is infinity"),
        (b"[" * 1010 + b"1" * 30 + b"]" * 1010, "nested too deeply"),
    ],
)
async def test_a_number_that_cannot_be_kept_is_refused(told: bytes, text: str) -> None:
    """What nobody could give back as it was is told so, and no job."""
    async with open_house() as house:
        refused = await house.client.post(
            "/api/jobs", content=b'{"role": "quality", "input": %b}' % told
        )
    assert refused.status_code == 400
    assert text in refused.json()["error"]["message"]
    assert not house.jobs.kept


async def test_half_a_surrogate_pair_in_a_result_is_shown() -> None:
    """Models cut an emoji in two; the job with it can be looked at all the same."""
    async with open_house() as house:
        await house.jobs.submit("quality", 1)
        house.jobs.finish("j1", "x\ud83d")
        response = await house.client.get("/api/jobs/j1")
    assert json.loads(response.content)["result"] == "x\ud83d"


async def test_job_for_nobody_is_refused() -> None:
    """A role that is not there is an error with a guess, not a job that waits for ever."""
    async with open_house() as house:
        response = await house.client.post("/api/jobs", json={"role": "qualty", "input": 1})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "unknown_role"
    assert 'did you mean "quality"?' in response.json()["error"]["message"]


async def test_invalid_json_is_refused() -> None:
    """A body that is no JSON is refused, not crashed on."""
    async with open_house() as house:
        response = await house.client.post("/api/jobs", content=b"{")
    assert response.status_code == 400


async def test_long_poll_returns_at_the_end_of_the_job() -> None:
    """A long poll comes back as soon as the job has ended, with its result."""
    async with open_house() as house:
        await house.jobs.submit("quality", 1)
        found: list[httpx.Response] = []

        async def poll() -> None:
            found.append(await house.client.get("/api/jobs/j1?wait=30s"))

        async with beside(poll):
            await until(lambda: house.jobs.watchers)
            assert not found
            house.jobs.finish("j1", {"findings": []})
            response = await ended(found)
    assert response.json()["status"] == "done"
    assert response.json()["result"] == {"findings": []}


async def test_long_poll_returns_when_its_time_is_over() -> None:
    """A long poll whose time is over shows the job as it stands."""
    async with open_house() as house:
        await house.jobs.submit("quality", 1)
        response = await house.client.get("/api/jobs/j1?wait=1ms")
    assert response.json()["status"] == "queued"


async def test_ended_job_is_shown_without_waiting() -> None:
    """A job that has ended is shown at once, however long the poll."""
    async with open_house() as house:
        await house.jobs.submit("quality", 1)
        house.jobs.finish("j1", None, error="JobFailed: no")
        response = await house.client.get("/api/jobs/j1?wait=10m")
    assert (response.json()["status"], response.json()["error"]) == ("failed", "JobFailed: no")


async def test_jobs_are_listed_without_their_bulk() -> None:
    """A list shows how jobs stand, newest first, without inputs and results."""
    async with open_house() as house:
        await house.jobs.submit("quality", "long text")
        await house.jobs.submit("code", "more")
        house.jobs.finish("j1", "result")
        everything = (await house.client.get("/api/jobs")).json()["jobs"]
        done = (await house.client.get("/api/jobs?status=done&role=quality&limit=5")).json()["jobs"]
    assert [job["id"] for job in everything] == ["j2", "j1"]
    assert [job["id"] for job in done] == ["j1"]
    assert not {"input", "result", "detail"} & set(everything[0])


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/api/jobs?status=lost", 400, 'got: "lost"'),
        ("/api/jobs?limit=0", 400, "from 1 to 1000"),
        ("/api/jobs?limit=many", 400, 'got: "many"'),
        ("/api/jobs/none", 404, 'no job has the id "none"'),
        ("/api/jobs/none?wait=soon", 400, "wait: expected a duration"),
    ],
)
async def test_questions_without_sense_are_refused(path: str, status: int, text: str) -> None:
    """A parameter or an id without sense is told with what was expected."""
    async with open_house() as house:
        response = await house.client.get(path)
    assert response.status_code == status
    assert text in response.json()["error"]["message"]


async def test_job_is_cancelled() -> None:
    """A job can be cancelled by its id."""
    async with open_house() as house:
        await house.jobs.submit("quality", 1)
        response = await house.client.post("/api/jobs/j1/cancel")
    assert response.json()["status"] == JobStatus.CANCELLED


async def test_failed_jobs_are_retried_together() -> None:
    """All that failed, those of a role, or those that are poisoned; the answer says how many."""
    async with open_house() as house:
        for role, error in (("quality", "E: no"), ("code", "E: no"), ("code", "JobPoisoned: no")):
            job = await house.jobs.submit(role, 1)
            house.jobs.finish(job.id, None, error=error)
        shown = (await house.client.get("/api/jobs")).json()["jobs"]
        bodies = [{"role": "code"}, {}, {"poisoned": True}]
        counts = [
            (await house.client.post("/api/jobs/retry", json=body)).json()["retried"]
            for body in bodies
        ]
        wrong = await house.client.post("/api/jobs/retry", json={"poisoned": "yes"})
    assert [job["poisoned"] for job in shown] == [True, False, False]
    assert counts == [1, 1, 1]
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_request")
    assert '"poisoned": true or false' in wrong.json()["error"]["message"]


async def test_schedules_are_shown_and_run() -> None:
    """Each schedule with its next moment and its last job; one can be run by hand."""
    async with open_house() as house:
        before = (await house.client.get("/api/schedules")).json()["schedules"]
        job = await house.client.post("/api/schedules/nightly/run")
        after = (await house.client.get("/api/schedules")).json()["schedules"]
        house.jobs.kept.clear()
        removed = (await house.client.get("/api/schedules")).json()["schedules"]
        unknown = await house.client.post("/api/schedules/nobody/run")
    assert (before[0]["name"], before[0]["next"], before[0]["job_status"]) == (
        "nightly",
        1_800_000_000.0,
        None,
    )
    assert (job.status_code, job.headers["location"]) == (202, "/api/jobs/j1")
    assert (after[0]["job"], after[0]["job_status"]) == ("j1", "queued")
    assert removed[0]["job_status"] is None
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_schedule")


@pytest.mark.parametrize(
    ("action", "state"),
    [("start", "running"), ("stop", "stopped"), ("restart", "running"), ("reload", "running")],
)
async def test_role_is_acted_on_and_shown(action: str, state: str) -> None:
    """Each action reaches the team and is answered with how the role stands then."""
    async with open_house() as house:
        response = await house.client.post(f"/api/roles/quality/{action}")
    assert house.team.asked == [(action, "quality")]
    assert response.json()["state"] == state


async def test_role_errors_are_told() -> None:
    """An unknown role is 404, a file that is no role 422 with file and line."""
    async with open_house() as house:
        unknown = await house.client.post("/api/roles/nobody/stop")
        broken = await house.client.post("/api/roles/broken/reload")
        listed = await house.client.get("/api/roles")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_role")
    assert broken.status_code == 422
    assert "roles/broken.py:7" in broken.json()["error"]["message"]
    assert [role["name"] for role in listed.json()["roles"]] == ["quality", "code"]


async def test_role_that_vanishes_meanwhile_is_told() -> None:
    """A role that is gone when its action is done is an error, not a crash."""
    async with open_house() as house:
        house.team.roles["ghost"] = paper_role("ghost")
        response = await house.client.post("/api/roles/ghost/reload")
    assert response.status_code == 404


async def test_brake_stops_sending_and_lets_go() -> None:
    """While paused requests queue and say why; after resume they go."""
    async with open_house(limits=["100 requests / minute"]) as house:
        await house.client.post("/api/pause", json={"reason": "deploy"})
        found: list[httpx.Response] = []

        async def ask() -> None:
            found.append(await house.client.post(CHAT, json=QUESTION))

        async with beside(ask):
            await until(lambda: waiting(house))
            queued = (await house.client.get("/api/queue")).json()
            assert not found
            resumed = (await house.client.post("/api/resume")).json()
            response = await ended(found)
    assert (queued["state"], queued["reason"], queued["queued"]) == ("paused", "deploy", 1)
    assert any(one["why"] for one in queued["classes"])
    assert resumed["state"] == "open"
    assert response.status_code == 200


async def test_pause_takes_an_object_or_nothing() -> None:
    """A pause with a body that is no object is refused."""
    async with open_house() as house:
        response = await house.client.post("/api/pause", content=b"[]")
    assert response.status_code == 400


async def test_usage_is_told_by_day_and_class() -> None:
    """Usage comes from the ledger, by day, class and model."""
    async with open_house() as house:
        await house.client.post(CHAT, json=QUESTION)
        rows = (await house.client.get("/api/usage")).json()["usage"]
    assert (rows[0]["traffic_class"], rows[0]["model"]) == ("gateway", "grok-4.7")
    assert (rows[0]["prompt"], rows[0]["completion"], rows[0]["cost"]) == (3, 2, 0.0)


LIST = {"object": "list", "data": [{"id": "grok-4.7", "object": "model"}, {"id": "a/b"}]}


async def test_models_are_fetched_once_a_minute() -> None:
    """The list of models is the API's own, fetched once however many ask."""
    async with open_house() as house:

        async def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json=LIST)

        house.api.answer = answer
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(house.client.get, "/v1/models")
        response = await house.client.get("/v1/models")
        one = await house.client.get("/v1/models/a/b")
        none = await house.client.get("/v1/models/grok-99")
    assert response.json() == LIST
    assert len(house.api.seen) == 1
    assert one.json() == {"id": "a/b"}
    assert none.status_code == 404
    assert "grok-4.7" in none.json()["error"]["message"]


async def test_models_errors_are_told() -> None:
    """An API that gives no list is told as any other upstream error."""
    async with open_house() as house:
        house.api.refuse(503, {"code": "x", "error": "down"})
        response = await house.client.get("/v1/models")
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "down"


async def test_a_page_in_place_of_the_models() -> None:
    """What a portal says is not given out as the list, nor remembered for a minute."""
    async with open_house() as house:
        answers = [httpx.Response(200, text="<html>Please sign in</html>") for _ in range(2)]
        answers.append(httpx.Response(200, json=LIST))

        async def answer(request: httpx.Request) -> httpx.Response:
            return answers.pop(0)

        house.api.answer = answer
        paths = ("/v1/models", "/v1/models/a/b", "/v1/models")
        told = [await house.client.get(path) for path in paths]
    assert [one.status_code for one in told] == [502, 502, 200]
    assert told[0].json()["code"] == told[1].json()["code"] == "upstream_unavailable"
    assert told[2].json() == LIST


async def test_old_list_serves_where_no_new_one_comes(virtual: LoopClock) -> None:
    """When the API fails after the list has aged, the old one is given out."""
    outcomes = [
        Outcome(200, {}, b'{"data": [{"id": "m"}, 5]}', None, None),
        Outcome(0, {}, b"", Failure(FailureKind.CONNECTION, "cut"), None),
    ]

    async def fetch() -> Outcome:
        return outcomes.pop(0)

    keeper = Doorkeeper(token="", clients={}, classes=lambda: ())
    models = Models(fetch, doorkeeper=keeper, clock=virtual)

    scope: dict[str, object] = {"type": "http", "headers": [], "path_params": {"id": "m"}}
    await models.list(Request(scope))
    await anyio.sleep(FRESH)
    response = await models.one(Request(scope))
    assert response.body == b'{"id":"m"}'
    assert not outcomes


async def test_closing_ends_waits_old_and_new() -> None:
    """Whatever waits ends when the server closes, and nothing new begins to wait."""
    closing = Closing()
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            with closing.at_most(60):
                await anyio.sleep_forever()

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        closing.close()
        tasks.start_soon(wait)
