"""Turns one candidate into a role class that is known to be usable, or into one clear complaint.

Everything is validated before anything is swapped: whoever reloads a role keeps the old one for as
long as this raises. It reads files and runs foreign code, so it belongs into a worker thread.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

from pydantic import TypeAdapter

from supervisor.errors import PluginInvalid
from supervisor.loading.contract import read_contract
from supervisor.loading.discovery import Candidate, digest, require_safe
from supervisor.loading.execution import execute, forget
from supervisor.loading.source import line_of
from supervisor.role import Role


@dataclass(frozen=True)
class LoadedRole:
    """A role class that passed every check.

    Attributes:
        name: The role's name: the class's own, else the file's or folder's.
        role_class: The class; it can be built without arguments.
        path: The file, or the folder.
        digest: Tells this version from others.
        input_type: What `handle` takes; pydantic's TypeAdapter can be built for it.
        output_type: What it returns; `Any` where it does not say.
        plugin: The file's or folder's name; what `watch` reports changes by.
        module: The module's private name in `sys.modules`.
    """

    name: str
    role_class: type[Role[Any, Any]]
    path: Path
    digest: str
    input_type: Any
    output_type: Any
    plugin: str
    module: str

    # Building one takes a millisecond and more, which would be spent for every job.
    @cached_property
    def takes(self) -> TypeAdapter[Any]:
        """Checks inputs."""
        return TypeAdapter(self.input_type)

    @cached_property
    def gives(self) -> TypeAdapter[Any]:
        """Makes JSON of results."""
        return TypeAdapter(self.output_type)


def load(candidate: Candidate) -> LoadedRole:
    """Execute a plugin and check the role it defines.

    Args:
        candidate: What `discover` found.

    Raises:
        PluginInvalid: It cannot be used; file, line, and what was expected.
    """
    try:
        require_safe(candidate)
        version = digest(candidate)
    except OSError as error:
        raise PluginInvalid(f"cannot be read: {error}", file=candidate.shown()) from error
    module = execute(candidate, version=version)
    try:
        return _read(candidate, module, version)
    except PluginInvalid:
        forget(module.__name__)
        raise
    except Exception as error:  # properties, metaclasses and reprs are foreign code as well
        forget(module.__name__)
        text = f"it cannot be examined: {type(error).__name__}: {error}"
        raise PluginInvalid(text, file=candidate.shown()) from error


def unload(role: LoadedRole) -> None:
    """Let go of a version of a role that nobody runs any more.

    Args:
        role: The version; its class must not be used afterwards.
    """
    forget(role.module)


def _read(candidate: Candidate, module: ModuleType, version: str) -> LoadedRole:
    role_class = _only_role(candidate, module)

    def complain(message: str, *, member: str = "", hint: str = "") -> PluginInvalid:
        file, line = _where(role_class, member)
        return PluginInvalid(message, file=candidate.shown(file), line=line, hint=hint)

    contract = read_contract(role_class, complain)
    return LoadedRole(
        name=role_class.name or candidate.name,
        role_class=role_class,
        path=candidate.path,
        digest=version,
        input_type=contract.input_type,
        output_type=contract.output_type,
        plugin=candidate.name,
        module=module.__name__,
    )


def _only_role(candidate: Candidate, module: ModuleType) -> type[Role[Any, Any]]:
    """The one role that is defined here: not imported, not private, not a base of others."""
    here = {value for value in vars(module).values() if _is_role(value, module)}
    roles = sorted(
        (role for role in here if not role.__name__.startswith("_")),
        key=lambda role: _where(role, "")[1],
    )
    # A lone abstract class is a role whose author forgot something; beside others it is a base.
    concrete = [role for role in roles if not inspect.isabstract(role)] or roles[:1]
    if len(concrete) == 1:
        return concrete[0]
    if not concrete:
        raise PluginInvalid(
            "expected one subclass of Role, found none",
            file=candidate.shown(),
            hint="class NAME(Role[InputType, OutputType]) with an async handle",
        )
    names = ", ".join(role.__name__ for role in concrete)
    file, line = _where(concrete[1], "")
    raise PluginInvalid(
        f"expected one subclass of Role, found {len(concrete)}: {names}",
        file=candidate.shown(file),
        line=line,
        hint="give each role its own file; a base class can begin with _",
    )


def _is_role(value: object, module: ModuleType) -> TypeGuard[type[Role[Any, Any]]]:
    if not (isinstance(value, type) and issubclass(value, Role)):
        return False
    return f"{value.__module__}.".startswith(f"{module.__name__}.")


def _where(role_class: type[Role[Any, Any]], member: str) -> tuple[Path, int]:
    """File and line of a member, where the class that defines it belongs to the plugin."""
    top = role_class.__module__.partition(".")[0]
    for owner in role_class.__mro__:
        if member in vars(owner) and owner.__module__.partition(".")[0] == top:
            return _file_and_line(owner, member)
    return _file_and_line(role_class, "")


def _file_and_line(owner: type, member: str) -> tuple[Path, int]:
    file = Path(str(sys.modules[owner.__module__].__file__))
    return file, line_of(file, owner.__name__, member)
