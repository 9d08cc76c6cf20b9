"""Which keys there are: for the documentation, and for "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic import BaseModel

from supervisor.config.schedule import ScheduleSettings
from supervisor.config.settings import (
    ClientSettings,
    PriceSettings,
    RoleSettings,
    RolesSettings,
    Settings,
)

_NAMED: Mapping[str, type[BaseModel]] = {
    "roles": RoleSettings,
    "clients": ClientSettings,
    "prices": PriceSettings,
}
_LISTED: Mapping[str, type[BaseModel]] = {"schedule": ScheduleSettings}
_SECRET_WORDS = ("key", "token", "secret", "password")


def known_keys() -> tuple[str, ...]:
    """All keys by their dotted name, with NAME for the name of a role, client or model.

    `schedule[].cron` is a key of every table of a list.
    """
    return tuple(_walk(Settings, ""))


def keys_in(place: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that a table may have, by the table's place."""
    if len(place) == 2 and place[0] in _NAMED:
        return tuple(_NAMED[place[0]].model_fields)
    model = _model(place[0]) if place else Settings
    return tuple(model.model_fields) if model else ()


def unknown_key(place: tuple[str, ...]) -> str:
    """What to say about a key that does not exist."""
    name = ".".join(place)
    if place[-1].rpartition("_")[2] in _SECRET_WORDS:
        return f"unknown key {name}: {_where_secrets_go(place)}"
    elsewhere = [key for key in known_keys() if key.rpartition(".")[2] == place[-1]]
    near = get_close_matches(place[-1], keys_in(place[:-1]), n=1)
    for guess in [*elsewhere, *near]:
        return f'unknown key {name}, did you mean "{guess}"?'
    return f"unknown key {name}, expected one of: {', '.join(keys_in(place[:-1]))}"


def is_misspelt(place: tuple[str, ...], value: object) -> bool:
    """Whether a plain value in `[roles]` was meant for a key of `[roles]` and not for a role."""
    if len(place) != 2 or place[0] != "roles" or isinstance(value, dict):
        return False
    known = RolesSettings.model_fields
    return place[1] not in known and bool(get_close_matches(place[1], known))


def _where_secrets_go(place: tuple[str, ...]) -> str:
    if place[0] == "clients":
        return 'put the token into an environment variable and its name here: token_env = "NAME"'
    return "secrets belong into the environment: GROK_API_KEY, SUPERVISOR_TOKEN"


def _model(section: str) -> type[BaseModel] | None:
    if section in _LISTED:
        return _LISTED[section]
    field = Settings.model_fields.get(section)
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _walk(model: type[BaseModel], prefix: str) -> Iterable[str]:
    for name in model.model_fields:
        inner = _model(name) if not prefix else None
        if inner:
            yield from _walk(inner, f"{name}[]." if name in _LISTED else f"{name}.")
        if name in _NAMED and not prefix:
            yield from _walk(_NAMED[name], f"{name}.NAME.")
        elif not inner:
            yield prefix + name
