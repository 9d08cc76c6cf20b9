"""What the variables of the environment and of `.env` set."""

from __future__ import annotations

from collections.abc import Mapping

from supervisor.config.assignment import Assignment, Place, RateAssignment, read_text
from supervisor.config.report import Report, shown
from supervisor.config.settings import QuotaSettings
from supervisor.config.variables import Environment, Variable
from supervisor.limits import Limit

PREFIX = "SUPERVISOR__"

SETTINGS: Mapping[str, Place] = {
    "GROK_API_KEY_FILE": ("key", "file"),
    "GROK_MAX_RETRIES": ("upstream", "max_retries"),
    "ENABLE_RATE_LIMITING": ("quota", "enabled"),
    "PORT": ("web", "port"),
    "SUPERVISOR_TOKEN": ("web", "token"),
}
"""Variables under names that platforms and older versions use, and the settings they are."""

RATES: Mapping[str, float] = {"GROK_RATE_LIMIT_RPM": 60.0, "GROK_RATE_LIMIT_RPH": 3600.0}
"""Variables that replace the limit on requests over a period, and that period in seconds."""


def assignments_in(environment: Environment, report: Report) -> list[Assignment]:
    """What the variables set, the least important first.

    The environment goes before `.env`; in each, a name with our prefix before a conventional one.
    """
    made: list[Assignment] = []
    for variable in sorted(environment.values(), key=_rank):
        name = variable.name
        if name in RATES:
            made += _rate(variable, RATES[name], report)
        elif name in SETTINGS or name.startswith(PREFIX):
            place = SETTINGS.get(name) or tuple(name.removeprefix(PREFIX).lower().split("__"))
            value = variable.text if name in SETTINGS else read_text(variable.text)
            made.append(Assignment(variable.origin, place, value, from_environment=True))
    return made


def _rank(variable: Variable) -> tuple[bool, bool, str]:
    return not variable.from_file, variable.name.startswith(PREFIX), variable.name


def _rate(variable: Variable, period: float, report: Report) -> list[Assignment]:
    if not variable.text.isdecimal() or int(variable.text) < 1:
        report.add(
            variable.origin, f"expected a whole number from 1 up, got: {shown(variable.text)}"
        )
        return []
    limit = Limit(int(variable.text), "requests", period)
    usual = QuotaSettings().limits
    place = ("quota", "limits")
    return [RateAssignment(variable.origin, place, limit, from_environment=True, usual=usual)]
