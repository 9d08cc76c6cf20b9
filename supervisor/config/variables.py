"""The variables of the environment and of a `.env` file below them.

An empty variable counts as not set, so `NAME= make run` hides the value that `.env` has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import parse_stream

from supervisor.config.report import Report


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that is set.

    Attributes:
        name: Its name.
        text: Its value; not shown, as it may be a secret.
        origin: Where it is set, as an error says it.
        from_file: Whether that is the `.env` file.
    """

    name: str
    text: str = field(repr=False)
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
