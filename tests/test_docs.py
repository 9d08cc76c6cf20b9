"""The documentation says everything there is, nothing that is not, and its examples run."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from benchmarks.launch import python_environment
from benchmarks.launch import supervisor as started_supervisor
from supervisor.app import Api, House
from supervisor.broker.verdict import final_error
from supervisor.cli.program import program
from supervisor.config.environment import RATES, SETTINGS
from supervisor.config.key import NAMES
from supervisor.config.load import load_settings
from supervisor.config.schema import known_keys
from supervisor.config.settings import Settings
from supervisor.errors import InvalidRequest, RequestError, SupervisorError
from supervisor.loading.inventory import load_all
from supervisor.simulator import failures
from supervisor.simulator.app import create_app as create_simulator
from supervisor.simulator.script import read_script
from supervisor.simulator.settings import Settings as SimulatorSettings
from supervisor.testing import ScriptedContext, run_role
from supervisor.upstream.failures import classify
from supervisor.upstream.key import Key
from supervisor.upstream.rotation import InUse
from supervisor.web.app import create_app
from supervisor.web.metrics import exposition
from supervisor.web.refusal import refusal

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted(DOCS.rglob("*.md"))]

Cells = list[str]


@cache
def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text("utf-8")


def rows(text: str, head: str) -> Iterator[Cells]:
    """The rows of all tables whose first heading is `head`, as their cells."""
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == head:
            inside = True
        elif inside and not set(line) <= set("|-: "):
            yield cells


def ticked(text: str) -> list[str]:
    """Everything in backticks."""
    return re.findall(r"`([^`]+)`", text)


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next of its rank."""
    level = title.partition(" ")[0]
    after = text.partition(f"\n{title}\n")[2]
    assert after, f"no heading {title}"
    return re.split(rf"^{level} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def documented_keys() -> dict[str, str]:
    """Settings in docs/config.md and their defaults as written."""
    text = page("docs/config.md").partition("## The simulator's table")[0]
    return {key: cells[1] for cells in rows(text, "key") for key in ticked(cells[0])}


def simulator_keys() -> dict[str, str]:
    """The simulator's settings in docs/config.md and their defaults as written."""
    text = section(page("docs/config.md"), "## The simulator's table")
    return {key: cells[1] for cells in rows(text, "key") for key in ticked(cells[0])}


# -- settings --------------------------------------------------------------------------------------


def test_every_setting_is_documented() -> None:
    """docs/config.md lists the keys that exist, and no others."""
    assert sorted(documented_keys()) == sorted(known_keys())


def test_documented_defaults_hold(tmp_path: Path) -> None:
    """Writing every documented default into config.toml changes nothing."""
    file = tmp_path / "config.toml"
    lines = [
        f"{key} = {ticked(default)[0]}"
        for key, default in documented_keys().items()
        if "NAME" not in key and "[]" not in key and default != "none"
    ]
    file.write_text("\n".join(lines))
    assert load_settings(file, environ={}) == load_settings(environ={}, path=empty(tmp_path))


def empty(folder: Path) -> Path:
    """A configuration file without a word."""
    file = folder / "empty.toml"
    file.touch()
    return file


def test_what_has_no_default_says_none() -> None:
    """Where docs/config.md says "none", the model says None."""
    for key, default in documented_keys().items():
        if default != "none" or "NAME" in key or "[]" in key:
            continue
        value: Any = Settings()
        for part in key.split("."):
            value = getattr(value, part)
        assert value is None, key


def test_every_variable_is_documented() -> None:
    """docs/config.md lists the environment variables that are read under names of their own."""
    text = section(page("docs/config.md"), "## Environment")
    listed = [name for cells in rows(text, "variable") for name in ticked(cells[0])]
    assert set(listed) - {"SUPERVISOR__…"} == {*SETTINGS, *RATES, *NAMES}


def test_every_simulator_setting_is_documented() -> None:
    """docs/config.md lists the simulator's settings, with the defaults they have."""
    documented = simulator_keys()
    assert sorted(documented) == sorted(SimulatorSettings.model_fields)
    written = [
        f"{key} = {ticked(default)[0]}"
        for key, default in documented.items()
        if default != "none" and "`" in default
    ]
    assert SimulatorSettings.read(tomllib.loads("\n".join(written))) == SimulatorSettings()


# -- events ----------------------------------------------------------------------------------------

LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}
LEVELS["exception"] = "error"


def logged() -> dict[str, tuple[set[str], set[str]]]:
    """Events in the code: their levels, and the fields they are logged with."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path in sorted((ROOT / "supervisor").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            event = node.args[0] if node.args else None
            if node.func.attr not in LEVELS or not isinstance(event, ast.Constant):
                continue
            if isinstance(event.value, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", event.value):
                levels, fields = found.setdefault(event.value, (set(), set()))
                levels.add(LEVELS[node.func.attr])
                fields.update(keyword.arg for keyword in node.keywords if keyword.arg)
    return found


@pytest.mark.slow
def test_events_have_the_level_and_the_fields_they_are_said_to_have() -> None:
    """docs/events.md is right about every event's level, and about what comes with it."""
    documented = {
        ticked(cells[0])[0]: (cells[1], set(ticked(cells[2])))
        for cells in rows(page("docs/events.md"), "event")
    }
    in_code = logged()
    assert sorted(documented) == sorted(in_code)
    # Fields that are given as a dictionary.
    in_code["supervision.child_crashed"][1].add("exception")
    assert documented == {
        event: (next(iter(levels)), fields) for event, (levels, fields) in in_code.items()
    }


# -- the HTTP door ---------------------------------------------------------------------------------


@pytest.fixture
def house() -> House:
    """A whole house that does not run."""
    in_use = InUse(Key("xai-test-not-a-real-key"), "the simulated API")
    api = Api("http://127.0.0.1:9/v1", in_use)
    return House(Settings(), api, simulated=True, stopped=never)


async def never() -> str:
    """Nobody asks it to stop."""
    return ""


def routes(app: Starlette) -> set[str]:
    """`METHOD path` of every route of an application."""
    found: set[str] = set()
    for route in app.routes:
        assert isinstance(route, Route)
        methods = route.methods or {"GET"}
        found |= {f"{method} {route.path}" for method in methods - {"HEAD"}}
    return found


def test_every_route_is_documented(house: House) -> None:
    """docs/gateway.md lists the routes that exist, and no others."""
    listed = [ticked(cells[0])[0] for cells in rows(page("docs/gateway.md"), "route")]
    assert sorted(listed) == sorted(routes(create_app(house.hub)))


def test_every_control_route_is_documented() -> None:
    """docs/operations.md lists the routes by which the simulator is steered."""
    listed = {ticked(cells[0])[0] for cells in rows(page("docs/operations.md"), "route")}
    control = {route for route in routes(create_simulator(SimulatorSettings())) if "/_" in route}
    assert listed == control


def test_every_error_code_is_documented() -> None:
    """docs/gateway.md lists the codes that an error can have, with their status."""
    listed = {
        code: cells[1]
        for cells in rows(page("docs/gateway.md"), "code")
        for code in ticked(cells[0])
    }
    expected: dict[str, int] = {}
    for kind in subclasses(SupervisorError):
        if issubclass(kind, RequestError):
            expected[kind.code] = kind.status
    sources = [path.read_text("utf-8") for path in (ROOT / "supervisor" / "web").glob("*.py")]
    for status, code in re.findall(r'status=(\d+),\s+code="([a-z_]+)"', "\n".join(sources)):
        expected[code] = int(status)
    missing = expected.keys() - listed.keys()
    assert not missing
    for code, status in expected.items():
        assert listed[code] == str(status) or "the API's" in listed[code], code


def subclasses(kind: type[SupervisorError]) -> Iterator[type[SupervisorError]]:
    """All classes below one."""
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


ACCOUNT = failures.ACCOUNT_FAILURES
REFUSED = {
    "bad key": [failures.wrong_key("x", whole=False)],
    "no credits": [ACCOUNT["no_credits"], ACCOUNT["spending_limit"]],
    "key or team blocked": [ACCOUNT["key_blocked"], ACCOUNT["team_blocked"]],
    "this request is not allowed": [ACCOUNT["no_permission"]],
    "no such model": [failures.unknown_model("grok-99")],
    "a refusal in plain text": [failures.wrong_type("no")],
    "quota": [failures.Failure(429, "Too many requests", "resource-exhausted")],
    "no capacity": [failures.no_capacity("grok-4.7")],
    "5xx": [
        failures.Failure(503, "no", "unavailable"),
        failures.Failure(521, "<html>", "", "html"),
    ],
    "no answer": [failures.Failure(0, "", "", "text")],
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_client_gets_of_the_apis_errors_is_documented(what: str) -> None:
    """docs/gateway.md says whose status and body an error has, and which code its header."""
    table = rows(page("docs/gateway.md"), "what happened")
    row = next(cells for cells in table if cells[0].partition(",")[0] == what)
    for said in REFUSED[what]:
        text = said.body().decode()
        failure = classify(said.status, text, {})
        told = refusal(final_error(failure, text.encode(), said.content_type.decode()))
        assert str(told.status) in row[1] or (told.status == said.status and "the API's" in row[1])
        assert json.loads(told.body)["code"] in ticked(row[2])
        assert ticked(row[3]) == [dict(told.headers)[b"x-supervisor-error"].decode()]


def test_error_headers_are_documented() -> None:
    """docs/gateway.md names the header that carries an error's code, and the advice to clients."""
    headers = [name.decode() for name, _ in refusal(InvalidRequest("no")).headers]
    text = page("docs/gateway.md")
    assert [name for name in headers if name.startswith("x-") and name not in text] == []


def test_every_metric_is_documented(house: House) -> None:
    """docs/operations.md lists the metrics that exist, with their types."""
    hub = house.hub
    text = exposition(
        hub.broker.snapshot(),
        hub.team.snapshot(),
        hub.jobs.snapshot(),
        version="",
        uptime=0.0,
        tasks=0,
        wall=0.0,
    )
    real = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    listed = {ticked(cells[0])[0]: cells[1] for cells in rows(page("docs/operations.md"), "metric")}
    assert listed == real


def test_hints_point_to_pages_that_exist() -> None:
    """An error that sends its reader to a page sends him to one."""
    sources = [path.read_text("utf-8") for path in (ROOT / "supervisor").rglob("*.py")]
    pages = re.findall(r"docs/[\w/-]+\.md", "\n".join(sources))
    assert [name for name in pages if not (ROOT / name).exists()] == []


# -- commands --------------------------------------------------------------------------------------


def commands() -> dict[str, set[str]]:
    """Every command and its options, those of its own commands too; what all have is left out."""
    app = program()
    found: dict[str, set[str]] = {}
    for name in app:
        if not name.startswith("-"):
            below = [app[name][inner] for inner in app[name] if not inner.startswith("-")]
            found[name] = {
                option
                for each in [app[name], *below]
                for argument in each.assemble_argument_collection()
                for option in argument.names
                if option.startswith("--")
            } - {"--config", "--set"}
    return found


def test_every_command_is_documented() -> None:
    """docs/operations.md lists the commands and their options, and no others."""
    listed = {
        ticked(cells[0])[0]: set(re.findall(r"--[a-z-]+", " ".join(cells[1:])))
        for cells in rows(page("docs/operations.md"), "command")
    }
    real = commands()
    assert sorted(listed) == sorted(real)
    for name, options in real.items():
        # Of a pair such as --wait and --no-wait the one that changes something is enough.
        pairs = {option for option in options if f"--no-{option[2:]}" in options}
        assert listed[name] == options - pairs, name


def test_make_targets_exist() -> None:
    """Every `make …` of the pages is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), re.MULTILINE))
    named = {
        word
        for path in PAGES
        for word in re.findall(r"(?:^ {4}|`)make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert named <= targets


def test_benchmarks_exist() -> None:
    """Every `python -m benchmarks.…` of the pages is a module."""
    named = {
        name
        for path in PAGES
        for name in re.findall(r"python -m benchmarks\.(\w+)", path.read_text("utf-8"))
    }
    assert [name for name in named if not (ROOT / "benchmarks" / f"{name}.py").exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    """A link to a file of the project leads to a file, and to a heading where it names one."""
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(path: Path) -> set[str]:
    """The names by which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- examples --------------------------------------------------------------------------------------


def example_role(name: str) -> str:
    """The source of the role that a page shows."""
    return next(block for block in blocks(page(name), "python") if "Role[" in block)


def roles_folder(folder: Path, name: str) -> Path:
    """A roles directory with nothing but the role that a page shows."""
    directory = folder / "roles"
    directory.mkdir()
    (directory / "release_notes.py").write_text(example_role(name))
    return directory


@pytest.mark.parametrize("name", ["README.md", "docs/roles.md"])
def test_the_example_role_works(name: str, tmp_path: Path) -> None:
    """The role that a page shows can be loaded, takes its input and gives its output."""
    inventory = load_all(roles_folder(tmp_path, name))
    assert inventory.broken == ()
    role = inventory.roles["release_notes"].role_class
    context = ScriptedContext([{"title": "1.1", "changes": ["the parser works"]}])
    job = ["Fix the parser", "Add --json"]
    notes = anyio.run(lambda: run_role(role, job, context=context))
    assert notes.model_dump() == {"title": "1.1", "changes": ["the parser works"]}
    assert context.asked[0].prompt == "Fix the parser\nAdd --json"


def test_the_example_role_has_15_lines() -> None:
    """README.md promises a role in 15 lines: those with something on them are counted."""
    lines = [line for line in example_role("README.md").splitlines() if line.strip()]
    assert len(lines) <= 15


@pytest.mark.slow
def test_the_example_of_trying_a_role_runs(tmp_path: Path) -> None:
    """What docs/roles.md shows for trying a role passes by itself."""
    role, trial = blocks(page("docs/roles.md"), "python")
    file = tmp_path / "trial.py"
    file.write_text(f"{role}\n{trial}")
    done = subprocess.run(
        [sys.executable, str(file)],
        env=python_environment(),
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_diff_is_reviewed() -> None:
    """The example diff with the example answers gives findings on its changed lines."""
    script = read_script(ROOT / "examples" / "answers.toml")
    quality = load_all(ROOT / "roles").roles["quality"].role_class
    diff = (ROOT / "examples" / "review.diff").read_text("utf-8")
    context = ScriptedContext([json.dumps(script[0].json_value)])
    review = anyio.run(lambda: run_role(quality, diff, context=context))
    assert [finding.rule_id for finding in review.findings] == ["lost-wake-up", "live-view"]
    asked = context.asked[0]
    assert script[0].pattern.search(str(asked.prompt))
    assert script[0].system is not None
    assert script[0].system.search(asked.system)


def test_the_example_of_scripted_answers_can_be_read(tmp_path: Path) -> None:
    """The rule that docs/operations.md shows is one."""
    file = tmp_path / "answers.toml"
    file.write_text(blocks(page("docs/operations.md"), "toml")[0])
    assert read_script(file)[0].answer == "Looks good."


SIMULATED = f"""
[web]
port = 0

[roles]
directory = "{(ROOT / "roles").as_posix()}"

[simulator]
latency = "0s"
jitter = "0s"
"""


def shown_commands(text: str) -> list[list[str]]:
    """The commands of a running supervisor that a page shows, without their comments."""
    lines = re.findall(r"^ {4}(python -m supervisor (?:submit|status).*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True)[3:] for line in lines]


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_what_the_readme_shows_works(tmp_path: Path) -> None:
    """README.md's commands and its client do what it says, with a real process."""
    directory = roles_folder(tmp_path, "README.md")
    shutil.copytree(ROOT / "roles" / "quality", directory / "quality")
    config = SIMULATED.replace((ROOT / "roles").as_posix(), directory.as_posix())
    readme = page("README.md")
    with started_supervisor(tmp_path, config, words=["--simulate"]) as house:
        port = house.url.rpartition(":")[2]
        here = f"--set=web.port={port}"
        said = [
            run_python("-m", "supervisor", *words, here, folder=ROOT)
            for words in shown_commands(readme)
        ]
        client = next(block for block in blocks(readme, "python") if "OpenAI(" in block)
        answer = run_python("-c", client.replace("8420", port), folder=tmp_path)
    assert len(said) == 3
    assert json.loads(said[0])["changed_lines"] == 30
    assert "quality" in said[1]
    assert json.loads(said[2]).keys() == {"title", "changes"}
    assert answer.strip()


def run_python(*words: str, folder: Path) -> str:
    """Run Python to its end; what it wrote to stdout."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=python_environment(),
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_shipped_configuration_is_the_defaults() -> None:
    """config.toml says in every line what holds without it."""
    shipped = load_settings(ROOT / "config.toml", environ={})
    assert shipped == Settings()
    mentioned = set(re.findall(r"^(?:# )?([a-z_]+) = ", page("config.toml"), re.MULTILINE))
    leaves = {key.rpartition(".")[2] for key in known_keys()} - {"simulator", "token"}
    assert mentioned - {"seed"} == leaves
