"""`doctor`: is this installation sound?"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import supervisor
from supervisor.cli import checks, store_checks
from supervisor.cli import machine_checks as machine
from supervisor.cli.check import Check, Look, look_at_all
from supervisor.cli.exits import FAILURE, OK
from supervisor.cli.flag import AsJson, Flag
from supervisor.cli.output import print_json
from supervisor.cli.place import HERE, Place
from supervisor.clock import SystemClock
from supervisor.config.key import NAMES
from supervisor.config.load import CONFIG_FILE
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.private import forget_variables
from supervisor.terminal.text import Color, Painter, painter_for


def doctor(
    *,
    offline: Flag = False,
    as_json: AsJson = False,
    place: Place = HERE,
) -> int:
    """Check this installation, its settings, its store and this machine; changes nothing.

    Args:
        offline: Do not ask the API whether it accepts the key.
        as_json: Print one JSON document.
        place: Which configuration.
    """
    # A plugin that prints when it is imported must not spoil the document on stdout.
    with contextlib.redirect_stdout(sys.stderr):
        found = _all(place, offline=offline)
    ok = all(check.ok for check in found)
    if as_json:
        print_json({"ok": ok, "checks": [asdict(check) for check in found]})
    else:
        print("\n".join(_line(check, painter_for(sys.stdout)) for check in found))
    return OK if ok else FAILURE


def _all(place: Place, *, offline: bool) -> list[Check]:
    here = [
        checks.python_version(),
        checks.package(Path(supervisor.__file__ or "").parent),
        checks.clock(SystemClock()),
    ]
    try:
        settings = place.settings()
    except ConfigError as error:
        return [*here, checks.configuration(error)]
    # The roles' own code runs in here, and is not to find the key.
    forget_variables(NAMES)
    here += [checks.configuration(settings), checks.key_present(settings)]
    looks = _looks(settings, (place.config or Path(CONFIG_FILE)).with_name(".env"))
    if settings.has_key and not offline:
        asks = Look("key accepted", partial(_accepted, settings), "is the network there?")
        looks = [asks, *looks]
    return [*here, *look_at_all(looks)]


def _looks(settings: Settings, env_file: Path) -> list[Look]:
    """What takes its time: it goes through files, sockets and other programs."""
    store, owner = partial(store_checks.store, settings), partial(store_checks.owner, settings)
    disk = partial(store_checks.disk, settings)
    git, sandbox = partial(machine.git, settings), partial(machine.sandbox, settings)
    return [
        Look("roles", partial(checks.roles, settings), "a role's file does not end being imported"),
        Look("store", store, "is the server of store.url there?"),
        Look("owner", owner, "see store"),
        Look("port", partial(checks.port, settings), "something listens there and says nothing"),
        Look("git", git),
        Look("sandbox", sandbox),
        Look("disk", disk),
        Look(".env", partial(machine.env_file, env_file)),
    ]


def _accepted(settings: Settings) -> Check:
    # An event loop for the one check that goes over the network.
    import anyio  # noqa: PLC0415

    return anyio.run(checks.key_accepted, settings)


def _line(check: Check, painter: Painter) -> str:
    mark = painter.paint("ok  ", Color.GOOD) if check.ok else painter.paint("FAIL", Color.BAD)
    hint = f"\n     → {check.hint}" if check.hint else ""
    return f"{mark} {check.name}: {check.detail}{hint}"
