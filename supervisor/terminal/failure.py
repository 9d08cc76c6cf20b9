"""What a supervisor's no, or its silence, is in our own tree of errors. Pure.

The commands and the terminal speak to it with different HTTP clients and must say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from supervisor.errors import (
    ConfigError,
    InvalidJobInput,
    InvalidRequest,
    NotRunning,
    SupervisorError,
    UnknownJob,
    UnknownRole,
)

_BY_CODE: dict[str, type[SupervisorError]] = {
    "unknown_role": UnknownRole,
    "unknown_job": UnknownJob,
    "invalid_token": ConfigError,
    "invalid_request": InvalidRequest,
    "invalid_job_input": InvalidJobInput,
    "body_too_large": InvalidRequest,
}
_HINTS = {"invalid_token": "set SUPERVISOR_TOKEN to the token that the supervisor was started with"}
# What to call where the supervisor listens everywhere.
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def reachable(host: str) -> str:
    """The host to call for one that is listened on."""
    return _ANYWHERE.get(host, host)


def address_of(host: str, port: int) -> str:
    """Where a supervisor is expected, such as `http://127.0.0.1:8420`.

    Args:
        host: What it listens on.
        port: Its TCP port.
    """
    name = reachable(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def no_answer(address: str, error: Exception) -> NotRunning:
    """Nobody listens, or the connection broke before an answer."""
    text = error.strerror if isinstance(error, OSError) else None
    reason = (text or str(error) or type(error).__name__).lower().rstrip(".")
    return NotRunning(
        f"no supervisor answers at {address}: {reason}",
        hint="start one with `python -m supervisor run`, or say where: --set web.port=…",
    )


def silence(address: str, seconds: float) -> NotRunning:
    """Somebody listens and says nothing.

    Args:
        address: Who.
        seconds: For how long.
    """
    return NotRunning(
        f"{address} did not answer within {seconds:g} s",
        hint="its log may tell what holds it up",
    )


def checked(address: str, status: int, value: object) -> dict[str, Any]:
    """The document that a supervisor answered with.

    Args:
        address: Who answered.
        status: The HTTP status.
        value: The body as JSON; None where it is none.

    Raises:
        NotRunning: It is no supervisor.
        SupervisorError: It refuses; the class says why.
    """
    if not isinstance(value, dict):
        raise NotRunning(
            f"something else than a supervisor answers at {address}: HTTP {status}",
            hint="is web.port right?",
        )
    document = cast("dict[str, Any]", value)
    if status >= 400:
        raise refused(document) or SupervisorError(f"{address} answered {status}: {document}")
    return document


def refused(document: Mapping[str, Any]) -> SupervisorError | None:
    """The error that a document tells; None when it tells none."""
    told: Any = document.get("error")
    if isinstance(told, str) and told:
        return SupervisorError(told)
    if not isinstance(told, dict):
        return None
    error = cast("dict[str, Any]", told)
    code = str(error.get("code"))
    kind = _BY_CODE.get(code, SupervisorError)
    return kind(str(error.get("message")), hint=_HINTS.get(code, ""))
