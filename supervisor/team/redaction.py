"""Keeps the key out of what a role's error leaves behind: the job's record, snapshots, the log.

No role is given the key, but its code may read the file that has it; and an error goes a long way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar, cast

from supervisor.errors import SupervisorError

Redact = Callable[[str], str]
Raised = TypeVar("Raised", bound=BaseException)


class Redacted(RuntimeError):
    """Stands for an error that shows a key and cannot be kept from it."""


def without_key(error: Raised, redact: Redact) -> Raised | Redacted:
    """The same error without the key in its texts; another one where that cannot be had.

    Args:
        error: What a role raised.
        redact: Removes the key from a text.
    """
    if _is_clean(error, redact):
        return error
    for one in _chain(error):
        one.args = tuple(redact(part) if isinstance(part, str) else part for part in one.args)
        if isinstance(one, SupervisorError):
            one.message, one.hint = redact(one.message), redact(one.hint)
    if _is_clean(error, redact):
        return error
    text = redact(f"{type(error).__name__}: {error}")
    # Neither what it shows nor what led to it: only where it was raised.
    return Redacted(text).with_traceback(error.__traceback__)


def _is_clean(error: BaseException, redact: Redact) -> bool:
    texts = [f"{one} {getattr(one, '__notes__', '')}" for one in _chain(error)]
    return all(redact(text) == text for text in texts)


def _chain(error: BaseException) -> Collection[BaseException]:
    """An error, what led to it, and what it holds; each once."""
    found: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in found:
            continue
        found[id(one)] = one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", one).exceptions
    return found.values()
