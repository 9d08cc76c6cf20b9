"""`run`: the supervisor itself."""

from __future__ import annotations

import signal
import sys

from supervisor.cli.flag import Flag
from supervisor.cli.place import HERE, Place


def run(
    *,
    simulate: Flag = False,
    host: str | None = None,
    port: int | None = None,
    place: Place = HERE,
) -> int:
    """Run the supervisor until SIGTERM or Ctrl-C.

    Args:
        simulate: Use a simulated Grok API inside this process; no key is needed.
        host: Address to listen on, instead of web.host.
        port: TCP port to listen on, instead of web.port; 0 for any that is free.
        place: Which configuration.
    """
    if sys.platform != "win32":
        # It asks for a look at the key. Until somebody hears it, it waits and ends nothing.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    given = {"web.host": host, "web.port": port}
    settings = place.settings(
        *(f"{key}={value}" for key, value in given.items() if value is not None)
    )
    # Everything comes with it: a second of imports that a wrong option need not wait for.
    from supervisor.app import run as run_house  # noqa: PLC0415

    return run_house(settings, simulate=simulate)
