"""The API key: found in one of its sources, and told apart from what is often pasted in its place.

The sources are read at start and again whenever the key may have changed, always in the same way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from supervisor.config.key_command import run_key_command
from supervisor.config.key_file import open_to_others, read_key_file
from supervisor.config.report import Report
from supervisor.config.variables import Environment, Variable, read_environment
from supervisor.errors import ConfigError

NAMES = ("GROK_API_KEY", "XAI_API_KEY")

_NOWHERE = (
    "no API key: expected GROK_API_KEY or XAI_API_KEY in the environment or in .env, "
    "or key.file or key.command"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A key that can be one.

    Attributes:
        secret: The key.
        origin: Where it was found, as an error says it.
        fixed: Whether it cannot change while the process runs.
        warning: What should be mended there all the same; empty when nothing should.
    """

    secret: SecretStr
    origin: str
    fixed: bool = False
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Where the key comes from.

    Attributes:
        variables: The key's variables as this process's environment had them, empty ones included.
        env_file: The `.env` file; it need not exist.
        file: The secret file, if there is one.
        command: The program that prints the key, and its arguments; empty for none. Not shown:
            an argument may say more than it should.
        base_url: The API it is for.
        withheld: Environment variables that the command does not get.
    """

    variables: Mapping[str, SecretStr] = field(default_factory=dict[str, SecretStr])
    env_file: Path = Path(".env")
    file: Path | None = None
    command: tuple[str, ...] = field(default=(), repr=False)
    base_url: str | None = None
    withheld: frozenset[str] = frozenset(NAMES)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that may hold a new key."""
        files = (self.env_file,) if self.file is None else (self.env_file, self.file)
        return tuple(file.absolute() for file in files)

    def look(self) -> str:
        """What the files hold, as one digest: it changes with their content only.

        A pipe is not looked at: that would take away what it has, or wait for it.
        """
        digest = hashlib.sha256()
        for file in self.files:
            try:
                content = file.read_bytes() if file.is_file() else b""
            except OSError:
                content = b""
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def read(self) -> FoundKey:
        """Read every source that is named; blocks for as long as the command takes.

        Raises:
            ConfigError: There is no key, or none that can be one, or two that differ.
        """
        report = Report()
        found = self._found(report)
        if len({one.secret.get_secret_value() for one in found}) > 1:
            report.add("", _differ([one.origin for one in found]))
        report.raise_if_any()
        if not found:
            raise ConfigError(
                _NOWHERE, hint="without one, `run --simulate` works on a simulated API"
            )
        return found[0]

    def _found(self, report: Report) -> list[FoundKey]:
        found = [
            FoundKey(
                secret=SecretStr(variable.text),
                origin=variable.origin,
                fixed=not variable.from_file,
            )
            for variable in _variables(self._environment(report))
        ]
        if self.file is not None:
            secret = read_key_file(self.file, report)
            found += _named(secret, f"{self.file} (key.file)", open_to_others(self.file))
        if self.command:
            secret = run_key_command(self.command, self.withheld, report)
            found += _named(secret, "key.command")
        for one in found:
            report.hide(one.secret.get_secret_value())
            problem = _problem(one.secret.get_secret_value(), base_url=self.base_url)
            if problem:
                report.add(one.origin, problem)
        return found

    def _environment(self, report: Report) -> Environment:
        variables = {name: one.get_secret_value() for name, one in self.variables.items()}
        return read_environment(variables, self.env_file, report)


def find_key(environment: Environment, report: Report, *, base_url: str | None) -> SecretStr | None:
    """The API key of the environment and of `.env`, if there is one.

    Args:
        environment: Where to look.
        report: Takes what is wrong with it.
        base_url: The API it is for; None when that is not known, so nothing is said about it.
    """
    found = _variables(environment)
    if len({variable.text for variable in found}) > 1:
        report.add("", _differ([variable.origin for variable in found]))
    for variable in found:
        problem = _problem(variable.text, base_url=base_url)
        if problem:
            report.add(variable.origin, problem)
    return SecretStr(found[0].text) if found else None


def _variables(environment: Environment) -> list[Variable]:
    return [variable for name in NAMES if (variable := environment.get(name))]


def _named(secret: SecretStr | None, origin: str, warning: str = "") -> list[FoundKey]:
    return [] if secret is None else [FoundKey(secret=secret, origin=origin, warning=warning)]


def _differ(origins: list[str]) -> str:
    return f"{' and '.join(origins)} hold different keys: keep one of them"


def _problem(text: str, *, base_url: str | None) -> str:
    if re.search(r"\s", text):
        return "expected a key without white space: copy it again, without line breaks"
    if re.search(r"[\"'`]", text):
        return "expected a key without quotation marks: remove them"
    if not text.isascii() or not text.isprintable():
        return "expected a key of printable ASCII characters: copy it again"
    host = urlsplit(base_url or "").hostname or ""
    return _stranger(text, host) if f".{host}".endswith(".x.ai") else ""


def _stranger(text: str, host: str) -> str:
    """What to say of another vendor's key at xAI; a key of no known form may be theirs."""
    expected = "expected a key of console.x.ai, which starts with xai-"
    if text.startswith("gsk_"):
        return f"this is a Groq key, not a Grok key; {expected}"
    if text.startswith("sk-"):
        return (
            f"this looks like an OpenAI key, but requests go to {host}; {expected}, "
            "or set upstream.base_url to the key's own API"
        )
    return ""
