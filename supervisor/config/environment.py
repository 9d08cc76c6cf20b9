"""Environment variables, with those of a `.env` file below them.

An empty variable counts as not set, so `NAME= make run` hides the value that `.env` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from supervisor.config.assignment import Assignment, Place, RateAssignment, read_text
from supervisor.config.report import Report, shown
from supervisor.config.settings import QuotaSettings
from supervisor.limits import Limit

PREFIX = "SUPERVISOR__"

SETTINGS: Mapping[str, Place] = {
    "GROK_MAX_RETRIES": ("upstream", "max_retries"),
    "ENABLE_RATE_LIMITING": ("quota", "enabled"),
    "PORT": ("web", "port"),
    "SUPERVISOR_TOKEN": ("web", "token"),
}
"""Variables under names that platforms and older versions use, and the settings they are."""

RATES: Mapping[str, float] = {"GROK_RATE_LIMIT_RPM": 60.0, "GROK_RATE_LIMIT_RPH": 3600.0}
"""Variables that replace the limit on requests over a period, and that period in seconds."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that is set.

    Attributes:
        name: Its name.
        text: Its value.
        origin: Where it is set, as an error says it.
        from_file: Whether that is the `.env` file.
    """

    name: str
    text: str
    origin: str
    from_file: bool = False


Environment = Mapping[str, Variable]


def read_environment(environ: Mapping[str, str], env_file: Path, report: Report) -> Environment:
    """All variables that are set and not empty.

    Args:
        environ: The process's environment.
        env_file: The `.env` file; it need not exist.
        report: Takes the lines of it that cannot be read.
    """
    found = {variable.name: variable for variable in _read_file(env_file, report)}
    for name, text in environ.items():
        found[name] = Variable(name, text, f"environment variable {name}")
    return {name: variable for name, variable in found.items() if variable.text}


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


def _read_file(path: Path, report: Report) -> Iterable[Variable]:
    try:
        stream = path.open(encoding="utf-8")
    except FileNotFoundError:
        return
    except OSError as error:
        report.add(str(path), f"cannot be read: {error.strerror}")
        return
    with stream:
        try:
            bindings = list(parse_stream(stream))
        except UnicodeDecodeError:
            report.add(str(path), "expected UTF-8 text")
            return
    for binding in bindings:
        if binding.error:
            # The line itself may be a key without its name: it is not shown.
            report.add(f"{path}, line {binding.original.line}", "expected NAME=value")
        elif binding.key:
            yield Variable(
                binding.key, binding.value or "", f"{path}: {binding.key}", from_file=True
            )
