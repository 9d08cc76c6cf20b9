"""How problems are reported."""

from __future__ import annotations

import pytest

from supervisor.config.report import Report, dotted, shown
from supervisor.errors import ConfigError


def text_of(report: Report) -> str:
    """What the report ends with."""
    with pytest.raises(ConfigError) as caught:
        report.raise_if_any()
    return str(caught.value)


def test_nothing_to_report() -> None:
    """Without a problem nothing is raised."""
    Report().raise_if_any()


def test_a_line_for_each_problem() -> None:
    """Problems keep their order, and the same one is said once."""
    report = Report()
    report.add("config.toml", "one")
    report.expected("", "a.b", "text", got=5)
    report.add("config.toml", "one")
    assert text_of(report) == "config.toml: one\nexpected a.b to be text, got: 5"


def test_secrets_are_hidden_wherever_they_turn_up() -> None:
    """What was named a secret, or looks like a key, is in no line."""
    report = Report()
    report.hide("hush-hush")
    report.hide("hush-hush-hush")
    report.hide("a")
    report.add("a hush-hush", "got: hush-hush-hush, sk-proj_12345 and xai-1234567")
    assert text_of(report) == "a ***: got: ***, sk-*** and xai-***"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", '"a\\nb"'),
        ([1, True], "[1, true]"),
        ("ü", '"ü"'),
        ("x" * 100, '"' + "x" * 59 + "…"),
        ("postgresql://me:p@ss@host/n", '"postgresql://***@host/n"'),
    ],
)
def test_values_fit_a_line(value: object, text: str) -> None:
    """A value is shown on one line, shortened, and a URL without its password."""
    assert shown(value) == text


def test_places_are_dotted() -> None:
    """A place reads as in the documentation."""
    assert dotted(("quota", "limits", 0)) == "quota.limits[0]"
