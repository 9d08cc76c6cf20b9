"""Settings that are right one by one and wrong together. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import combinations

from supervisor.budget import ALL
from supervisor.config.assignment import Place
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.limits import Limit
from supervisor.messages import TrafficClass

Contradiction = tuple[Place, str]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
# Shares are decimal fractions: ten times 0.1 is meant to be 1.
_ROUNDING = 1e-9


def contradictions(settings: Settings) -> Iterator[Contradiction]:
    """What contradicts itself: the place to mend and what to say about it."""
    yield from _names(settings)
    yield from _shares(settings)
    yield from _limits(("quota", "limits"), settings.quota.limits)
    for section, tables in (("roles", settings.roles.named), ("clients", settings.clients)):
        for name, table in tables.items():
            yield from _limits((section, name, "ceiling"), table.ceiling or ())
    yield from _prices(settings)
    yield from _tokens(settings)
    yield from _schedules(settings)
    if not is_loopback(settings.web.host) and settings.web.token is None:
        yield (
            ("web", "host"),
            "expected SUPERVISOR_TOKEN to be set in the environment, since web.host "
            f'"{settings.web.host}" can be reached from outside; '
            'set it, or listen on "127.0.0.1"',
        )


def check_shares(classes: Iterable[TrafficClass]) -> None:
    """Make sure that what is guaranteed can be given, once the roles' own classes are known.

    Raises:
        ConfigError: The shares sum to more than 1.
    """
    problem = _too_much({each.name: each.share for each in classes})
    if problem:
        raise ConfigError(problem)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _names(settings: Settings) -> Iterator[Contradiction]:
    for section, names in (("roles", settings.roles.named), ("clients", settings.clients)):
        for name in names:
            if not _NAME.fullmatch(name):
                yield (
                    (section, name),
                    f"expected a name in [{section}] to be a lower-case letter and then letters, "
                    f'digits, "_" or "-", got: "{name}"',
                )
            if name == ALL:
                # Its budget could not be told from that of everybody.
                yield (
                    (section, name),
                    f'expected a name in [{section}] but "{ALL}", which means everybody together: '
                    "rename it, or set budget.total",
                )
    for name in settings.clients:
        if name in settings.roles.named:
            yield (
                ("clients", name),
                f'expected roles and clients to have different names, got: "{name}" for both; '
                "rename one",
            )


def _shares(settings: Settings) -> Iterator[Contradiction]:
    shares = {
        f"{section}.{name}.share": table.share
        for section, tables in (("roles", settings.roles.named), ("clients", settings.clients))
        for name, table in tables.items()
        if table.share
    }
    problem = _too_much(shares)
    if problem:
        yield tuple(next(reversed(shares)).split(".")), problem


def _too_much(shares: Mapping[str, float]) -> str:
    total = sum(shares.values())
    if total <= 1.0 + _ROUNDING:
        return ""
    parts = ", ".join(f"{name} {share:g}" for name, share in shares.items() if share)
    return (
        f"expected the shares of all roles and clients to sum to at most 1, got: {total:g} "
        f"({parts}); lower some"
    )


def _limits(place: Place, limits: Sequence[Limit]) -> Iterator[Contradiction]:
    key = ".".join(place)
    for one, other in combinations(limits, 2):
        if one.unit != other.unit:
            continue
        if one.period == other.period:
            yield (
                place,
                f'expected {key} to have one limit for each unit and period, got: "{one}" '
                f'and "{other}"; drop one',
            )
            continue
        short, long = sorted((one, other), key=lambda limit: limit.period)
        if long.amount < short.amount:
            yield (
                place,
                f'expected every limit of {key} to be within reach, got: "{short}", which can '
                f'never be reached under "{long}"; drop the first or raise the second',
            )


def _schedules(settings: Settings) -> Iterator[Contradiction]:
    names = [each.name for each in settings.schedule if each.name is not None]
    for name, times in Counter(names).items():
        if times > 1:
            yield (
                ("schedule",),
                f'expected every [[schedule]] to have a name of its own, got: "{name}" '
                f"{times} times; rename all but one",
            )


def _prices(settings: Settings) -> Iterator[Contradiction]:
    """A price that is not said must not be taken for nothing."""
    for model, price in settings.prices.items():
        missing = [key for key in ("input", "output") if getattr(price, key) is None]
        if missing:
            yield (
                ("prices", model),
                f'expected prices."{model}" to say input and output, '
                f"got none for: {', '.join(missing)}",
            )


def _tokens(settings: Settings) -> Iterator[Contradiction]:
    owners: dict[str, str] = {}
    for name, client in settings.clients.items():
        if client.token_env is None:
            continue
        owner = owners.setdefault(client.token_env, name)
        if owner != name:
            yield (
                ("clients", name, "token_env"),
                f"expected clients.{name}.token_env to name a variable of its own, "
                f'got: "{client.token_env}", which clients.{owner} has too',
            )
