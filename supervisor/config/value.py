"""What a single value may be: plain data in, a typed value out.

Every parser refuses with a `ValueError` whose text is what was expected, so that `Report` can put
the key, the value and its source around it. Text is accepted for numbers and truth values,
because the environment and the command line have nothing else.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, SecretStr

from supervisor.budget import Budget
from supervisor.cron import Cron, parse_zone
from supervisor.limits import EXPECTED, Limit, parse_duration
from supervisor.messages import JsonValue, Priority

_TRUTH = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>B|KB|MB|GB|KiB|MiB|GiB)?", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def plain_text(expectation: str, pattern: str = r"\S(.*\S)?") -> Callable[[object], str]:
    """A parser of text that matches `pattern` whole."""
    compiled = re.compile(pattern)

    def parse(value: object) -> str:
        if isinstance(value, str) and compiled.fullmatch(value):
            return value
        raise ValueError(expectation)

    return parse


def one_of(*words: str) -> Callable[[object], str]:
    """A parser of one word out of a few, in any case."""
    expectation = "one of " + ", ".join(f'"{word}"' for word in words)

    def parse(value: object) -> str:
        if isinstance(value, str) and value.lower() in words:
            return value.lower()
        raise ValueError(expectation)

    return parse


def whole_number(*, least: int, most: int | None = None) -> Callable[[object], int]:
    """A parser of whole numbers in a range, both ends included."""
    bounds = f"from {least} up" if most is None else f"from {least} to {most}"

    def parse(value: object) -> int:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(f"a whole number {bounds}")
        if number < least or (most is not None and number > most):
            raise ValueError(f"a whole number {bounds}")
        return number

    return parse


def truth(value: object) -> bool:
    """Read `true` or `false`, or one of the words that people put into the environment."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise ValueError("true or false")


def fraction(value: object) -> float:
    """Read a number from 0 to 1."""
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not 0.0 <= number <= 1.0:
        raise ValueError("a number from 0 to 1, such as 0.10")
    return number


def duration(*, zero: bool) -> Callable[[object], float]:
    """A parser of durations; `zero` says whether "0s" is one of them. Gives seconds."""
    expectation = 'a duration such as "250ms", "90s", "5m" or "2h"' + ("" if zero else " above 0")

    def parse(value: object) -> float:
        try:
            seconds = parse_duration(value) if isinstance(value, str) else math.nan
        except ValueError:
            seconds = math.nan
        if seconds > 0 or (zero and seconds == 0):
            return seconds
        raise ValueError(expectation)

    return parse


def size(value: object) -> int:
    """Read a size such as `20MiB` or a number of bytes. Gives bytes."""
    match = _SIZE.fullmatch(str(value)) if isinstance(value, str | int) else None
    number = float(match["number"]) * _UNITS[(match["unit"] or "B").lower()] if match else 0.0
    if number < 1 or isinstance(value, bool):
        raise ValueError('a size such as "20MiB", or a number of bytes, at least 1')
    return int(number)


def limit(value: object) -> Limit:
    """Read one limit."""
    if isinstance(value, Limit):
        return value
    try:
        return Limit.parse(value if isinstance(value, str) else "")
    except ValueError as error:
        said = re.fullmatch(r"expected (.*), got: .*", str(error), re.DOTALL)
        raise ValueError(said[1] if said else EXPECTED) from None


def list_of(*single: type, expectation: str) -> Callable[[Any], Any]:
    """A parser of lists in which a lone value of these types counts as a list of one.

    The command line is friendlier that way.
    """

    def parse(value: Any) -> Any:
        if isinstance(value, single):
            return [value]
        if isinstance(value, list | tuple):
            return value  # pyright: ignore[reportUnknownVariableType]
        raise ValueError(expectation)

    return parse


def priority(value: object) -> int:
    """Read a priority by name or by number."""
    if isinstance(value, str) and value.upper() in Priority.__members__:
        return int(Priority[value.upper()])
    try:
        return whole_number(least=0, most=99)(value)
    except ValueError:
        names = ", ".join(f'"{name.lower()}"' for name in Priority.__members__)
        raise ValueError(f"one of {names}, or a whole number from 0 to 99") from None


def budget(value: object) -> Budget:
    """Read a budget such as `5 usd / day`."""
    return value if isinstance(value, Budget) else Budget.parse(value)


def money(value: object) -> Decimal:
    """Read a price in US dollars; text, a whole number or a fraction."""
    text = value if isinstance(value, str) else ""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        # Small fractions would be written as 1e-06.
        text = f"{Decimal(str(value)):f}"
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("an amount of US dollars from 0 up, such as 2.50")
    return Decimal(text)


def folder(value: object) -> Path:
    """Read the path of a folder; whether it exists is for its user to say."""
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return Path(value)
    raise ValueError('a path such as "roles"')


def file(value: object) -> Path:
    """Read the path of a file; whether it exists is for its user to say."""
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value.strip() and "\0" not in value and not _is_a_key(value):
        return Path(os.path.expanduser(value))
    raise ValueError('the path of a file, such as "/etc/secrets/grok"')


def words(value: object) -> tuple[str, ...]:
    """Read a program and its arguments; an empty list is none."""
    texts = cast("list[object]", value) if isinstance(value, list | tuple) else [None]
    good = [text for text in texts if isinstance(text, str) and "\0" not in text]
    if len(good) == len(texts) and (not good or good[0].strip()) and not any(map(_is_a_key, good)):
        return tuple(good)
    raise ValueError('a program and its arguments, such as ["pass", "show", "grok"]')


def _is_a_key(text: str) -> bool:
    """Whether somebody has written the key itself where it says where the key is."""
    return bool(re.fullmatch(r"\s*(xai|gsk|sk)[-_][\w-]{12,}\s*", text))


def base_url(value: object) -> str:
    """Read the base URL of an API; without a slash at its end."""
    expectation = 'an http or https URL without user, query or fragment: "https://api.x.ai/v1"'
    if not isinstance(value, str) or re.search(r"\s", value):
        raise ValueError(expectation)
    parts = _split(value, expectation=expectation)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError(expectation)
    if parts.query or parts.fragment:
        raise ValueError(expectation)
    return value.rstrip("/")


def store_url(value: object) -> str:
    """Read the URL of a store; `postgres://`, as platforms hand it out, is PostgreSQL too."""
    expectation = '"sqlite:///PATH" or "postgresql://USER:PASSWORD@HOST/NAME"'
    if not isinstance(value, str):
        raise ValueError(expectation)
    parts = _split(value, expectation=expectation)
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        return value
    if _STRAY_PERCENT.search(value):
        # Its driver would say so with the part that is wrong, which can be the password.
        raise ValueError(f'{expectation}, with "%25" for a "%"')
    if parts.scheme in {"postgres", "postgresql"} and parts.netloc and len(parts.path) > 1:
        return "postgresql" + value.removeprefix(parts.scheme)
    raise ValueError(expectation)


def variable(value: object) -> str:
    """Read the name of an environment variable."""
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return value
    raise ValueError('the name of an environment variable, such as "EDITOR_TOKEN"')


def token(value: object) -> SecretStr:
    """Read a bearer token."""
    if isinstance(value, SecretStr):
        return value
    if isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value:
        return SecretStr(value)
    raise ValueError("printable ASCII without spaces")


def cron(value: object) -> str:
    """Read a cron expression."""
    return Cron.parse(value, ZoneInfo("UTC")).text


def zone(value: object) -> ZoneInfo:
    """Read the name of a time zone."""
    return value if isinstance(value, ZoneInfo) else parse_zone(value)


def plain_value(value: Any) -> JsonValue:
    """Read a value that somebody else validates, as `plain_table` does."""
    if value is None or _is_plain(value):
        return cast("JsonValue", value)
    raise ValueError("text, a number, true, false, a list or a table, without dates")


def plain_table(value: Any) -> dict[str, JsonValue]:
    """Read a table that somebody else validates: only its form is checked here."""
    if isinstance(value, dict) and _is_plain(cast("object", value)):
        return cast("dict[str, JsonValue]", value)
    raise ValueError("a table of text, numbers, true, false, lists and tables")


def _split(value: str, *, expectation: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(expectation) from None
    return parts


def _is_plain(value: object) -> bool:
    # TOML has dates and times; JSON, which these values must survive, has not.
    if isinstance(value, dict):
        return all(map(_is_plain, cast("dict[str, object]", value).values()))
    if isinstance(value, list):
        return all(map(_is_plain, cast("list[object]", value)))
    return isinstance(value, str | int | float)


LimitField = Annotated[Limit, PlainValidator(limit), PlainSerializer(str)]
Limits = Annotated[
    tuple[LimitField, ...],
    BeforeValidator(
        list_of(str, Limit, expectation='a list of limits such as ["100 requests / minute"]')
    ),
]
"""Several limits; an error names the one that is wrong by its index."""

Budgets = Annotated[
    tuple[Annotated[Budget, PlainValidator(budget), PlainSerializer(str)], ...],
    BeforeValidator(list_of(str, Budget, expectation='a list of budgets such as ["5 usd / day"]')),
]
"""Several budgets that hold together."""
