"""Talks to the supervisor that runs: JSON over HTTP, with nothing but the standard library.

httpx would take three times as long to import as all of `status` takes to run.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, cast

from supervisor.config.settings import Settings
from supervisor.errors import ConfigError, NotRunning, SupervisorError, UnknownJob, UnknownRole

_TIMEOUT = 15.0
"""Seconds without an answer; a long poll adds its own time."""

_BY_CODE: dict[str, type[SupervisorError]] = {
    "unknown_role": UnknownRole,
    "unknown_job": UnknownJob,
    "invalid_token": ConfigError,
}
_HINTS = {"invalid_token": "set SUPERVISOR_TOKEN to the token that the supervisor was started with"}
# What to call where the supervisor listens everywhere.
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Connection:
    """The way to one supervisor.

    Args:
        settings: Tell its address and the token.
    """

    def __init__(self, settings: Settings) -> None:
        web = settings.web
        self._host = _ANYWHERE.get(web.host, web.host)
        self._port = web.port
        self._headers = {"accept": "application/json"}
        if web.token is not None:
            self._headers["authorization"] = f"Bearer {web.token.get_secret_value()}"

    def __repr__(self) -> str:
        return f"<Connection {self.address}>"

    @property
    def address(self) -> str:
        """Where it is expected, such as `http://127.0.0.1:8420`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def get(self, path: str, *, patience: float = 0.0) -> dict[str, Any]:
        """Fetch a document.

        Args:
            path: With its query.
            patience: Seconds that the answer may take longer than usual.

        Raises:
            NotRunning: No supervisor answers.
            SupervisorError: It refuses; the class says why.
        """
        return self._exchange("GET", path, body=None, patience=patience)

    def post(self, path: str, document: object = None) -> dict[str, Any]:
        """Send a document.

        Args:
            path: Where to.
            document: A JSON value; None for nothing.

        Raises:
            NotRunning: No supervisor answers.
            SupervisorError: It refuses; the class says why.
        """
        body = b"" if document is None else json.dumps(document).encode()
        return self._exchange("POST", path, body=body, patience=30.0)

    def _exchange(
        self, method: str, path: str, *, body: bytes | None, patience: float
    ) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT + patience)
        headers = dict(self._headers)
        if body:
            headers["content-type"] = "application/json"
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            status, raw = response.status, response.read()
        except TimeoutError as error:
            raise NotRunning(
                f"{self.address} did not answer within {_TIMEOUT + patience:g} s",
                hint="its log may tell what holds it up",
            ) from error
        except (OSError, http.client.HTTPException, socket.gaierror) as error:
            raise NotRunning(
                f"no supervisor answers at {self.address}: {_reason(error)}",
                hint="start one with `python -m supervisor run`, or say where: --set web.port=…",
            ) from error
        finally:
            connection.close()
        return self._read(status, raw)

    def _read(self, status: int, raw: bytes) -> dict[str, Any]:
        try:
            value: Any = json.loads(raw)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise NotRunning(
                f"something else than a supervisor answers at {self.address}: HTTP {status}",
                hint="is web.port right?",
            )
        document = cast("dict[str, Any]", value)
        if status >= 400:
            raise self._error(status, document)
        return document

    def _error(self, status: int, document: dict[str, Any]) -> SupervisorError:
        told: Any = document.get("error")
        if not isinstance(told, dict):
            return SupervisorError(f"{self.address} answered {status}: {document}")
        error = cast("dict[str, Any]", told)
        code = str(error.get("code"))
        kind = _BY_CODE.get(code, SupervisorError)
        return kind(str(error.get("message")), hint=_HINTS.get(code, ""))


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return (text or str(error) or type(error).__name__).lower()
