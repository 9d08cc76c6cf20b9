"""Which arguments the endpoints take, and of what type.

Checked by hand and not by a model: a benchmark's upstream must not spend its time on validation,
and the texts of the errors have to be the API's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from supervisor.simulator import failures
from supervisor.simulator.document import Json
from supervisor.simulator.failures import Failure

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text_or_map(value: Any) -> bool:
    return isinstance(value, str | dict)


def _is_text_or_list(value: Any) -> bool:
    return isinstance(value, str | list)


_TEXT = (_is_text, "a string")
_COUNT = (_is_count, "u32")
_NUMBER = (_is_number, "f32")
_FLAG = (_is_flag, "a boolean")
_LIST = (_is_list, "a sequence")
_MAP = (_is_map, "a map")

_SHARED: dict[str, tuple[Check, str]] = {
    "model": _TEXT,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "stream": _FLAG,
    "tools": _LIST,
    "tool_choice": (_is_text_or_map, "a string or a map"),
    "parallel_tool_calls": _FLAG,
    "user": _TEXT,
    "top_logprobs": _COUNT,
    "search_parameters": _MAP,
}

CHAT_ARGUMENTS: Mapping[str, tuple[Check, str]] = _SHARED | {
    "messages": _LIST,
    "max_tokens": _COUNT,
    "max_completion_tokens": _COUNT,
    "n": _COUNT,
    "seed": (_is_whole, "i32"),
    "stop": (_is_text_or_list, "a string or a sequence"),
    "stream_options": _MAP,
    "response_format": _MAP,
    "deferred": _FLAG,
    "logprobs": _FLAG,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "logit_bias": _MAP,
    "reasoning_effort": _TEXT,
}
"""Arguments of chat completions: what they have to be, and the API's word for it."""

RESPONSES_ARGUMENTS: Mapping[str, tuple[Check, str]] = _SHARED | {
    "input": (_is_text_or_list, "a string or a sequence"),
    "instructions": _TEXT,
    "max_output_tokens": _COUNT,
    "text": _MAP,
    "reasoning": _MAP,
    "store": _FLAG,
    "previous_response_id": _TEXT,
    "prompt_cache_key": _TEXT,
    "include": _LIST,
    "metadata": _MAP,
}
"""Arguments of responses."""


def check_arguments(
    body: Json,
    known: Mapping[str, tuple[Check, str]],
    *,
    required: Collection[str],
    unsupported: Collection[str],
) -> Failure | None:
    """The first thing wrong with the arguments, None when all are right.

    Args:
        body: The request.
        known: What each argument has to be; others are ignored, as the API ignores them.
        required: Arguments that may not be missing.
        unsupported: Arguments that are refused wherever they say something.
    """
    wrong = _mistyped_argument(body, known)
    if wrong is not None:
        return wrong
    for name in required:
        if body.get(name) is None:
            return failures.wrong_type(f"missing field `{name}`")
    for name in unsupported:
        if body.get(name):
            return failures.unsupported(name)
    search = body.get("search_parameters")
    if search and search.get("mode") != "off":
        return failures.live_search_gone()
    return None


def _mistyped_argument(body: Json, known: Mapping[str, tuple[Check, str]]) -> Failure | None:
    for name, value in body.items():
        # The API's clients send null for "not set".
        if value is None or name not in known:
            continue
        check, expected = known[name]
        if not check(value):
            return mistyped(name, value, expected)
    return None


def mistyped(place: str, value: Any, expected: str) -> Failure:
    """The 422 for a value of the wrong type."""
    return failures.wrong_type(f"{place}: invalid type: {_kind(value)}, expected {expected}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"{'integer' if isinstance(value, int) else 'floating point'} `{value}`"
    if isinstance(value, str):
        return f'string "{value[:60]}"'
    if isinstance(value, list):
        return "sequence"
    return "map" if isinstance(value, dict) else "null"
