"""From the sources to settings, and what is said when they are wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from supervisor.config import RolesSettings, Settings, known_keys, load_settings
from supervisor.config.settings import MemorySettings, SshSettings
from supervisor.errors import ConfigError
from supervisor.limits import Limit
from tests.config.conftest import Project

ROOT = Path(__file__).parents[2]

LIMIT = '"N requests / PERIOD" or "N tokens / PERIOD"'
LIMITS = "a list of limits such as"
DURATION = 'a duration such as "250ms"'
COUNT = "a whole number from 1 up"

WRONG: dict[str, tuple[Any, str]] = {
    "model": (5, "the name of a model"),
    "upstream.base_url": ("api.x.ai", "an http or https URL"),
    "upstream.timeout": (600, f'{DURATION}, "90s", "5m" or "2h" above 0'),
    "upstream.connect_timeout": ("0s", DURATION),
    "upstream.longest_answer": ("0s", DURATION),
    "upstream.max_retries": (-1, "a whole number from 0 to 100"),
    "upstream.patience": ("long", DURATION),
    "key.file": (5, "the path of a file, such as"),
    "key.command": (5, "a program and its arguments, such as"),
    "quota.limits": (5, LIMITS),
    "quota.limits[0]": (["100 rpm"], LIMIT),
    "quota.jitter": ("soon", DURATION),
    "quota.enabled": ("perhaps", "true or false"),
    "quota.burst": (0, COUNT),
    "quota.takeover": (90, DURATION),
    "web.host": ("a b", "a host name or an IP address"),
    "web.port": (65536, "a whole number from 0 to 65535"),
    "web.max_body": ("big", 'a size such as "20MiB"'),
    "ssh.host": ("a b", "a host name or an IP address"),
    "ssh.port": ("ssh", "a whole number from 0 to 65535"),
    "ssh.authorized_keys": (5, "the path of a file"),
    "ssh.host_key": ("", "the path of a file"),
    "store.url": ("mysql://host/name", '"sqlite:///PATH" or "postgresql://'),
    "log.level": ("loud", 'one of "debug", "info", "warning", "error"'),
    "log.format": ("xml", 'one of "auto", "json", "console"'),
    "memory.folders": (5, 'a list of folders such as ["docs", "src"]'),
    "memory.folders[0]": ([5], "a path"),
    "memory.sweep": ("soon", DURATION),
    "sandbox.level": ("docker", 'one of "auto", "bubblewrap", "plain"'),
    "sandbox.network": ("maybe", "true or false"),
    "budget.total": (5, 'a list of budgets such as ["5 usd / day"]'),
    "budget.total[0]": (["5 usd / week"], '"N usd / PERIOD"'),
    **{
        f"prices.NAME.{key}": ("-1", "an amount of US dollars from 0 up")
        for key in ("input", "cached", "output")
    },
    "prices.NAME.double_from": (-1, "a whole number from 0 up"),
    "roles.directory": (5, "a path"),
    "simulator": (5, "a table"),
    **{
        f"{section}.NAME.{key}": wrong
        for section in ("roles", "clients")
        for key, wrong in {
            "priority": ("highest", 'one of "urgent", "high"'),
            "share": (1.5, "a number from 0 to 1"),
            "ceiling": (5, LIMITS),
            "ceiling[1]": (["1 requests / minute", "1/min"], LIMIT),
            "concurrency": (0, COUNT),
            "queue": ("long", COUNT),
            "budget": (5, 'a list of budgets such as ["5 usd / day"]'),
            "budget[0]": (["5 eur / day"], '"N usd / PERIOD"'),
            "at_budget_end": ("stop", 'one of "wait", "refuse"'),
        }.items()
    },
    "roles.NAME.deferred": ("later", "true or false"),
    "clients.NAME.token_env": ("1X", "the name of an environment variable"),
    "schedule[].cron": ("60 * * * *", 'five fields, "minute hour day month weekday"'),
    "schedule[].role": ("The CEO", "the name of a role"),
    "schedule[].input": ([None, "a date"], "text, a number, true, false, a list or a table"),
    "schedule[].name": ("Every Day", "lower-case letters, digits"),
    "schedule[].timezone": ("Mars/Olympus", "the name of a time zone"),
    "schedule[].priority": ("highest", 'one of "urgent", "high"'),
    "schedule[].missed": ("twice", 'one of "once", "skip"'),
}
TABLES = [
    *("upstream", "key", "quota", "web", "store", "ssh", "log", "memory", "roles", "clients"),
    *("roles.sales", "clients.sales"),
]


def toml(key: str, value: Any) -> str:
    """A file that sets one key; JSON's values are TOML's too."""
    if key.startswith("schedule[]"):
        table = {"cron": "@daily", "role": "sales"} | {key.rpartition(".")[2]: value}
        lines = [f"{name} = {json.dumps(item)}" for name, item in table.items()]
        # A date is what TOML has and JSON has not.
        return "\n".join(["[[schedule]]", *lines]).replace('[null, "a date"]', "2026-01-01")
    parts = key.replace("NAME", "sales").partition("[")[0].split(".")
    return ".".join(parts) + " = " + json.dumps(value)


# -- wrong values ---------------------------------------------------------------------------------


def test_a_wrong_value_is_known_for_every_key() -> None:
    """No key is left out of the test below; the token has one of its own."""
    listed = {key if "[]" in key else key.partition("[")[0] for key in WRONG}
    assert listed == set(known_keys()) - {"web.token"}


@pytest.mark.parametrize("key", WRONG)
def test_wrong_value(project: Project, key: str) -> None:
    """A wrong value is answered with source, key, expectation and value, on one line."""
    value, expectation = WRONG[key]
    [line] = project.problems(toml(key, value))
    name = key.replace("NAME", "sales").replace("[]", "[0]")
    index = int(key[-2]) if key.endswith("]") else None
    got = json.dumps(value if index is None else value[index])
    if key == "schedule[].input":
        got = '"2026-01-01"'
    assert line.startswith(f"config.toml: expected {name} to be {expectation}")
    assert line.endswith(f", got: {got}")


@pytest.mark.parametrize("key", TABLES)
def test_value_in_place_of_a_table(project: Project, key: str) -> None:
    """A section is a table."""
    assert project.problems(toml(key, 5)) == [f"config.toml: expected {key} to be a table, got: 5"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("modle = 1", 'unknown key modle, did you mean "model"?'),
        ("[quotas]", 'unknown key quotas, did you mean "quota"?'),
        ("[quota]\nlimit = 1", 'unknown key quota.limit, did you mean "limits"?'),
        ("limits = []", 'unknown key limits, did you mean "quota.limits"?'),
        ("[upstream]\nport = 1", 'unknown key upstream.port, did you mean "web.port"?'),
        ('[roles]\ndirectroy = ""', 'unknown key roles.directroy, did you mean "directory"?'),
        ("[roles.ceo]\nshares = 1", 'unknown key roles.ceo.shares, did you mean "share"?'),
        ("[clients.ide]\nprio = 1", 'unknown key clients.ide.prio, did you mean "priority"?'),
        ("[[schedule]]\nprio = 1", 'unknown key schedule.prio, did you mean "priority"?'),
        ("[log]\nzzz = 1", "unknown key log.zzz, expected one of: level, format"),
        ("zzz = 1", "unknown key zzz, expected one of: model, upstream, key, quota, web, store"),
        ('api_key = "x"', "unknown key api_key: secrets belong into the environment: GROK_API_KEY"),
        ('[upstream]\nkey = "x"', "unknown key upstream.key: secrets belong into the environment"),
        (
            '[clients.ide]\ntoken = "x"',
            "unknown key clients.ide.token: put the token into an environment variable and its "
            'name here: token_env = "NAME"',
        ),
    ],
)
def test_unknown_key(project: Project, given: str, line: str) -> None:
    """An unknown key is never ignored; the error knows what was probably meant."""
    *_, said = project.problems(given)
    assert said.startswith(f"config.toml: {line}")


def test_all_problems_at_once(project: Project) -> None:
    """Who mends settings sees every problem of every source in one go."""
    lines = project.problems(
        '[quota]\nlimts = []\n[roles.a]\nshare = 0.8\n[roles.b]\nshare = 0.8\n[log]\nlevel = "x"',
        "web.port=x",
        "nonsense",
        env_file="GROK_API_KEY=gsk_test-not-a-real-key\n",
        environ={"GROK_MAX_RETRIES": "many", "SUPERVISOR__STORE__URI": "x"},
    )
    sources = [line.partition(": ")[0] for line in lines]
    assert sources == [
        "--set",
        "environment variable GROK_MAX_RETRIES",
        "config.toml",
        "--set web.port",
        "environment variable SUPERVISOR__STORE__URI",
        "config.toml",
        "config.toml",
    ]


# -- precedence -----------------------------------------------------------------------------------

SOURCES = {
    "defaults": 8420,
    "config.toml": 1001,
    "PORT in .env": 1002,
    "SUPERVISOR__ in .env": 1003,
    "PORT": 1004,
    "SUPERVISOR__": 1005,
    "--set": 1006,
}


def read_port(project: Project, *sources: str) -> int:
    """The port when each of these sources sets its own."""
    chosen = {name: str(SOURCES[name]) for name in sources}
    environ = {
        "PORT": chosen.get("PORT", ""),
        "SUPERVISOR__WEB__PORT": chosen.get("SUPERVISOR__", ""),
    }
    env_file = [
        f"PORT={chosen.get('PORT in .env', '')}",
        f"SUPERVISOR__WEB__PORT={chosen.get('SUPERVISOR__ in .env', '')}",
    ]
    return project.load(
        f"[web]\nport = {chosen['config.toml']}" if "config.toml" in chosen else "",
        *([f"web.port={chosen['--set']}"] if "--set" in chosen else []),
        env_file="\n".join(env_file),
        environ={name: text for name, text in environ.items() if text},
    ).web.port


@pytest.mark.parametrize(("lower", "higher"), list(combinations(SOURCES, 2)))
def test_precedence(project: Project, lower: str, higher: str) -> None:
    """Command line before environment before .env before config.toml before defaults."""
    assert read_port(project, lower, higher) == SOURCES[higher]


def test_every_source_is_enough(project: Project) -> None:
    """Each source works alone."""
    assert [read_port(project, name) for name in SOURCES] == list(SOURCES.values())


def test_set_reads_lists_and_tables(project: Project) -> None:
    """The command line can set anything that the file can."""
    settings = project.load(
        "",
        'quota.limits=["5 requests / 1s", "9 tokens / minute"]',
        "roles.ceo={share = 0.5, priority = 'low'}",
        "roles.ceo.queue=7",
        "quota.enabled=off",
        "model = grok-4.3 ",
    )
    assert settings.quota.limits == (Limit(5, "requests", 1.0), Limit(9, "tokens", 60.0))
    ceo = settings.roles.named["ceo"]
    assert (ceo.share, ceo.priority, ceo.queue) == (0.5, 60, 7)
    assert settings.quota.enabled is False
    assert settings.model == "grok-4.3"


@pytest.mark.parametrize("text", ["web.port", "=5", "web..port=5", ".port=5", ""])
def test_set_without_key_or_value(project: Project, text: str) -> None:
    """An override has a key and a value."""
    assert project.problems("", text) == [
        f"--set: expected an override to be dotted.key=value, got: {json.dumps(text)}"
    ]


# -- the file -------------------------------------------------------------------------------------


def test_no_file_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without config.toml in the working directory the defaults hold."""
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}) == Settings()


def test_file_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """config.toml and .env of the working directory are found; the process's environment too."""
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text('model = "grok-4.3"', encoding="utf-8")
    Path(".env").write_text("XAI_API_KEY=xai-test-not-a-real-key", encoding="utf-8")
    monkeypatch.delenv("GROK_API_KEY", raising=False)
    monkeypatch.delenv("XAI_API_KEY", raising=False)
    monkeypatch.setenv("SUPERVISOR__WEB__PORT", "7")
    settings = load_settings()
    assert (settings.model, settings.web.port, settings.has_key) == ("grok-4.3", 7, True)


def test_named_file_must_exist(tmp_path: Path) -> None:
    """A file that was asked for and is not there is an error."""
    with pytest.raises(ConfigError, match=r"other\.toml: no such file"):
        load_settings(tmp_path / "other.toml", environ={})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[quota\n", "config.toml: expected TOML: Expected ']' at the end of a table declaration"),
        (b"model = 1\nmodel = 2\n", "(at line 2, column 10)"),
        (b"model = \xff\n", "config.toml: expected UTF-8 text"),
    ],
)
def test_file_that_cannot_be_read(project: Project, content: bytes, said: str) -> None:
    """A broken file is an error with its line."""
    path = project.folder / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ={})
    assert said in str(caught.value)


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    """What cannot be opened is named with the reason, .env as well as config.toml."""
    (tmp_path / "config.toml").mkdir()
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "config.toml", environ={})
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/.env: cannot be read: Is a directory",
        f"{tmp_path}/config.toml: cannot be read: Is a directory",
    ]


# -- the file that the project ships --------------------------------------------------------------


def test_shipped_file_says_the_defaults() -> None:
    """config.toml shows what holds without it."""
    assert load_settings(ROOT / "config.toml", environ={}) == Settings()


@pytest.mark.parametrize("key", known_keys())
def test_shipped_file_explains_every_key(key: str) -> None:
    """A reader of config.toml meets every key there is."""
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    section, _, name = key.rpartition(".")
    assert f"{name} = " in text or f"[{key}]" in text or f"({key})" in text
    if section:
        assert f"[{section.replace('NAME', '').replace('[]', '')}" in text


# -- secrets --------------------------------------------------------------------------------------

KEYS = ["xai-test-not-a-real-key", "gsk_test-not-a-real-key", "sk-test-not-a-real-key"]


def places(secret: str) -> Iterator[tuple[str, list[str], str, dict[str, str]]]:
    """Where people put a secret by mistake, as the sources of `Project.load`."""
    quoted = json.dumps(secret)
    for name in known_keys():
        yield toml(name, secret), [], "", {}
        yield "", [f"{name.replace('NAME', 'sales')}={secret}"], "", {}
    for line in (f"key = {quoted}", f"{quoted} = 1", f"[roles.{quoted}]", f"[{quoted}]", secret):
        yield line, [], "", {}
    yield "", [secret, f"api_key={secret}", f"{secret}=1"], "", {}
    yield "", [], f"{secret}\nGROK API KEY={secret}\n", {}
    for name in ("GROK_MAX_RETRIES", "PORT", "GROK_RATE_LIMIT_RPM", "ENABLE_RATE_LIMITING"):
        yield "", [], "", {name: secret}
        yield "", [], f"{name}={secret}", {}
    for text in (f"{secret} x", f"'{secret}'", f"{secret}\n"):
        yield "", ["web.port=x"], "", {"GROK_API_KEY": text, "SUPERVISOR_TOKEN": f"{secret} {text}"}
    yield "", [], "", {"GROK_API_KEY": secret, "XAI_API_KEY": secret + "2"}


@pytest.mark.parametrize("secret", KEYS)
def test_no_part_of_a_key_is_shown(project: Project, secret: str) -> None:
    """Wherever a key is pasted, no error and no representation shows it."""
    for toml_text, overrides, env_file, environ in places(secret):
        try:
            settings = project.load(toml_text, *overrides, env_file=env_file, environ=environ)
        except ConfigError as error:
            shown = f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
        else:
            # Any text names a model, a file or a role; these are what somebody said they are.
            paths = {"roles": RolesSettings(), "memory": MemorySettings(), "ssh": SshSettings()}
            shown = repr(settings.model_copy(update={"model": "", "schedule": (), **paths}))
        assert "not-a-real-key" not in shown, (toml_text, overrides, env_file, environ)


@pytest.mark.parametrize(
    ("given", "overrides", "source"),
    [
        ('[web]\ntoken = "operator-token"', [], "config.toml"),
        ("", ["web.token=operator-token"], "--set web.token"),
        ("", ['web={token = "operator-token"}'], "--set web"),
    ],
)
def test_token_is_for_the_environment_only(
    project: Project, given: str, overrides: list[str], source: str
) -> None:
    """A token in a file is committed some day, and one on the command line is in every `ps`."""
    assert project.problems(given, *overrides) == [
        f"{source}: web.token may come from the environment only: remove it here and set "
        "SUPERVISOR_TOKEN"
    ]


def test_wrong_token(project: Project) -> None:
    """A token that no header can carry is refused, unseen."""
    [line] = project.problems(environ={"SUPERVISOR_TOKEN": "two words"})
    assert line == (
        "environment variable SUPERVISOR_TOKEN: expected web.token to be printable ASCII "
        'without spaces, got: "(hidden)"'
    )


def test_passwords_of_urls_are_hidden(project: Project) -> None:
    """A URL is shown without the password in it."""
    [line] = project.problems('store.url = "postgresql://me:hunter2@host"')
    assert "hunter2" not in line
    assert line.endswith('got: "postgresql://***@host"')


def test_client_token(project: Project) -> None:
    """A client's table names the variable of its token, which may stand in .env."""
    table = '[clients.ide]\ntoken_env = "IDE_TOKEN"'
    settings = project.load(table, env_file="IDE_TOKEN=ide-token")
    assert settings.client_tokens()["ide"].get_secret_value() == "ide-token"
    with pytest.raises(ConfigError, match="IDE_TOKEN"):
        project.load(table).client_tokens()
    [line] = project.problems(table, environ={"IDE_TOKEN": "ide token"})
    assert line == (
        "environment variable IDE_TOKEN: expected the token of clients.ide to be printable ASCII "
        "without spaces"
    )


def test_wrong_upstream_does_not_blame_the_key(project: Project) -> None:
    """As long as the API is not known, nothing is said about whose key it is."""
    [line] = project.problems(
        'upstream.base_url = "groq"', environ={"GROK_API_KEY": "gsk_test-not-a-real-key"}
    )
    assert "upstream.base_url" in line
