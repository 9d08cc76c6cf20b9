"""Talks to the supervisor that runs: JSON over HTTP, with nothing but the standard library.

httpx would take three times as long to import as all of `status` takes to run.
"""

from __future__ import annotations

import http.client
import json
from typing import Any

from supervisor.config.settings import Settings
from supervisor.terminal.failure import address_of, checked, no_answer, reachable, silence

_TIMEOUT = 15.0
"""Seconds without an answer; a long poll adds its own time."""


class Connection:
    """The way to one supervisor.

    Args:
        settings: Tell its address and the token.
    """

    def __init__(self, settings: Settings) -> None:
        web = settings.web
        self._host = reachable(web.host)
        self._port = web.port
        self._headers = {"accept": "application/json"}
        if web.token is not None:
            self._headers["authorization"] = f"Bearer {web.token.get_secret_value()}"

    def __repr__(self) -> str:
        return f"<Connection {self.address}>"

    @property
    def address(self) -> str:
        """Where it is expected, such as `http://127.0.0.1:8420`."""
        return address_of(self._host, self._port)

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
            raise silence(self.address, _TIMEOUT + patience) from error
        except (OSError, http.client.HTTPException) as error:
            raise no_answer(self.address, error) from error
        finally:
            connection.close()
        try:
            value: Any = json.loads(raw)
        except ValueError:
            value = None
        return checked(self.address, status, value)
