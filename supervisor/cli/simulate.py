"""`simulate`: the Grok API on this machine, to try things without a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from supervisor.cli.place import HERE, Place
from supervisor.errors import ConfigError

_DEFAULT_PORT = 8421


def simulate(  # noqa: PLR0913 - every one is an option of the command line
    *,
    host: str = "127.0.0.1",
    port: int = _DEFAULT_PORT,
    limit: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    kind: str | None = None,
    burst: int | None = None,
    latency: str | None = None,
    script: Path | None = None,
    seed: int | None = None,
    option: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = (),
    place: Place = HERE,
) -> None:
    """Run a simulated Grok API until Ctrl-C; then print the judge's report as JSON.

    Args:
        host: Address to listen on.
        port: TCP port to listen on; 0 for any that is free.
        limit: A limit, such as "100 requests / minute"; can be given again.
        kind: How limits are counted: sliding_log, fixed_window, sliding_counter, token_bucket.
        burst: Size of the bucket of a token_bucket.
        latency: Time to an answer, such as 300ms.
        script: File with scripted answers.
        seed: Chance repeats itself for the same seed.
        option: Any other setting of the simulator as name=value, such as faults.capacity=0.1.
        place: Which configuration; its [simulator] table is where this starts from.
    """
    settings = place.settings()
    table: dict[str, Any] = dict(settings.simulator)
    given: dict[str, Any] = {
        "limits": list(limit) or None,
        "kind": kind,
        "burst": burst,
        "latency": latency,
        "answers": None if script is None else str(script),
        "seed": seed,
    }
    table.update({name: value for name, value in given.items() if value is not None})
    for text in option:
        _assign(table, text)
    # The server behind it takes its time to import, which a wrong option need not wait for.
    import anyio  # noqa: PLC0415

    from supervisor.logs import configure  # noqa: PLC0415
    from supervisor.simulator.server import run  # noqa: PLC0415
    from supervisor.simulator.settings import Settings  # noqa: PLC0415

    simulated = Settings.read(table)
    # Events go to stderr: stdout is for the report.
    configure(settings.log.level, settings.log.format, redact=str)
    anyio.run(run, simulated, host, port)


def _assign(table: dict[str, Any], text: str) -> None:
    """Put `faults.capacity=0.1` where it belongs."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigError(f'expected --option name=value, got: "{text}"')
    *path, last = name.split(".")
    for step in path:
        inner: Any = table.get(step)
        copy: dict[str, Any] = {**inner} if isinstance(inner, dict) else {}
        table[step] = table = copy
    try:
        table[last] = json.loads(value)
    except ValueError:
        table[last] = value
