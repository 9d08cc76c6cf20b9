"""All roles of a directory at one moment: those that can be used, and what is wrong with the rest.

One broken plugin never stops the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import structlog

from supervisor.errors import PluginInvalid
from supervisor.loading.discovery import Candidate, digest, discover
from supervisor.loading.plugin import LoadedRole, load, unload

_log: structlog.stdlib.BoundLogger = structlog.get_logger("supervisor.loading")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a directory holds.

    Attributes:
        roles: Usable roles by name, in the order of their names.
        broken: What cannot be used, and why.
        present: Files and folders that are there, usable or not. A role of an earlier inventory
            whose `plugin` is missing here was removed; else it is only broken for now.
        digests: What each plugin looked like when it was read; for `watch`.
    """

    roles: Mapping[str, LoadedRole]
    broken: tuple[PluginInvalid, ...]
    present: frozenset[str]
    digests: Mapping[str, str]


def load_all(directory: Path, *, previous: Inventory | None = None) -> Inventory:
    """Load every role of a directory; reads files and runs foreign code, so in a worker thread.

    Args:
        directory: The roles directory.
        previous: An earlier inventory of it: roles that have not changed since are taken over, the
            very same objects, so that `is not` tells what changed. Nothing of it is unloaded.

    Raises:
        ConfigError: The directory cannot be read.
    """
    found = discover(directory)
    kept = {role.plugin: role for role in previous.roles.values()} if previous else {}
    roles: dict[str, LoadedRole] = {}
    broken = list(found.broken)
    digests: dict[str, str] = {}
    # Those that are in use come first: a newcomer that takes their name is the one refused.
    for candidate in sorted(found.candidates, key=lambda one: one.name not in kept):
        digests[candidate.name] = digest_or_trouble(candidate)
        old = kept.get(candidate.name)
        try:
            if old is not None and old.digest == digests[candidate.name]:
                role = old
            else:
                role = _load_new(candidate, roles)
            roles[role.name] = role
        except PluginInvalid as error:
            broken.append(error)
    _tell(roles, broken, previous=previous)
    by_name = {name: roles[name] for name in sorted(roles)}
    return Inventory(
        MappingProxyType(by_name), tuple(broken), found.present, MappingProxyType(digests)
    )


def digest_or_trouble(candidate: Candidate) -> str:
    """Sum up a candidate; one that cannot be read is summed up by the reason.

    Args:
        candidate: What to sum up.
    """
    try:
        return digest(candidate)
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _load_new(candidate: Candidate, roles: Mapping[str, LoadedRole]) -> LoadedRole:
    role = load(candidate)
    if (twin := roles.get(role.name)) is None:
        return role
    unload(role)
    raise PluginInvalid(
        f'the name "{role.name}" is taken by {twin.path.name}',
        file=candidate.shown(),
        hint="change the class attribute `name` of one of them",
    )


def _tell(
    roles: Mapping[str, LoadedRole], broken: list[PluginInvalid], *, previous: Inventory | None
) -> None:
    old_roles = previous.roles.values() if previous else ()
    old_words = {str(error) for error in previous.broken} if previous else set[str]()
    for role in roles.values():
        if role not in old_roles:
            _log.info("loading.role_loaded", role=role.name, digest=role.digest[:12])
    for error in broken:
        if str(error) not in old_words:
            _log.warning(
                "loading.plugin_invalid", file=error.file, line=error.line, error=str(error)
            )
