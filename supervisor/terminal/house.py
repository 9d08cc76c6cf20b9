"""The way to a supervisor that runs: HTTP on one port. The only file here that knows httpx."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import httpx

from supervisor.config.settings import CHAT, Settings
from supervisor.errors import NotRunning, RequestError
from supervisor.terminal.failure import address_of, checked, no_answer, refused, silence
from supervisor.upstream.document import read_exact, read_json
from supervisor.upstream.sse import EventSplitter

_PATIENCE = 15.0
"""Seconds without an answer; a long poll adds its own time."""
_CONNECT = 5.0
_END = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer on its way.

    Attributes:
        headers: The response's headers, lower-case names.
        documents: Its events, as they come. Ends when the answer is whole, and raises a
            `SupervisorError` when it is not.
    """

    headers: Mapping[str, str]
    documents: AsyncIterator[dict[str, Any]]


class House:
    """One supervisor.

    Args:
        base_url: Where it listens, such as `http://127.0.0.1:8420`; never `https`.
        token: The operator's token; empty where none is needed.
        transport: Something else than the network.
    """

    def __init__(
        self, base_url: str, *, token: str = "", transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.address = base_url
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(_PATIENCE, connect=_CONNECT),
            transport=transport,
            # It speaks plain HTTP: certificates would be 50 ms of reading files for nothing.
            verify=False,
            # A proxy of the environment must not come between this machine and itself.
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"<House {self.address}>"

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def get(self, path: str, *, patience: float = 0.0) -> dict[str, Any]:
        """Fetch a document.

        Args:
            path: With its query.
            patience: Seconds that the answer may take longer than usual.

        Raises:
            NotRunning: No supervisor answers.
            SupervisorError: It refuses; the class says why.
        """
        return await self._exchange("GET", path, body=None, patience=patience)

    async def post(self, path: str, document: object = None) -> dict[str, Any]:
        """Send a document.

        Args:
            path: Where to.
            document: A JSON value; None for nothing.

        Raises:
            NotRunning: No supervisor answers.
            SupervisorError: It refuses; the class says why.
        """
        return await self._exchange("POST", path, body=document, patience=30.0)

    @asynccontextmanager
    async def stream(
        self, path: str, document: object, *, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Streamed]:
        """Ask for an answer as server-sent events; entered when it begins, however long that takes.

        Leaving the block closes the connection, which frees the place in the queue.

        Args:
            path: Where to.
            document: A JSON value.
            headers: More request headers.

        Raises:
            NotRunning: No supervisor answers.
            SupervisorError: It refuses; the class says why.
        """
        request = self._client.build_request(
            "POST",
            path,
            json=document,
            headers=headers,
            timeout=httpx.Timeout(None, connect=_CONNECT),
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            raise no_answer(self.address, error) from error
        try:
            if not response.is_success:
                await self._refuse(response)
            async with aclosing(self._documents(response)) as documents:
                yield Streamed(dict(response.headers), documents)
        finally:
            await response.aclose()

    async def _exchange(
        self, method: str, path: str, *, body: object, patience: float
    ) -> dict[str, Any]:
        timeout = httpx.Timeout(_PATIENCE + patience, connect=_CONNECT)
        try:
            response = await self._client.request(
                method, path, json=body if body is not None else None, timeout=timeout
            )
        except httpx.ReadTimeout as error:
            raise silence(self.address, _PATIENCE + patience) from error
        except httpx.TransportError as error:
            raise no_answer(self.address, error) from error
        return checked(self.address, response.status_code, _json(response.content))

    async def _refuse(self, response: httpx.Response) -> None:
        try:
            body = await response.aread()
        except httpx.TransportError as error:
            raise no_answer(self.address, error) from error
        checked(self.address, response.status_code, _json(body))
        # What is no error and no stream either was not sent by a supervisor.
        checked(self.address, response.status_code, None)

    async def _documents(self, response: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
        finished = False
        async with aclosing(self._events(response)) as events:
            async for data in events:
                if data == _END:
                    return
                document = _json(data)
                if not isinstance(document, dict):
                    continue
                event = cast("dict[str, Any]", document)
                if error := refused(event):
                    raise error
                finished = finished or _is_finished(event)
                yield event
        if not finished:
            raise RequestError("the answer ended before it was whole")

    async def _events(self, response: httpx.Response) -> AsyncGenerator[bytes]:
        """The data of each event. httpx's own lines end at characters that JSON may contain."""
        splitter = EventSplitter()
        try:
            async for chunk in response.aiter_bytes():
                for event in splitter.feed(chunk):
                    if event.data:
                        yield event.data
        except httpx.TransportError as error:
            raise RequestError(
                f"the supervisor went away in the middle of the answer: {_reason(error)}"
            ) from error
        except ValueError as error:
            raise NotRunning(f"{self.address} answers with something else: {error}") from error


def house_of(settings: Settings, *, port: int | None = None) -> House:
    """The way to the supervisor that the settings mean.

    Args:
        settings: Tell its address and the token.
        port: Where it listens indeed; None for where the settings say.
    """
    web = settings.web
    token = web.token.get_secret_value() if web.token else _own_token(settings)
    return House(address_of(web.host, web.port if port is None else port), token=token)


def _own_token(settings: Settings) -> str:
    """The token of the client `chat`, for a house where clients have tokens and nobody else."""
    client = settings.clients.get(CHAT.name)
    if client is None or client.token_env is None:
        return ""
    return settings.client_tokens()[CHAT.name].get_secret_value()


def _json(raw: bytes) -> Any:
    # One keeps all digits of long integers, the other takes half a surrogate pair.
    for read in (read_exact, read_json):
        with suppress(ValueError):
            return read(raw)
    return None


def _is_finished(document: Mapping[str, Any]) -> bool:
    choices: list[Any] | None = document.get("choices")
    return isinstance(choices, list) and any(
        isinstance(choice, dict) and cast("dict[str, Any]", choice).get("finish_reason")
        for choice in choices
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
