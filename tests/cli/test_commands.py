"""Commands against a supervisor that runs: what they print, and what their exit code says."""

from __future__ import annotations

import csv
import io
import json
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from supervisor.jobs.job import JobStatus
from supervisor.messages import JsonValue, TrafficClass
from tests.cli.commands import Result, command
from tests.waiting import until
from tests.web.house import (
    ANSWER,
    CHAT,
    KEY,
    QUESTION,
    House,
    beside,
    ended,
    open_house,
    served,
    settings_of,
    waiting,
)

pytestmark = pytest.mark.anyio
Capture = pytest.CaptureFixture[str]


async def _submitted(
    capsys: Capture,
    house: House,
    port: int,
    *words: str,
    error: str | None = None,
    told: JsonValue = None,
) -> Result:
    """Submit, and let the job end as soon as somebody waits for it."""
    found: list[Result] = []

    async def submit() -> None:
        found.append(await command(capsys, port, "submit", *words))

    async with beside(submit):
        await until(lambda: house.jobs.watchers)
        house.jobs.finish("j1", {"findings": []} if told is None else told, error=error)
        return await ended(found)


async def test_submit_waits_and_prints_the_result(capsys: Capture) -> None:
    """A submitted job's result is the one JSON document on stdout."""
    async with open_house() as house, served(house) as port:
        result = await _submitted(capsys, house, port, "quality", "some text")
    assert result.code == 0
    assert json.loads(result.out) == {"findings": []}
    assert result.err == ""
    assert house.jobs.kept["j1"].input == "some text"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            {"status": "failed", "summary": "no\n\x1b[31mbranch"},
            'error: job j1 is done, but its result says "status": "failed": no branch\n',
        ),
        ({"passed": False}, 'error: job j1 is done, but its result says "passed": false\n'),
        ({"status": "partial", "passed": None}, ""),
        ({"passed": True, "findings": [{"status": "failed"}]}, ""),
        ("failed", ""),
    ],
)
async def test_a_result_that_says_it_failed_exits_with_1(
    capsys: Capture, told: JsonValue, said: str
) -> None:
    """Whatever the role: a result is printed, and exits with 1 if it says itself that it failed."""
    async with open_house() as house, served(house) as port:
        result = await _submitted(capsys, house, port, "quality", "x", told=told)
    assert json.loads(result.out) == told
    assert (result.code, result.err) == (1 if said else 0, said)


async def test_failed_job_exits_with_1(capsys: Capture) -> None:
    """A job that failed prints why on stderr, nothing on stdout, and exits with 1."""
    async with open_house() as house, served(house) as port:
        result = await _submitted(capsys, house, port, "quality", "x", error="JobFailed: no")
    assert (result.code, result.out) == (1, "")
    assert "error: job j1 failed: JobFailed: no" in result.err


async def test_whole_job_is_printed_with_json(capsys: Capture) -> None:
    """With --json the whole job is printed, also when it failed."""
    async with open_house() as house, served(house) as port:
        result = await _submitted(capsys, house, port, "quality", "x", "--json", error="E: no")
    assert result.code == 1
    assert json.loads(result.out)["status"] == "failed"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (('{"a": [1]}',), {"a": [1]}),
        (("[1, 2]",), [1, 2]),
        (('{"a": [1]}', "--text"), '{"a": [1]}'),
        (("{not json", "--text"), "{not json"),
        (("5",), "5"),
        (("- do this",), "- do this"),
    ],
)
async def test_json_is_sent_as_json(
    capsys: Capture, words: tuple[str, ...], expected: object
) -> None:
    """Objects and arrays are sent as such unless --text says otherwise; all else is text."""
    async with open_house() as house, served(house) as port:
        await command(capsys, port, "submit", "--no-wait", "quality", *words)
    assert house.jobs.kept["j1"].input == expected


async def test_input_from_file_and_stdin(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an argument the input is a file's, or what comes on stdin; - says so."""
    file = tmp_path / "some.diff"
    file.write_text("from file")
    async with open_house() as house, served(house) as port:
        await command(capsys, port, "submit", "quality", "--no-wait", "--file", str(file))
        monkeypatch.setattr(sys, "stdin", io.StringIO("from stdin"))
        await command(capsys, port, "submit", "quality", "--no-wait")
        monkeypatch.setattr(sys, "stdin", io.StringIO("from dash"))
        await command(capsys, port, "submit", "quality", "-", "--no-wait")
    assert [job.input for job in house.jobs.kept.values()] == [
        "from file",
        "from stdin",
        "from dash",
    ]


async def test_key_and_priority_go_along(capsys: Capture) -> None:
    """Key and priority reach the job; without waiting the job is printed at once."""
    async with open_house() as house, served(house) as port:
        words = ("submit", "quality", "x", "--key", "k", "--priority", "high", "--no-wait")
        result = await command(capsys, port, *words)
        number = await command(capsys, port, "submit", "code", "x", "--priority", "7", "--no-wait")
    assert json.loads(result.out)["id"] == "j1"
    assert (house.jobs.kept["j1"].key, house.jobs.kept["j1"].priority) == ("k", 20)
    assert json.loads(number.out)["priority"] == 7


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("submit", "qualty", "x"), 4, 'did you mean "quality"?'),
        (("submit", "quality", "x", "--file", "y"), 2, "expected the input once"),
        (("submit", "quality", "--file", "missing"), 2, "cannot read missing"),
        (("submit", "quality", "{bad json"), 2, "is not JSON: expecting property name"),
        (("submit", "quality", "{bad json"), 2, "line 1, column 2, before: bad json (--text"),
        (("submit", "quality", "--keyy=k"), 2, "unknown option: --keyy=k"),
        (("submit", "quality", "x", "--priority", "soon"), 2, 'got: "soon"'),
        (("stop", "nobody"), 4, 'no role is called "nobody"'),
        (("reload", "broken"), 1, "roles/broken.py:7"),
        (("jobs", "show", "none"), 1, 'no job has the id "none"'),
        (("jobs", "list", "--status", "lost"), 2, 'got: "lost"'),
        (("jobs", "--limit", "-3"), 2, 'expected limit from 1 to 1000, got: "-3"'),
        (("search", "x", "--limit", "0"), 2, 'expected limit to be 1 to 100, got: "0"'),
    ],
)
async def test_refusals_are_told_with_their_exit_code(
    capsys: Capture, words: tuple[str, ...], code: int, text: str
) -> None:
    """What the supervisor refuses is one line on stderr and the exit code of its kind."""
    async with open_house() as house, served(house) as port:
        result = await command(capsys, port, *words)
    assert result.code == code
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert text in result.err


async def test_status_shows_the_house(capsys: Capture) -> None:
    """Status shows windows, roles, clients and broken plugins, plain where nobody looks."""
    async with open_house(limits=["5 requests / minute"]) as house, served(house) as port:
        await house.client.post(CHAT, json=QUESTION)
        result = await command(capsys, port, "status")
        as_json = await command(capsys, port, "status", "--json")
    assert result.code == 0
    assert "5 requests / minute" in result.out
    assert "1 of 5" in result.out
    assert "quality" in result.out
    assert "roles/bad.py:3: expected a Role" in result.out
    assert "\x1b" not in result.out
    assert json.loads(as_json.out)["roles"]["quality"]["state"] == "running"


async def test_status_says_why_somebody_waits(capsys: Capture) -> None:
    """The first request of every class that waits says why."""
    async with open_house() as house, served(house) as port:
        await command(capsys, port, "pause", "lunch")
        async with beside(partial(house.client.post, CHAT, json=QUESTION)):
            await until(lambda: waiting(house))
            result = await command(capsys, port, "status")
    assert result.out.startswith("paused: lunch, version 1.2.3, up ")
    assert "gateway waits: first in line" in result.out


async def test_brake(capsys: Capture) -> None:
    """Pause and resume act and say so on stderr; stdout stays empty."""
    async with open_house() as house, served(house) as port:
        paused = await command(capsys, port, "pause", "deploy")
        state = house.broker.snapshot()
        resumed = await command(capsys, port, "resume")
    assert (paused.code, paused.out, paused.err) == (0, "", "paused: deploy\n")
    assert (state.state, state.reason) == ("paused", "deploy")
    assert resumed.err == "sending\n"


async def test_a_pause_says_what_everybody_is_told(capsys: Capture) -> None:
    """What is printed is the reason as it is shown, without a key; and what else stops it."""
    async with open_house() as house, served(house) as port:
        house.broker.hold("the lock was lost")
        paused = await command(capsys, port, "pause", f"it is {KEY}")
    assert paused.err == "paused, and halted: the lock was lost\n"
    async with open_house() as house, served(house) as port:
        paused = await command(capsys, port, "pause", f"it is {KEY}")
    assert paused.err == "paused: it is ***\n"


@pytest.mark.parametrize("action", ["start", "stop", "restart", "reload"])
async def test_role_actions(capsys: Capture, action: str) -> None:
    """Each action reaches the team and tells how the role stands."""
    async with open_house() as house, served(house) as port:
        result = await command(capsys, port, action, "quality")
    assert house.team.asked == [(action, "quality")]
    assert result.code == 0
    assert result.err.startswith("quality is ")


async def test_jobs_are_listed_shown_and_cancelled(capsys: Capture) -> None:
    """Jobs are listed newest first, shown whole as JSON, cancelled, and run again."""
    async with open_house() as house, served(house) as port:
        empty = await command(capsys, port, "jobs")
        await house.jobs.submit("quality", "x")
        await house.jobs.submit("code", "y")
        house.jobs.finish("j1", None, error="JobFailed: " + "long " * 30)
        listed = await command(capsys, port, "jobs")
        narrowed = await command(capsys, port, "jobs", "list", "--role", "code", "--json")
        shown = await command(capsys, port, "jobs", "show", "j1")
        cancelled = await command(capsys, port, "jobs", "cancel", "j2")
        again = await command(capsys, port, "jobs", "retry", "j1")
        refused = await command(capsys, port, "jobs", "retry", "j1")
    assert (empty.out, empty.err) == ("", "there are no such jobs\n")
    lines = listed.out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "j2", "j1"]
    assert lines[2].endswith("…")
    assert [job["id"] for job in json.loads(narrowed.out)["jobs"]] == ["j2"]
    assert json.loads(shown.out)["input"] == "x"
    assert cancelled.err == "j2 is cancelled\n"
    assert house.jobs.kept["j2"].status is JobStatus.CANCELLED
    assert again.err == "j1 is queued\n"
    assert "j1 is queued" in refused.err
    assert "only a failed or cancelled job" in refused.err


async def test_failed_jobs_are_retried_together(capsys: Capture) -> None:
    """All that failed, or the poisoned, perhaps of one role; with an id that makes no sense."""
    async with open_house() as house, served(house) as port:
        for error in ("E: no", "E: no", "JobPoisoned: no"):
            job = await house.jobs.submit("quality", 1)
            house.jobs.finish(job.id, None, error=error)
        listed = await command(capsys, port, "jobs")
        other = await command(capsys, port, "jobs", "retry", "--failed", "--role", "code")
        failed = await command(capsys, port, "jobs", "retry", "--failed")
        poisoned = await command(capsys, port, "jobs", "retry", "--failed", "--poisoned")
        wrong = [
            await command(capsys, port, "jobs", "retry", *words)
            for words in ((), ("j1", "--failed"), ("j1", "--role", "quality"))
        ]
    statuses = [line.split()[2] for line in listed.out.splitlines()]
    assert statuses == ["status", "poisoned", "failed", "failed"]
    assert other.err == "0 jobs are queued again\n"
    assert failed.err == "2 jobs are queued again\n"
    assert poisoned.err == "1 jobs are queued again\n"
    assert {result.code for result in wrong} == {2}
    assert "expected a job's id, or --failed or --poisoned" in wrong[0].err


async def test_schedules_are_listed_and_run(capsys: Capture) -> None:
    """Schedules are a table or one JSON document, and one can be run now."""
    async with open_house() as house, served(house) as port:
        listed = await command(capsys, port, "schedules")
        ran = await command(capsys, port, "schedules", "run", "nightly")
        whole = await command(capsys, port, "schedules", "list", "--json")
        unknown = await command(capsys, port, "schedules", "run", "nobody")
        house.schedules.none = True
        empty = await command(capsys, port, "schedules")
    head, row = listed.out.splitlines()
    assert head.split()[:4] == ["name", "cron", "timezone", "role"]
    assert row.startswith("nightly  0 3 * * *  UTC")
    assert "2027-01-15" in row
    assert ran.err == "job j1 of quality is queued\n"
    assert json.loads(whole.out)["schedules"][0]["job"] == "j1"
    assert (unknown.code, "there are: nightly" in unknown.err) == (1, True)
    assert empty.err == "there are no schedules; [[schedule]] in config.toml makes one\n"


async def test_submit_says_that_the_key_is_refused(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a job is told once that it waits for the key, and still gets its result."""
    monkeypatch.setattr("supervisor.cli.waiting._FIRST_POLL", 0.02)
    monkeypatch.setattr("supervisor.cli.waiting._POLL", 0.05)
    found: list[Result] = []
    async with open_house() as house, served(house) as port:
        house.api.refuse(401, {"code": "unauthenticated", "error": "no"})
        await house.client.post(CHAT, json=QUESTION)

        async def submit() -> None:
            found.append(await command(capsys, port, "submit", "quality", "x"))

        async with beside(submit):
            for _ in range(4):
                await until(lambda: house.jobs.watchers)
                await until(lambda: not house.jobs.watchers)
            house.jobs.finish("j1", "done")
            result = await ended(found)
    assert (result.code, json.loads(result.out)) == (0, "done")
    assert result.err.count("job j1 waits until the key is mended: ") == 1


async def test_usage_shows_budgets_of_which_nothing_was_used(capsys: Capture) -> None:
    """Whoever has set one sees that it is there."""
    async with open_house() as house, served(house) as port:
        house.broker.set_class(TrafficClass("gateway", budget=("3 usd / day",)))
        result = await command(capsys, port, "usage")
    assert result.err == "nothing was used yet\n"
    assert result.out.startswith("budget of gateway: 0.0000 of 3 usd / day spent, 3.0000 left")


async def test_usage_sums_up(capsys: Capture) -> None:
    """Usage is a table with a sum, or one JSON document."""
    async with open_house() as house, served(house) as port:
        nothing = await command(capsys, port, "usage")
        await house.client.post(CHAT, json=QUESTION)
        result = await command(capsys, port, "usage")
        as_json = await command(capsys, port, "usage", "--json")
        as_csv = await command(capsys, port, "usage", "--csv", "--by", "role")
    assert (nothing.out, nothing.err) == ("", "nothing was used yet\n")
    assert result.out.splitlines()[1].split()[1:3] == ["gateway", "grok-4.7"]
    assert result.out.splitlines()[2].split() == [
        "total", "1", "1", "0", "3", "0", "2", "0", "0.0000",
    ]  # fmt: skip
    assert "this month 0.0000 usd so far" in result.out
    head, row, forecast = as_csv.out.splitlines()
    assert head.startswith("who,attempts,answered,refused,prompt,cached,completion,reasoning,usd,")
    assert row.startswith("gateway,1,1,0,3,0,2,0,0,usage,")
    assert forecast.startswith(",0,0,0,0,0,0,0,0,forecast,")
    assert json.loads(as_json.out)["usage"][0]["prompt"] == 3


async def test_exact_money(capsys: Capture) -> None:
    """CSV and JSON carry every tick of 1e-10 US dollars, also in sums."""
    ticks = 98_765_432_198_765
    async with open_house() as house, served(house) as port:
        for cost in (ticks, 1):
            house.api.refuse(
                200, {**ANSWER, "usage": {"prompt_tokens": 1, "cost_in_usd_ticks": cost}}
            )
            await house.client.post(CHAT, json={**QUESTION, "model": f"m{cost}"})
        as_json = await command(capsys, port, "usage", "--json", "--by", "role")
        as_csv = await command(capsys, port, "usage", "--csv", "--by", "role")
    document = json.loads(as_json.out)
    assert document["usage"][0]["cost_ticks"] == ticks + 1
    assert document["forecast"]["month_ticks"] == ticks + 1
    used, forecast = csv.DictReader(io.StringIO(as_csv.out))
    assert used["usd"] == forecast["month_usd"] == "9876.5432198766"


async def test_models_are_listed(capsys: Capture) -> None:
    """Models are one id a line, or the API's own document."""
    async with open_house() as house, served(house) as port:
        document = {"object": "list", "data": [{"id": "grok-4.7"}, {"id": "grok-4.6"}]}
        house.api.refuse(200, document)
        result = await command(capsys, port, "models")
        as_json = await command(capsys, port, "models", "--json")
    assert result.out.split() == ["grok-4.7", "grok-4.6"]
    assert json.loads(as_json.out) == document


async def test_token_comes_from_the_environment(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is taken from SUPERVISOR_TOKEN; a missing one says where to put it."""
    settings = settings_of({"web": {"token": "house-token-1234"}})
    async with open_house(settings=settings) as house, served(house) as port:
        without = await command(capsys, port, "jobs")
        monkeypatch.setenv("SUPERVISOR_TOKEN", "house-token-1234")
        with_it = await command(capsys, port, "jobs")
    assert without.code == 2
    assert "SUPERVISOR_TOKEN" in without.err
    assert with_it.code == 0


async def test_port_check_knows_a_supervisor(capsys: Capture) -> None:
    """Doctor finds the supervisor that listens on the configured port."""
    async with open_house() as house, served(house) as port:
        result = await command(capsys, port, "doctor", "--offline", "--json")
    checks = {check["name"]: check for check in json.loads(result.out)["checks"]}
    assert "a supervisor (1.2.3) answers" in checks["port"]["detail"]
    assert checks["port"]["ok"]


async def test_sources_are_listed_and_forgotten(capsys: Capture, tmp_path: Path) -> None:
    """`sources` lists what is indexed; `forget` takes a path as `index` does."""
    await anyio.Path(tmp_path, "notes.md").write_text("# Quota\n")
    async with open_house() as house, served(house) as port:
        empty = await command(capsys, port, "sources")
        await command(capsys, port, "index", ".")
        listed = await command(capsys, port, "sources")
        document = await command(capsys, port, "sources", "list", "--json")
        done = await command(capsys, port, "sources", "forget", ".")
        again = await command(capsys, port, "sources", "forget", ".")
    assert (empty.code, empty.out) == (0, "")
    assert "`index FOLDER`" in empty.err
    head, row = listed.out.splitlines()
    assert head.split()[:3] == ["path", "kind", "files"]
    assert row.split()[:4] == [str(tmp_path), "folder", "1", "1"]
    assert json.loads(document.out)["sources"][0]["path"] == str(tmp_path)
    assert (done.code, done.err) == (0, f"{tmp_path} is forgotten\n")
    assert (again.code, again.out) == (1, "")
    assert f"nothing is known of {tmp_path}" in again.err


async def test_a_folder_is_indexed_and_searched(capsys: Capture, tmp_path: Path) -> None:
    """What was indexed is found with its place; a search without hits says what to do."""
    await anyio.Path(tmp_path, "notes.md").write_text("# Quota\n" + "A window.\n" * 9)
    async with open_house() as house, served(house) as port:
        nothing = await command(capsys, port, "search", "window")
        indexed = await command(capsys, port, "index", str(tmp_path))
        found = await command(capsys, port, "search", "the", "windows", "--source", str(tmp_path))
        document = await command(capsys, port, "search", "window", "--json")
        again = await command(capsys, port, "index", str(tmp_path), "--json")
    assert "nothing was found" in nothing.err
    assert "1 files, 1 passages (1 changed" in indexed.err
    assert found.out.startswith(f"{tmp_path}/notes.md:1  Quota\n    # Quota\n")
    assert "4 more lines" in found.out
    assert json.loads(document.out)["hits"][0]["end"] == 10
    assert json.loads(again.out)["changed"] == 0
