"""What is told of a crash: one line for the snapshot, and a traceback for the log.

The traceback has files, lines and functions but no source text: reading the sources would block
the event loop, at the moment when several children may crash at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from traceback import walk_tb
from typing import cast

from supervisor.errors import SupervisorError

_LINE_LENGTH = 300
_DEPTH = 5
_FRAMES = 50


def one_line(error: BaseException) -> str:
    """Bring an error to one line of bounded length, seeing through groups.

    Args:
        error: The error.
    """
    text = "; ".join(_words(leaf) for leaf in _leaves(error))
    return text if len(text) <= _LINE_LENGTH else f"{text[: _LINE_LENGTH - 1]}…"


def sole_error(error: BaseException) -> BaseException:
    """The error out of the groups that task groups have wrapped around it, if there is but one.

    Args:
        error: The error; a group of several stays as it is.
    """
    leaves = _leaves(error)
    return leaves[0] if len(leaves) == 1 else error


def traceback_text(error: BaseException) -> str:
    """Format the traceback of an error, of its causes, and of what a group holds.

    Args:
        error: The error.
    """
    return "\n".join(_lines(error, _DEPTH))


def _lines(error: BaseException, depth: int) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and depth:
        yield from _lines(before, depth - 1)
        yield "which led to:" if error.__cause__ else "during which:"
    yield "Traceback (most recent call last):"
    frames = [
        f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
        for frame, line in walk_tb(error.__traceback__)
    ]
    yield from frames[-_FRAMES:]
    yield f"{type(error).__name__}: {error}".removesuffix(": ")
    if depth:
        for each in _members(error):
            yield from (f"  | {line}" for line in _lines(each, depth - 1))


def _members(error: BaseException) -> tuple[BaseException, ...]:
    if not isinstance(error, BaseExceptionGroup):
        return ()
    return cast("BaseExceptionGroup[BaseException]", error).exceptions


def _leaves(error: BaseException) -> list[BaseException]:
    return [leaf for each in _members(error) for leaf in _leaves(each)] or [error]


def _words(error: BaseException) -> str:
    words = " ".join(str(error).split())
    if isinstance(error, SupervisorError):
        return words  # says itself what happened
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
