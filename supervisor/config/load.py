"""From config.toml, `.env`, the environment and the command line to settings that are right.

Precedence: command line, environment, `.env`, config.toml, defaults. A wrong setting is an error
that names its source, its key, its value and what was expected; all are reported at once.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from supervisor.config.assignment import Assignment, Place, origin_of, read_text, tree_of
from supervisor.config.consistency import contradictions
from supervisor.config.environment import assignments_in
from supervisor.config.key import NAMES, KeySource, find_key
from supervisor.config.report import Report, dotted
from supervisor.config.schema import is_misspelt, unknown_key
from supervisor.config.secrets import Secrets
from supervisor.config.settings import Settings
from supervisor.config.value import token
from supervisor.config.variables import Environment, read_environment

CONFIG_FILE = "config.toml"
_TOKEN = ("web", "token")
_SECRET_ENDINGS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_EXPECTATIONS = {"model_type": "a table", "dict_type": "a table", "missing": "given"}


def load_settings(
    path: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read all settings.

    Args:
        path: The TOML file; None for `config.toml` in the working directory, if it is there.
            A `.env` file is looked for beside it.
        overrides: Settings of the command line, as `dotted.key=value`.
        environ: Environment variables; None for the process's own.

    Raises:
        ConfigError: Something is wrong; one line for each problem.
    """
    report = Report()
    file = Path(CONFIG_FILE) if path is None else path
    env_file = file.with_name(".env")
    environment = read_environment(os.environ if environ is None else environ, env_file, report)
    _hide_secrets(environment, report)
    assignments = [
        *_read_file(file, report, required=path is not None),
        *assignments_in(environment, report),
        *_read_overrides(overrides, report),
    ]
    _refuse_open_token(assignments, report)
    tree = tree_of(assignments)
    broken = _check_values(tree, assignments, report)
    # A section with a wrong value is left out, so that what contradicts itself elsewhere is
    # reported as well.
    sound = {key: item for key, item in tree.items() if key not in broken}
    settings = Settings.model_validate(sound)
    for place, text in contradictions(settings):
        report.add(origin_of(place, assignments), text)
    base_url = None if "upstream" in broken else settings.upstream.base_url
    secrets = Secrets(
        find_key(environment, report, base_url=base_url),
        _client_tokens(settings, environment, report),
        _key_source(settings, os.environ if environ is None else environ, env_file),
    )
    report.raise_if_any()
    return Settings.model_validate(sound, context=secrets)


def _key_source(settings: Settings, environ: Mapping[str, str], env_file: Path) -> KeySource:
    tokens = (client.token_env for client in settings.clients.values())
    return KeySource(
        variables={name: SecretStr(environ[name]) for name in NAMES if name in environ},
        env_file=env_file,
        file=settings.key.file,
        command=settings.key.command,
        base_url=settings.upstream.base_url,
        withheld=frozenset({*NAMES, *filter(None, tokens)}),
    )


def _hide_secrets(environment: Environment, report: Report) -> None:
    for name, variable in environment.items():
        if name in NAMES or name.endswith(_SECRET_ENDINGS):
            report.hide(variable.text)


def _read_file(file: Path, report: Report, *, required: bool) -> list[Assignment]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            report.add(str(file), "no such file; `python -m supervisor init` writes one")
        return []
    except OSError as error:
        report.add(str(file), f"cannot be read: {error.strerror}")
        return []
    except UnicodeDecodeError:
        report.add(str(file), "expected UTF-8 text")
        return []
    except tomllib.TOMLDecodeError as error:
        report.add(str(file), f"expected TOML: {error}")
        return []
    return [Assignment(str(file), (), table)]


def _read_overrides(overrides: Sequence[str], report: Report) -> list[Assignment]:
    made: list[Assignment] = []
    for text in overrides:
        key, equals, value = text.partition("=")
        place = tuple(part.strip() for part in key.split("."))
        if equals and all(place):
            made.append(Assignment(f"--set {key.strip()}", place, read_text(value.strip())))
        else:
            report.expected("--set", "an override", "dotted.key=value", got=text)
    return made


def _refuse_open_token(assignments: Sequence[Assignment], report: Report) -> None:
    for assignment in assignments:
        if assignment.sets(_TOKEN) and not assignment.from_environment:
            report.add(
                assignment.origin,
                "web.token may come from the environment only: remove it here and set "
                "SUPERVISOR_TOKEN",
            )


def _check_values(
    tree: dict[str, Any], assignments: Sequence[Assignment], report: Report
) -> set[str]:
    """Report every wrong value and unknown key; gives the sections that have one."""
    try:
        Settings.model_validate(tree)
    except ValidationError as error:
        # Leaves the except clause before anything is raised: the error's context holds the input.
        details = error.errors(include_url=False)
    else:
        return set()
    for detail in details:
        names = tuple(part for part in detail["loc"] if isinstance(part, str))
        _add_detail(detail, names, report=report, origin=origin_of(names, assignments))
    return {str(detail["loc"][0]) for detail in details}


def _add_detail(detail: ErrorDetails, names: Place, *, report: Report, origin: str) -> None:
    if detail["type"] == "extra_forbidden" or is_misspelt(names, detail["input"]):
        report.add(origin, unknown_key(names))
        return
    expectation = _EXPECTATIONS.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    # Whoever writes `key = "…"` or `key.command = "…"` may have written the key itself.
    secret = names == _TOKEN or (names[:1] == ("key",) and isinstance(detail["input"], str))
    got = "(hidden)" if secret else detail["input"]
    report.expected(origin, dotted(detail["loc"]), expectation, got=got)


def _client_tokens(
    settings: Settings, environment: Environment, report: Report
) -> dict[str, SecretStr]:
    tokens: dict[str, SecretStr] = {}
    for name, client in settings.clients.items():
        variable = environment.get(client.token_env or "")
        if variable is None:
            continue
        report.hide(variable.text)
        try:
            tokens[name] = token(variable.text)
        except ValueError as error:
            report.add(variable.origin, f"expected the token of clients.{name} to be {error}")
    return tokens
