"""What a class must keep to be run as a role: looked at, never called."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, get_type_hints

from pydantic import TypeAdapter

from supervisor.errors import PluginInvalid
from supervisor.loading.discovery import NAME_EXPECTED, ROLE_NAME
from supervisor.role import Role

_SIGNATURE = "async def handle(self, job: InputType, ctx: Context) -> OutputType"


class Complain(Protocol):
    """Makes a complaint about a role class that names file and line."""

    def __call__(self, message: str, *, member: str = "", hint: str = "") -> PluginInvalid:
        """Make the error.

        Args:
            message: What is wrong and what was expected.
            member: The method or attribute that it is about.
            hint: What to do.
        """
        ...


@dataclass(frozen=True, slots=True)
class Contract:
    """What a role takes and gives: types that pydantic can validate and serialize."""

    input_type: Any
    output_type: Any


def read_contract(role_class: type[Role[Any, Any]], complain: Complain) -> Contract:
    """Check a role class and read what it takes and gives.

    Args:
        role_class: The class.
        complain: Makes the error.

    Raises:
        PluginInvalid: It cannot be run as a role.
    """
    if inspect.isabstract(role_class):
        missing = ", ".join(sorted(role_class.__abstractmethods__))
        raise complain(f"expected {role_class.__name__} to define {missing}", hint=_SIGNATURE)
    _check_attributes(role_class, complain)
    _check_construction(role_class, complain)
    for hook in ("start", "stop"):
        if not inspect.iscoroutinefunction(getattr(role_class, hook)):
            raise complain(f"expected {hook} to be async", member=hook, hint=f"async def {hook}")
    job = _check_handle(role_class, complain)
    return Contract(
        input_type=_usable_type(role_class, job, complain),
        output_type=_usable_type(role_class, "return", complain),
    )


def _check_attributes(role_class: type[Role[Any, Any]], complain: Complain) -> None:
    # Looked up as plain values: what the annotations promise is just what is to be checked.
    for member, (expected, holds) in _ATTRIBUTES.items():
        value: object = getattr(role_class, member)
        if not holds(value):
            raise complain(f"expected {member} to be {expected}, got: {value!r}", member=member)


def _check_construction(role_class: type[Role[Any, Any]], complain: Complain) -> None:
    try:
        inspect.signature(role_class).bind()
    except TypeError as error:
        raise complain(
            f"expected {role_class.__name__}() to need no arguments, got: {error}",
            member="__init__",
            hint="open what jobs share in start()",
        ) from error


def _check_handle(role_class: type[Role[Any, Any]], complain: Complain) -> str:
    """Check how `handle` is called; tell the name of its first parameter."""
    handle: Callable[..., Any] = role_class.handle
    if not inspect.iscoroutinefunction(handle):
        what = "an async generator" if inspect.isasyncgenfunction(handle) else "not async"
        got = f"expected handle to be an async function, it is {what}"
        raise complain(got, member="handle", hint=_SIGNATURE)
    signature = inspect.signature(handle)
    try:
        bound = signature.bind("self", "job", "ctx")
    except TypeError as error:
        got = f"expected handle to take (self, job, ctx), got: {signature}"
        raise complain(got, member="handle", hint=_SIGNATURE) from error
    return next((name for name, value in bound.arguments.items() if value == "job"), "")


def _usable_type(role_class: type[Role[Any, Any]], name: str, complain: Complain) -> Any:
    """The type behind one annotation of `handle`."""
    handle: Any = role_class.handle
    what = "the result" if name == "return" else f"the job ({name})"
    if name not in handle.__annotations__:
        if name == "return":
            return Any  # the result then only has to be something that can become JSON
        got = f"expected handle to say what {what} is, found no annotation"
        raise complain(got, member="handle", hint=_SIGNATURE)
    try:
        hint = _evaluate(handle, name)
        if isinstance(hint, TypeVar):
            raise TypeError(f"{hint} stands for any type")
        TypeAdapter(hint)
    except Exception as error:  # whatever an annotation's code or pydantic's builders raise
        words = " ".join(str(error).split())
        raise complain(
            f"expected handle's annotation of {what} to be a type that pydantic can validate, "
            f"got: {handle.__annotations__[name]} ({type(error).__name__}: {words[:200]})",
            member="handle",
            hint="str, a pydantic model, a dataclass, list[...], ...",
        ) from error
    return hint


def _evaluate(handle: Any, name: str) -> Any:
    # One annotation alone: those of the others may exist for type checkers only.
    def lone() -> None: ...

    lone.__annotations__ = {name: handle.__annotations__[name]}
    return get_type_hints(lone, globalns=handle.__globals__, include_extras=True)[name]


def _is_whole(value: object, *, least: int, most: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_part(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_name(value: object) -> bool:
    return isinstance(value, str) and (not value or ROLE_NAME.fullmatch(value) is not None)


# What a class attribute has to be, and whether a value is that.
_ATTRIBUTES: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "name": (NAME_EXPECTED, _is_name),
    "description": ("a text", lambda value: isinstance(value, str)),
    "priority": (
        "a whole number from 0 (most urgent) to 99",
        lambda value: _is_whole(value, least=0, most=99),
    ),
    "share": ("a number from 0 to 1", _is_part),
    "concurrency": (
        "a whole number from 1 up",
        lambda value: _is_whole(value, least=1, most=math.inf),
    ),
    "deferred": ("true or false", lambda value: isinstance(value, bool)),
}
