"""What platforms read: blueprints, Procfile, the systemd unit, the example of `.env`."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from anyio.abc import TaskStatus

from supervisor.cli.program import program
from supervisor.cli.run import run
from supervisor.config.environment import RATES, SETTINGS
from supervisor.config.key import NAMES
from supervisor.config.load import load_settings
from supervisor.supervision.spec import ChildSpec

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "supervisor" / "project" / "files"
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
KEY = "xai-test-not-a-real-key"
TOKEN = "made-up-by-the-platform"

Table = dict[str, Any]

FIELDS = {
    *("type", "name", "runtime", "plan", "region", "branch", "rootDir", "numInstances"),
    *("buildCommand", "startCommand", "preDeployCommand", "healthCheckPath"),
    *("maxShutdownDelaySeconds", "autoDeployTrigger", "disk", "envVars"),
}
"""Of a service; `env` and `autoDeploy` are deprecated."""
SECRET = re.compile(r"(xai|gsk|sk)[-_]\w{6,}|://[^\s/]*:[^\s/]*@|[A-Za-z0-9+=_-]{32,}")


def block(language: str) -> str:
    """The one block of a language in docs/deploy.md."""
    [text] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


BLUEPRINTS = {
    "worker": (ROOT / "render.yaml").read_text("utf-8"),
    "project": (TEMPLATES / "render.yaml").read_text("utf-8"),
    "web": block("yaml"),
}


def service(text: str) -> Table:
    """The one service of a blueprint."""
    blueprint = yaml.safe_load(text)
    assert set(blueprint) == {"services"}
    [only] = blueprint["services"]
    return cast("Table", only)


@pytest.fixture(params=BLUEPRINTS)
def blueprint(request: pytest.FixtureRequest) -> Table:
    """Each service that we show."""
    return service(BLUEPRINTS[request.param])


async def rest(*, task_status: TaskStatus[None]) -> None:
    """A child that does nothing."""


@cache
def farewell() -> float:
    """Seconds from SIGTERM to the end, at most: the drain, and then one child after the other."""
    tree = ast.parse((ROOT / "supervisor" / "app.py").read_text("utf-8"))
    drain = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_DRAIN"
    ]
    usual = ChildSpec("any", rest).shutdown
    children = [
        next(
            (ast.literal_eval(word.value) for word in node.keywords if word.arg == "shutdown"),
            usual,
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ChildSpec"
    ]
    assert drain
    assert len(children) > 5
    return float(drain[0] + sum(children))


def variables(blueprint: Table) -> dict[str, Table]:
    """A service's environment variables by name."""
    return {entry["key"]: entry for entry in blueprint["envVars"]}


def parsed(command: str) -> tuple[Any, Table]:
    """What our command line makes of a command."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "supervisor"]
    what, bound, _ = program().parse_args(words[3:], exit_on_error=False, print_error=False)
    return what, dict(bound.arguments)


# -- blueprints ------------------------------------------------------------------------------------


def test_blueprints_have_known_fields(blueprint: Table) -> None:
    """A blueprint uses the fields that Render documents, none of them deprecated."""
    assert set(blueprint) <= FIELDS
    assert set(blueprint["disk"]) == {"name", "mountPath", "sizeGB"}
    assert blueprint["runtime"] == "python"
    assert blueprint["numInstances"] == 1
    for entry in blueprint["envVars"]:
        [given] = set(entry) - {"key"}
        assert given in {"value", "sync", "generateValue"}


def test_blueprints_hold_no_secret(blueprint: Table) -> None:
    """The key is asked for, the token is made up, and nothing in the file looks like either."""
    entries = variables(blueprint)
    assert entries["GROK_API_KEY"] == {"key": "GROK_API_KEY", "sync": False}
    assert entries["SUPERVISOR_TOKEN"] == {"key": "SUPERVISOR_TOKEN", "generateValue": True}
    secret = [name for name in entries if name.endswith(("KEY", "TOKEN", "SECRET", "PASSWORD"))]
    assert not any("value" in entries[name] for name in secret)


@pytest.mark.parametrize("text", BLUEPRINTS.values(), ids=BLUEPRINTS)
def test_nothing_looks_like_a_secret(text: str) -> None:
    """No text of a blueprint, its comments among them, has a secret's form."""
    assert SECRET.findall(text) == []


def test_blueprints_start_the_supervisor(blueprint: Table) -> None:
    """The start command is one of ours, and the settings it would run with are right."""
    what, arguments = parsed(blueprint["startCommand"])
    assert what is run
    given = {
        name: str(each["value"]) for name, each in variables(blueprint).items() if "value" in each
    }
    environ = {**given, "GROK_API_KEY": KEY, "SUPERVISOR_TOKEN": TOKEN, "PORT": "10000"}
    host = arguments.get("host", "127.0.0.1")
    settings = load_settings(ROOT / "config.toml", overrides=[f"web.host={host}"], environ=environ)
    mount = Path(blueprint["disk"]["mountPath"])
    assert settings.store.in_files
    assert settings.store.file().parent == mount
    assert mount.is_absolute()
    assert settings.web.port == 10000


def test_blueprints_leave_time_for_the_end(blueprint: Table) -> None:
    """The platform waits longer than the drain and every child may take, within its own bounds."""
    assert farewell() <= blueprint["maxShutdownDelaySeconds"] <= 300


def test_blueprints_pin_python(blueprint: Table) -> None:
    """The version is a full one, and of the line that `.python-version` names."""
    version = variables(blueprint)["PYTHON_VERSION"]["value"]
    line = (ROOT / ".python-version").read_text("utf-8").strip()
    assert re.fullmatch(rf"{re.escape(line)}\.\d+", version)


def test_blueprints_install_what_was_tested(blueprint: Table) -> None:
    """The build installs this tree or a project's requirements, with the constraints."""
    command = blueprint["buildCommand"]
    assert command in {"pip install -c constraints.txt .", "pip install -r requirements.txt"}
    requirements = (TEMPLATES / "requirements.txt").read_text("utf-8").splitlines()
    assert "-c constraints.txt" in requirements


def test_a_project_differs_in_its_build_alone() -> None:
    """The blueprint of a project is this repository's but for what it installs."""
    ours, theirs = service(BLUEPRINTS["worker"]), service(BLUEPRINTS["project"])
    assert ours["type"] == "worker"
    assert {**theirs, "buildCommand": ours["buildCommand"]} == ours


def test_the_door_is_open_only_where_it_is_asked_for() -> None:
    """A worker has no health check; a web service listens everywhere, and is asked if it lives."""
    worker, web = service(BLUEPRINTS["worker"]), service(BLUEPRINTS["web"])
    assert "healthCheckPath" not in worker
    assert (web["type"], web["healthCheckPath"]) == ("web", "/livez")
    assert parsed(web["startCommand"])[1]["host"] == "0.0.0.0"
    assert parsed(worker["startCommand"])[1] == {}


# -- Procfile and systemd --------------------------------------------------------------------------


def test_the_procfile_starts_the_supervisor() -> None:
    """Its one line has the form that Heroku, honcho and foreman read, and runs the same command."""
    [line] = (ROOT / "Procfile").read_text("utf-8").splitlines()
    found = re.fullmatch(r"([A-Za-z0-9_-]+):\s*(.+)", line)
    assert found
    assert found[1] == "worker"
    assert found[2] == service(BLUEPRINTS["worker"])["startCommand"]
    assert parsed(found[2])[0] is run


def test_the_systemd_unit_fits() -> None:
    """The unit starts our command, waits long enough, and does not repeat a wrong configuration."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block("ini"))
    assert set(unit) == {"DEFAULT", "Unit", "Service", "Install"}
    about = unit["Service"]
    words = shlex.split(about["ExecStart"])
    assert words[0] == f"{about['WorkingDirectory']}/.venv/bin/python"
    assert parsed(shlex.join(["python", *words[1:]]))[0] is run
    assert int(about["TimeoutStopSec"]) >= farewell()
    assert about["RestartPreventExitStatus"] == "2"


# -- .env.example ----------------------------------------------------------------------------------


def test_the_example_of_env_is_right(tmp_path: Path) -> None:
    """Every variable in it is one that is read, and all of them together are right settings."""
    text = (ROOT / ".env.example").read_text("utf-8")
    lines = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=(.*)$", text, re.MULTILINE)
    names = {name for name, _ in lines}
    known = {*SETTINGS, *RATES, *NAMES}
    assert {name for name in names - known if not name.startswith("SUPERVISOR__")} == set()
    assert known - names == {"XAI_API_KEY"}
    (tmp_path / "config.toml").touch()
    filled = "\n".join(f"{name}={value or KEY}" for name, value in lines)
    (tmp_path / ".env").write_text(filled)
    settings = load_settings(tmp_path / "config.toml", environ={})
    assert settings.has_key
    assert settings.web.token is not None
