"""Texts and numbers that conform to a JSON Schema."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from supervisor.simulator.document import Json
from supervisor.simulator.pattern import matching

_MOST_CHARACTERS = 1_000_000

_FORMATS: dict[str, Callable[[int], str]] = {
    "date-time": lambda n: f"2026-01-{n % 28 + 1:02}T12:00:00Z",
    "date": lambda n: f"2026-01-{n % 28 + 1:02}",
    "time": lambda n: f"12:{n % 60:02}:00Z",
    "duration": lambda n: f"PT{n + 1}S",
    "email": lambda n: f"u{n + 1}@a.co",
    "idn-email": lambda n: f"u{n + 1}@a.co",
    "name-email": lambda n: f"User <u{n + 1}@a.co>",
    "hostname": lambda n: f"host{n + 1}.example.com",
    "uri": lambda n: f"https://a.co/{n + 1}",
    "multi-host-uri": lambda n: f"postgres://example.com:5432/{n + 1}",
    "uri-reference": lambda n: f"/{n + 1}",
    "iri": lambda n: f"https://a.co/{n + 1}",
    "uuid": lambda n: f"00000000-0000-4000-8000-{n + 1:012x}",
    "uuid1": lambda n: f"00000000-0000-1000-8000-{n + 1:012x}",
    "uuid3": lambda n: f"00000000-0000-3000-8000-{n + 1:012x}",
    "uuid4": lambda n: f"00000000-0000-4000-8000-{n + 1:012x}",
    "uuid5": lambda n: f"00000000-0000-5000-8000-{n + 1:012x}",
    "uuid7": lambda n: f"00000000-0000-7000-8000-{n + 1:012x}",
    "ipv4": lambda n: f"192.0.2.{n % 254 + 1}",
    "ipv6": lambda n: f"2001:db8::{n + 1:x}",
    "ipvanyaddress": lambda n: f"192.0.2.{n % 254 + 1}",
    "ipvanyinterface": lambda n: f"192.0.2.{n % 254 + 1}/32",
    "ipvanynetwork": lambda n: f"192.0.2.{n % 254 + 1}/32",
    "ipv4interface": lambda n: f"192.0.2.{n % 254 + 1}/32",
    "ipv4network": lambda n: f"192.0.2.{n % 254 + 1}/32",
    "ipv6interface": lambda n: f"2001:db8::{n + 1:x}/128",
    "ipv6network": lambda n: f"2001:db8::{n + 1:x}/128",
    "json-pointer": lambda n: f"/{n + 1}",
    "json-string": lambda n: f"{n + 1}",
    "regex": lambda n: f"{n + 1}",
    "base64url": lambda n: "dGV4" * (n + 1),
}

# Formats that stay what they are with something in front of them, or behind.
_GROWS_IN_FRONT = ("email", "idn-email", "hostname")
_GROWS_BEHIND = ("uri", "iri", "uri-reference", "multi-host-uri", "json-pointer", "regex")


def make_text(schema: Json, *, number: int) -> str:
    """A string that conforms.

    Args:
        schema: Its schema: `pattern`, `format`, `minLength`, `maxLength`.
        number: Different numbers give different texts, where the schema allows it.

    Raises:
        ValueError: No such text could be made.
    """
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if least > _MOST_CHARACTERS or (most is not None and most < least):
        raise ValueError(f"expected a length up to {_MOST_CHARACTERS}, got: {least} to {most}")
    if "pattern" in schema:
        return matching(str(schema["pattern"]), least=least, most=most, number=number)
    if schema.get("format") in _FORMATS:
        return _formatted(schema["format"], number=number, least=least, most=most)
    text = "text" if number == 0 else f"text {number + 1}"
    text = text.ljust(least, "x") if number == 0 else text.rjust(least, "x")
    # The end is what tells numbers apart.
    return text if most is None else text[max(0, len(text) - most) :]


def _formatted(name: str, *, number: int, least: int, most: int | None) -> str:
    text = _FORMATS[name](number)
    if name in _GROWS_IN_FRONT:
        text = text.rjust(least, "x")
    elif name in _GROWS_BEHIND:
        text = text.ljust(least, "x")
    if len(text) < least or (most is not None and len(text) > most):
        raise ValueError(f"no {name} of {least} to {most} characters could be made")
    return text


def make_number(schema: Json, *, number: int, whole: bool) -> int | float:
    """A number that conforms.

    Args:
        schema: Its schema: bounds and `multipleOf`.
        number: Different numbers give different values, where the schema allows it.
        whole: Whether it has to be an integer.

    Raises:
        ValueError: There is no such number.
    """
    step = schema.get("multipleOf", 1 if whole else None)
    if step is None:
        return _between(schema, number=number)
    if whole and isinstance(step, float):
        step = step if step.is_integer() else step * 10 ** len(str(step).split(".")[1])
    lowest, highest = _multiples(schema, step)
    if lowest is not None and highest is not None and lowest > highest:
        raise ValueError(f"no multiple of {step} lies within the JSON Schema's bounds")
    if lowest is None:
        factor = 1 + number if highest is None else min(1, highest) - number
    else:
        factor = lowest + (number if highest is None else number % (highest - lowest + 1))
    value = factor * step
    return int(value) if whole else round(value, 12)


def _multiples(schema: Json, step: float) -> tuple[int | None, int | None]:
    """The smallest and the largest factor of `step` within the bounds."""
    lows = [math.ceil(schema["minimum"] / step)] if "minimum" in schema else []
    highs = [math.floor(schema["maximum"] / step)] if "maximum" in schema else []
    if _is_bound(schema.get("exclusiveMinimum")):
        lows.append(math.floor(schema["exclusiveMinimum"] / step) + 1)
    if _is_bound(schema.get("exclusiveMaximum")):
        highs.append(math.ceil(schema["exclusiveMaximum"] / step) - 1)
    return max(lows, default=None), min(highs, default=None)


def _between(schema: Json, *, number: int) -> float:
    low, low_open = _bound(schema, "minimum", "exclusiveMinimum", pick=max)
    high, high_open = _bound(schema, "maximum", "exclusiveMaximum", pick=min)
    if low is None and high is None:
        return 1.0 + number
    if low is None or high is None:
        edge, step = (low, 1) if low is not None else (high, -1)
        assert edge is not None
        return float(edge) + step * (number + (low_open or high_open))
    if low > high or (low == high and (low_open or high_open)):
        raise ValueError(f"no number lies within the JSON Schema's bounds {low} to {high}")
    # Halves, quarters …: inside however narrow it is, and each number another one.
    value = low + (high - low) / 2.0 ** (number + 1)
    return value if low < value < high else float(high if low_open else low)


def _bound(
    schema: Json, closed: str, opened: str, *, pick: Callable[..., Any]
) -> tuple[float | None, bool]:
    """The tighter of two bounds, and whether it is itself excluded."""
    one, other = schema.get(closed), schema.get(opened)
    if not _is_bound(other):
        return one, False
    if one is None or (pick(one, other) == other):
        return other, True
    return one, False


def _is_bound(value: Any) -> bool:
    # In draft 4 `exclusiveMinimum` was a flag.
    return isinstance(value, int | float) and not isinstance(value, bool)
