"""What `doctor` looks at in this installation and its settings; it only reads, and shows no key."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from supervisor.cli.check import Check, fine, wrong
from supervisor.cli.connection import Connection
from supervisor.clock import Clock
from supervisor.config.consistency import is_loopback
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError, NotRunning, SupervisorError

_OLDEST = (3, 11)
_PLAUSIBLE_SINCE = 1_767_225_600.0
"""2026-01-01; this project is younger than any clock that shows less."""
_SHORTEST_KEY = 20
_ANSWER = 5.0
"""Seconds without a word from the API."""


def python_version() -> Check:
    """Whether this Python is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] >= _OLDEST
    return Check("python", ok, found, "" if ok else "Python 3.11 or later is needed")


def package(folder: Path) -> Check:
    """Whether the imported `supervisor` is this project and not mixed up with Supervisord.

    Args:
        folder: Where the imported package lies.
    """
    if (folder / "supervisord.py").exists():
        hint = "uninstall the distribution `supervisor` (Supervisord): it has the same import name"
        return wrong("package", f"{folder} holds Supervisord as well", hint=hint)
    ok = (folder / "messages.py").exists()
    hint = "" if ok else "install grok-supervisor, or run from its folder"
    return Check("package", ok, str(folder), hint)


def configuration(settings: Settings | ConfigError) -> Check:
    """Whether the settings could be loaded.

    Args:
        settings: The settings, or why there are none.
    """
    if isinstance(settings, ConfigError):
        return wrong("config", settings.message, hint=settings.hint or "mend what is named")
    limits = ", ".join(map(str, settings.quota.in_force)) or "no limits"
    return fine("config", f"{settings.upstream.base_url}, {limits}")


def key_present(settings: Settings) -> Check:
    """Whether there is a key that could be one.

    Args:
        settings: Hold it.
    """
    if not settings.has_key:
        return wrong(
            "key",
            "there is none",
            hint="set GROK_API_KEY or XAI_API_KEY; without one, `run --simulate` works",
        )
    try:
        found = settings.key_source.read()
    except ConfigError as error:
        hint = error.hint or "mend what is named; docs/keys.md says where a key can be"
        return wrong("key", error.message, hint=hint)
    secret = found.secret.get_secret_value()
    if ".x.ai" in settings.upstream.base_url and not secret.startswith("xai-"):
        return wrong("key", "it does not start with xai-", hint="copy it from console.x.ai again")
    if len(secret) < _SHORTEST_KEY:
        return wrong("key", "it is too short to be one", hint="copy it again, whole")
    return fine("key", f"{found.origin}: it looks like one", found.warning)


async def key_accepted(settings: Settings) -> Check:
    """Whether the API takes the key; costs no tokens.

    Args:
        settings: Hold the key and the API's address.
    """
    # httpx and aiohttp: only this check needs them.
    from supervisor.upstream.client import Upstream  # noqa: PLC0415
    from supervisor.upstream.key import Key  # noqa: PLC0415

    try:
        key = Key(settings.require_key().get_secret_value())
    except ConfigError as error:
        return wrong("key accepted", "there is no key to ask with", hint=error.hint)
    upstream = Upstream(settings.upstream.base_url, key, timeout=_ANSWER)
    path = "/api-key" if ".x.ai" in settings.upstream.base_url else "/models"
    try:
        outcome = await upstream.get(path)
    finally:
        await upstream.aclose()
    if outcome.failure is None:
        return fine("key accepted", f"{settings.upstream.base_url}{path} answers")
    hint = outcome.failure.hint or "try again, or check upstream.base_url"
    return wrong("key accepted", outcome.failure.text, hint=hint)


def roles(settings: Settings) -> Check:
    """Whether every file in the roles directory is a usable role.

    Args:
        settings: Name the directory.
    """
    # It runs the plugins' own code, with all that they import.
    from supervisor.loading.inventory import load_all  # noqa: PLC0415
    from supervisor.logs import configure  # noqa: PLC0415

    # What is wrong with them is told by this check itself.
    configure("error", "auto", redact=str)
    try:
        inventory = load_all(settings.roles.directory)
    except SupervisorError as error:
        return wrong("roles", error.message, hint=error.hint or "create it, or set roles.directory")
    if inventory.broken:
        detail = "; ".join(error.message for error in inventory.broken)
        return wrong("roles", detail, hint=inventory.broken[0].hint or "mend what is named")
    names = ", ".join(inventory.roles) or "none yet"
    return fine("roles", f"{settings.roles.directory}: {names}")


def port(settings: Settings) -> Check:
    """Whether the port is free, or already ours.

    Args:
        settings: Name host and port.
    """
    connection = Connection(settings)
    try:
        version = connection.get("/health").get("version")
        return fine("port", f"a supervisor ({version}) answers at {connection.address}")
    except NotRunning as error:
        if _is_free(settings.web.host, settings.web.port):
            return _free(settings, connection.address)
        return wrong("port", error.message, hint="choose another web.port")
    except SupervisorError as error:
        return wrong("port", error.message, hint=error.hint)


def clock(clock: Clock) -> Check:
    """Whether the wall clock can be right; the quota is read back by it after a restart.

    Args:
        clock: The machine's.
    """
    ok = clock.wall() >= _PLAUSIBLE_SINCE
    detail = "plausible" if ok else f"it shows {clock.wall():.0f} seconds since 1970"
    return Check("clock", ok, detail, "" if ok else "set the machine's clock")


def _free(settings: Settings, address: str) -> Check:
    if is_loopback(settings.web.host):
        return fine("port", f"{address} is free; only this machine can reach it")
    token = settings.web.token.get_secret_value() if settings.web.token else ""
    hint = "" if len(token) >= _SHORTEST_KEY else "its token is short: take 20 characters or more"
    return fine("port", f"{address} is free; {settings.web.host}: others can reach it", hint)


def _is_free(host: str, number: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError:
            return False
    return True
