"""All problems of the settings at once, one a line, and no secret in any of them."""

from __future__ import annotations

import json
import re

from supervisor.errors import ConfigError

_LOOKS_LIKE_A_KEY = re.compile(r"\b(xai|gsk|sk)([-_])[A-Za-z0-9_-]{6,}")
_PASSWORD = re.compile(r"://[^\s\"]*@")
_LONGEST = 60


class Report:
    """Collects problems; `raise_if_any` ends the reading when there are some."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._secrets: set[str] = set()

    def hide(self, secret: str) -> None:
        """Never show this text, wherever it turns up."""
        # A text of a few letters is no secret; hiding it would tear holes into every message.
        if len(secret) >= 6:
            self._secrets.add(secret)

    def add(self, origin: str, text: str) -> None:
        """Note a problem.

        Args:
            origin: The file, the variable or the option to mend; empty when none is to blame.
            text: What was expected and what came instead.
        """
        line = f"{origin}: {text}" if origin else text
        if line not in self._lines:
            self._lines.append(line)

    def expected(self, origin: str, key: str, expectation: str, *, got: object) -> None:
        """Note a value that is not what was expected."""
        # Without the secrets before it is shortened: of one that is cut a part would be left.
        text = _shortened(self._redacted(_on_one_line(got)))
        self.add(origin, f"expected {key} to be {expectation}, got: {text}")

    def raise_if_any(self) -> None:
        """End here when there is a problem.

        Raises:
            ConfigError: There is; its message has a line for each.
        """
        if self._lines:
            raise ConfigError("\n".join(map(self._redacted, self._lines)))

    def _redacted(self, line: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            line = line.replace(secret, "***")
        return without_keys(line)


def without_keys(text: str) -> str:
    """A text without anything that looks like a key, whoever's it is."""
    return _LOOKS_LIKE_A_KEY.sub(r"\1\2***", text)


def shown(value: object) -> str:
    """A value on one line, as TOML or JSON would write it, shortened, URLs without password."""
    return _shortened(_on_one_line(value))


def _shortened(text: str) -> str:
    """As much of a text as an error can hold."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _on_one_line(value: object) -> str:
    return _PASSWORD.sub("://***@", json.dumps(value, ensure_ascii=False, default=str))


def dotted(place: tuple[int | str, ...]) -> str:
    """A place as people write it: `quota.limits[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")
