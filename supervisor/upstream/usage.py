"""Reads tokens and price out of an answer, in one form for both endpoints.

In chat completions `completion_tokens` excludes reasoning, in responses `output_tokens` includes
it (shared/facts/xai.md, "Usage"); `Usage` has them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeGuard, cast

from supervisor.budget import TICKS_PER_DOLLAR
from supervisor.messages import Usage

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens")
_DETAILS = (
    ("prompt_tokens_details", "cached_tokens"),
    ("completion_tokens_details", "reasoning_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
)

MOST_TOKENS = 10**9
"""More than any answer can have used. A number beyond it says nothing, and sums of such numbers
would not fit into a store."""
MOST_TICKS = 10**14
"""Likewise for the price: 10,000 US dollars."""


def usage_of(document: Mapping[str, Any]) -> Usage | None:
    """The usage that a JSON answer, or one chunk of a stream, carries.

    Args:
        document: A chat completion, a chunk, a response, or a `response.completed` event.

    Returns:
        None when it carries none, or numbers that cannot be: what was used is unknown then.
    """
    raw = document.get("usage")
    if not isinstance(raw, dict):
        inner = document.get("response")
        raw = cast("dict[str, Any]", inner).get("usage") if isinstance(inner, dict) else None
    if not isinstance(raw, dict):
        return None
    usage = cast("dict[str, Any]", raw)
    if not any(_is_number(usage.get(name)) for name in _COUNTS) or not _can_be(usage):
        # Nobody knows what was used: the reservation has to stand.
        return None
    found = _of_response(usage) if "input_tokens" in usage else _of_chat(usage)
    # There is no answer to no prompt: such zeros stand for what was not counted.
    return found if found.total or found.cost else None


def _of_chat(usage: Mapping[str, Any]) -> Usage:
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    total = _count(usage, "total_tokens")
    if reasoning and total and total == prompt + completion:
        # OpenAI's own counting: reasoning is part of the completion.
        completion = max(0, completion - reasoning)
    # What only the total tells of was thought, and counts.
    reasoning = max(reasoning, total - prompt - completion)
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    return Usage(prompt, completion, reasoning, cached, _cost(usage))


def _of_response(usage: Mapping[str, Any]) -> Usage:
    reasoning = _detail(usage, "output_tokens_details", "reasoning_tokens")
    output = _count(usage, "output_tokens")
    cached = _detail(usage, "input_tokens_details", "cached_tokens")
    prompt = _count(usage, "input_tokens")
    return Usage(prompt, max(0, output - reasoning), reasoning, cached, _cost(usage))


def _can_be(usage: Mapping[str, Any]) -> bool:
    """Whether all counts are ones that an answer can have."""
    counts = [usage.get(name) for name in _COUNTS]
    for group, name in _DETAILS:
        details = usage.get(group)
        if isinstance(details, dict):
            counts.append(cast("dict[str, Any]", details).get(name))
    return all(0 <= count <= MOST_TOKENS for count in counts if _is_number(count))


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if _is_number(value) and value > 0 else 0


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    details = usage.get(group)
    return _count(cast("dict[str, Any]", details), name) if isinstance(details, dict) else 0


def _cost(usage: Mapping[str, Any]) -> Decimal | None:
    ticks = usage.get("cost_in_usd_ticks")
    if not _is_number(ticks) or not 0 <= ticks <= MOST_TICKS:
        return None
    return Decimal(ticks) / TICKS_PER_DOLLAR
