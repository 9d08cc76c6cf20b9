"""Variables that set things."""

from __future__ import annotations

import pytest

from supervisor.config.report import Report
from supervisor.config.variables import read_environment
from supervisor.errors import ConfigError
from supervisor.limits import Limit
from tests.config.conftest import Project


def test_conventional_names(project: Project) -> None:
    """The names that platforms and older versions use are honoured."""
    settings = project.load(
        environ={
            "XAI_API_KEY": "xai-test-not-a-real-key",
            "GROK_RATE_LIMIT_RPM": "60",
            "GROK_RATE_LIMIT_RPH": "600",
            "GROK_MAX_RETRIES": "5",
            "ENABLE_RATE_LIMITING": "false",
            "PORT": "10000",
            "SUPERVISOR_TOKEN": "operator-token",
        }
    )
    assert settings.quota.limits == (Limit(60, "requests", 60.0), Limit(600, "requests", 3600.0))
    assert settings.upstream.max_retries == 5
    assert settings.quota.enabled is False
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 10000)
    assert settings.web.token is not None
    assert settings.web.token.get_secret_value() == "operator-token"
    assert settings.has_key


def test_any_key_has_a_variable(project: Project) -> None:
    """SUPERVISOR__SECTION__KEY sets any key, those of roles included."""
    settings = project.load(
        environ={
            "SUPERVISOR__MODEL": "grok-4.3",
            "SUPERVISOR__QUOTA__LIMITS": '["5 requests / 1s"]',
            "SUPERVISOR__ROLES__MY_ROLE__SHARE": "0.25",
            "SUPERVISOR__SIMULATOR__SEED": "7",
            "SUPERVISOR__WEB__TOKEN": "operator-token",
        }
    )
    assert settings.model == "grok-4.3"
    assert settings.quota.limits == (Limit(5, "requests", 1.0),)
    assert settings.roles.named["my_role"].share == 0.25
    assert settings.simulator == {"seed": "7"}
    assert settings.web.token is not None


def test_names_of_others_are_left_alone(project: Project) -> None:
    """Supervisord, for one, sets SUPERVISOR_ENABLED; only two underscores are ours."""
    assert project.load(environ={"SUPERVISOR_ENABLED": "1", "SUPERVISOR": "x"}) == project.load()


def test_unknown_variable_with_our_prefix(project: Project) -> None:
    """A misspelt variable is found out as a misspelt key is."""
    assert project.problems(environ={"SUPERVISOR__WEB__PROT": "1"}) == [
        'environment variable SUPERVISOR__WEB__PROT: unknown key web.prot, did you mean "port"?'
    ]


def test_rate_replaces_its_limit_only(project: Project) -> None:
    """A rate changes the limit over its period; the file's others stay."""
    toml = '[quota]\nlimits = ["5 requests / 1s", "100 requests / 60s", "9 tokens / minute"]'
    settings = project.load(toml, environ={"GROK_RATE_LIMIT_RPM": "70"})
    assert [str(limit) for limit in settings.quota.limits] == [
        "5 requests / second",
        "70 requests / minute",
        "9 tokens / minute",
    ]


def test_set_goes_before_a_rate(project: Project) -> None:
    """The command line replaces the limits whole."""
    environ = {"GROK_RATE_LIMIT_RPM": "70"}
    settings = project.load("", "quota.limits=5 requests / minute", environ=environ)
    assert settings.quota.limits == (Limit(5, "requests", 60.0),)


def test_rate_that_contradicts_the_hour(project: Project) -> None:
    """A rate that the hour never allows is an error that names the variable."""
    [line] = project.problems(environ={"GROK_RATE_LIMIT_RPM": "5000"})
    assert line.startswith("environment variable GROK_RATE_LIMIT_RPM: expected every limit of")
    assert '"5000 requests / minute", which can never be reached under "3000 requests' in line


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "100 requests / minute"])
def test_wrong_rate(project: Project, text: str) -> None:
    """A rate is a number; the variable's name says the rest."""
    assert project.problems(environ={"GROK_RATE_LIMIT_RPH": text}) == [
        "environment variable GROK_RATE_LIMIT_RPH: expected a whole number from 1 up, "
        f'got: "{text}"'
    ]


def test_empty_is_not_set(project: Project) -> None:
    """An empty variable hides the one of .env and leaves the default."""
    environ = {"PORT": "", "GROK_API_KEY": "", "SUPERVISOR__LOG__LEVEL": ""}
    settings = project.load(environ=environ, env_file="PORT=5\nGROK_API_KEY=xai-test\n")
    assert (settings.web.port, settings.has_key, settings.log.level) == (8420, False, "info")


def test_grammar_of_the_file(project: Project) -> None:
    """.env is read as other programs read it; other programs' lines do not disturb."""
    settings = project.load(
        env_file="# a comment\n\nexport PORT=5 # another\nOTHER='x'\nDOLLAR=${NOT_EXPANDED}\n"
        'SUPERVISOR__MODEL="grok-4.3"\n'
    )
    assert (settings.web.port, settings.model) == (5, "grok-4.3")


def test_line_that_is_none(project: Project) -> None:
    """A line of .env that sets nothing is named by its number, since it may be a bare key."""
    assert project.problems(env_file="PORT=5\nxai test not a real key\n") == [
        ".env, line 2: expected NAME=value"
    ]


def test_file_that_is_no_text(project: Project) -> None:
    """.env is UTF-8."""
    env_file = project.folder / ".env"
    env_file.write_bytes(b"\xff\xfe")
    report = Report()
    assert read_environment({}, env_file, report) == {}
    with pytest.raises(ConfigError, match="expected UTF-8 text"):
        report.raise_if_any()
