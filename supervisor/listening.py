"""Why an address cannot be listened on, in the same words for whoever listens. Pure."""

from __future__ import annotations

import os

from supervisor.errors import ConfigError


def cannot_listen(host: str, port: int, error: OSError, *, hint: str) -> ConfigError:
    """The error for an address that is taken, not ours, or none.

    Args:
        host: Name or address that was to be listened on.
        port: TCP port.
        error: What the system said.
        hint: What to do.
    """
    # The event loop repeats the address in what it says; the system's own words are enough.
    known = error.errno is not None and error.errno > 0
    reason = os.strerror(error.errno) if known and error.errno else error.strerror or str(error)
    return ConfigError(f"cannot listen on {host}:{port}: {reason.lower()}", hint=hint)
