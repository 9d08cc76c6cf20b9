"""What the exit code says. Pure; scripts rely on these numbers."""

from __future__ import annotations

from supervisor.errors import (
    ConfigError,
    InvalidJobInput,
    InvalidRequest,
    NotRunning,
    SupervisorError,
    UnknownRole,
)

OK = 0
FAILURE = 1
USAGE = 2
"""The command line or the configuration is wrong, whoever finds out: the supervisor, too."""
NOT_RUNNING = 3
UNKNOWN_ROLE = 4
INTERRUPTED = 130
BROKEN_PIPE = 141

_WRONG = (ConfigError, InvalidRequest, InvalidJobInput)


def exit_code(error: SupervisorError) -> int:
    """The exit code that tells an error."""
    if isinstance(error, _WRONG):
        return USAGE
    if isinstance(error, NotRunning):
        return NOT_RUNNING
    return UNKNOWN_ROLE if isinstance(error, UnknownRole) else FAILURE
