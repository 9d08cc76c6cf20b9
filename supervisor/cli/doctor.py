"""`doctor`: is this installation sound?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import supervisor
from supervisor.cli import checks
from supervisor.cli.checks import Check
from supervisor.cli.exits import FAILURE, OK
from supervisor.cli.flag import AsJson, Flag
from supervisor.cli.output import print_json
from supervisor.cli.place import HERE, Place
from supervisor.clock import SystemClock
from supervisor.config.settings import Settings
from supervisor.errors import ConfigError
from supervisor.terminal.text import Color, Painter, painter_for


def doctor(
    *,
    offline: Flag = False,
    as_json: AsJson = False,
    place: Place = HERE,
) -> int:
    """Check this installation: Python, package, configuration, key, roles, store, port, clock.

    Args:
        offline: Do not ask the API whether it accepts the key.
        as_json: Print one JSON document.
        place: Which configuration.
    """
    # A plugin that prints when it is imported must not spoil the document on stdout.
    with contextlib.redirect_stdout(sys.stderr):
        found = list(_all(place, offline=offline))
    ok = all(check.ok for check in found)
    if as_json:
        print_json({"ok": ok, "checks": [asdict(check) for check in found]})
    else:
        print("\n".join(_line(check, painter_for(sys.stdout)) for check in found))
    return OK if ok else FAILURE


def _all(place: Place, *, offline: bool) -> Iterator[Check]:
    yield checks.python_version()
    yield checks.package(Path(supervisor.__file__ or "").parent)
    yield checks.clock(SystemClock())
    try:
        settings = place.settings()
    except ConfigError as error:
        yield checks.configuration(error)
        return
    yield checks.configuration(settings)
    yield checks.key_present(settings)
    if settings.has_key and not offline:
        yield _accepted(settings)
    yield checks.roles(settings)
    yield checks.store(settings)
    yield checks.port(settings)


def _accepted(settings: Settings) -> Check:
    # An event loop for the one check that goes over the network.
    import anyio  # noqa: PLC0415

    return anyio.run(checks.key_accepted, settings)


def _line(check: Check, painter: Painter) -> str:
    mark = painter.paint("ok  ", Color.GOOD) if check.ok else painter.paint("FAIL", Color.BAD)
    hint = f"\n     → {check.hint}" if check.hint else ""
    return f"{mark} {check.name}: {check.detail}{hint}"
