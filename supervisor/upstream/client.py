"""Sends one attempt to an OpenAI-compatible API and tells what became of it.

One attempt is one HTTP request: nothing here retries, and no transport below does, for each
attempt is counted before it is sent. All that knows httpx is in this package.

Requests go straight to the transport: the client's layers above it (cookies, redirects, auth,
hooks) have nothing to do here and would take a third of the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from supervisor.messages import Request
from supervisor.upstream.deferred import path_of
from supervisor.upstream.document import is_json, read_json, with_usage
from supervisor.upstream.failures import (
    Failure,
    FailureKind,
    brief,
    classify,
    classify_stream_error,
)
from supervisor.upstream.key import Key
from supervisor.upstream.names import resolver
from supervisor.upstream.outcome import Outcome
from supervisor.upstream.stream import NETWORK_ERRORS, EventStream, StreamedAttempt
from supervisor.upstream.usage import usage_of

LARGEST_ANSWER = 64 * 2**20
"""Bytes of a whole answer that are read at most; the longest known ones have a hundredth of it."""

LARGEST_REFUSAL = 2**20
"""Likewise of an error's, all of which is searched for the key."""

_PENDING = 202

_PASSED_ON = frozenset(
    {
        b"content-type",
        b"x-request-id",
        b"x-should-retry",
        b"x-ratelimit-limit-requests",
        b"x-ratelimit-remaining-requests",
        b"x-ratelimit-limit-tokens",
        b"x-ratelimit-remaining-tokens",
        b"retry-after",
        b"retry-after-ms",
    }
)


def pooled_transport() -> httpx.AsyncBaseTransport:
    """One connection pool over aiohttp, which keeps httpx's API at 1.5 to 3 times its speed.

    The pool has no bound of its own: how many attempts are in flight is decided by the quota, and
    a second queue below it would hide the wait.
    """

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=55.0, ttl_dns_cache=60, resolver=resolver()
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    return AiohttpTransport(client=session)


class Upstream:
    """The API as this process sees it.

    Args:
        base_url: For example `https://api.x.ai/v1`.
        key: The key.
        timeout: Seconds without a byte after which an attempt is given up.
        connect_timeout: Seconds to connect, the look-up of the name included.
        longest: Seconds after which an attempt is given up although bytes still come.
        transport: How requests travel; a pooled aiohttp transport when None.
    """

    def __init__(
        self,
        base_url: str,
        key: Key,
        *,
        timeout: float = 600.0,
        connect_timeout: float = 10.0,
        longest: float = 3600.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._key = key
        self._transport = pooled_transport() if transport is None else transport
        self._longest = longest
        # aiohttp counts silence from the request's last byte on; a server that takes none of a
        # large one is given up when it has had as long for that.
        self._head_within = min(longest, connect_timeout + 2 * timeout)
        self._urls: dict[str, httpx.URL] = {}
        # With aiohttp "connect" is for the socket alone: a name server that does not answer is
        # waited for under "pool". Nobody waits for the pool itself, which has no bound.
        patience = {"connect": connect_timeout, "pool": connect_timeout}
        self._extensions = {"timeout": {**patience, "read": timeout, "write": timeout}}

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self._base

    def redact(self, text: str) -> str:
        """A text without any key there was."""
        return self._key.redact(text)

    async def send(self, request: Request) -> Outcome:
        """Send one attempt and read the whole answer.

        Never raises for what the network or the API does; cancelling it closes the connection.
        """
        received = await self._receive(self._prepare(request))
        if isinstance(received, Failure):
            return Outcome(0, {}, b"", received, None)
        response, body = received
        if response.status_code >= 300:
            return self._refusal(response, body)
        return self._answer(response, body)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[StreamedAttempt]:
        """Send one attempt whose answer is streamed; leaving the block closes the connection.

        Raises:
            InvalidRequest: The body is no JSON object; nothing was sent.
        """
        request, keep_usage = with_usage(request)
        began = asyncio.get_running_loop().time()
        response = await self._head(request, began + self._head_within)
        if isinstance(response, Failure):
            yield StreamedAttempt(Outcome(0, {}, b"", response, None))
            return
        try:
            yield await self._streamed(response, keep_usage=keep_usage, until=began + self._longest)
        finally:
            await response.aclose()

    async def _receive(self, request: httpx.Request) -> tuple[httpx.Response, bytes] | Failure:
        """The response to a request with its whole body.

        A refusal that breaks off, or does not end, is one all the same, without its words.
        """
        response: httpx.Response | None = None
        try:
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout_at(began + self._head_within) as patience:
                response = await self._transport.handle_async_request(request)
                patience.reschedule(began + self._longest)
                try:
                    return response, await _whole(response)
                finally:
                    await response.aclose()
        except (*NETWORK_ERRORS, _TooLarge) as error:
            if response is not None and response.status_code >= 300:
                return response, b""
            if isinstance(error, _TooLarge):
                return Failure(FailureKind.MALFORMED, str(error))
            return self._network_failure(error)

    async def _head(self, request: Request, until: float) -> httpx.Response | Failure:
        """The response to a streamed request.

        The error stays in here: yielded from inside its handler it would become the context of
        whatever the reader raises, and aiohttp's hold the request's headers.
        """
        try:
            async with asyncio.timeout_at(until):
                return await self._transport.handle_async_request(self._prepare(request))
        except NETWORK_ERRORS as error:
            return self._network_failure(error)

    async def _streamed(
        self, response: httpx.Response, *, keep_usage: bool, until: float
    ) -> StreamedAttempt:
        if response.status_code >= 300:
            return StreamedAttempt(await self._refused_stream(response, until))
        if response.headers.get("content-type", "").startswith("text/html"):
            failure = Failure(FailureKind.MALFORMED, "expected a stream, got: an HTML page")
            return StreamedAttempt(Outcome(response.status_code, {}, b"", failure, None))
        events = EventStream(
            response.aiter_bytes(),
            redact=self._key.redact,
            clean=self._key.clean,
            explain=self._network_failure,
            keep_usage=keep_usage,
            until=until,
        )
        await events.begin()
        head = Outcome(response.status_code, self._passed_on(response), b"", None, None)
        return StreamedAttempt(head, events)

    async def _refused_stream(self, response: httpx.Response, until: float) -> Outcome:
        try:
            async with asyncio.timeout_at(until):
                return self._refusal(response, await _whole(response))
        except (*NETWORK_ERRORS, _TooLarge):
            return self._refusal(response, b"")

    async def get(self, path: str) -> Outcome:
        """Fetch a document that costs no tokens, such as `/models` or `/api-key`.

        Some servers give a bare list of their models: any JSON will do.
        """
        received = await self._receive(self._prepare_get(self._url(path)))
        if isinstance(received, Failure):
            return Outcome(0, {}, b"", received, None)
        response, body = received
        if response.status_code >= 300:
            return self._refusal(response, body)
        if not is_json(body):
            return self._useless(response, _not("JSON", response, body))
        return Outcome(
            response.status_code, self._passed_on(response), self._key.clean(body), None, None
        )

    async def fetch(self, name: str) -> Outcome:
        """Fetch a deferred answer, in one attempt.

        Args:
            name: What the API has promised it under.

        Returns:
            The answer, which the API does not give a second time; or, with status 202 and without
            a body, that there is none yet.
        """
        # Each path is used a few times and never again, so it is not kept.
        received = await self._receive(self._prepare_get(httpx.URL(self._base + path_of(name))))
        if isinstance(received, Failure):
            return Outcome(0, {}, b"", received, None)
        response, body = received
        if response.status_code >= 300:
            return self._refusal(response, body)
        if response.status_code == _PENDING:
            return Outcome(_PENDING, self._passed_on(response), b"", None, None)
        return self._answer(response, body)

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self._transport.aclose()

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(self._base + path)
        return url

    def _prepare(self, request: Request) -> httpx.Request:
        headers: dict[str, Any] = {
            "content-type": "application/json",
            "accept": "text/event-stream" if request.stream else "application/json",
            "user-agent": "grok-supervisor",
            # Bytes, since httpx takes texts in ASCII only and raises with the key at hand.
            **{
                name.lower(): value.encode("utf-8", "replace")
                for name, value in request.headers.items()
            },
            **self._key.authorization(),
        }
        return httpx.Request(
            "POST",
            self._url(request.endpoint),
            headers=headers,
            content=request.body,
            extensions=self._extensions,
        )

    def _prepare_get(self, url: httpx.URL) -> httpx.Request:
        headers = self._key.authorization()
        return httpx.Request("GET", url, headers=headers, extensions=self._extensions)

    def _answer(self, response: httpx.Response, body: bytes) -> Outcome:
        try:
            document = read_json(body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not document:
            return self._useless(response, _not("a JSON object", response, body))
        fields = cast("dict[str, Any]", document)
        if _is_error(fields):
            text = self._key.redact(body.decode("utf-8", "replace"))
            return self._useless(response, classify_stream_error(text))
        usage, body = usage_of(fields), self._key.clean(body)
        return Outcome(response.status_code, self._passed_on(response), body, None, usage)

    def _useless(self, response: httpx.Response, failure: Failure) -> Outcome:
        """A response of 2xx that is no answer."""
        return Outcome(response.status_code, self._passed_on(response), b"", failure, None)

    def _refusal(self, response: httpx.Response, body: bytes) -> Outcome:
        text = self._key.redact(body.decode("utf-8", "replace"))
        headers = self._passed_on(response)
        failure = classify(response.status_code, text, response.headers)
        return Outcome(response.status_code, headers, text.encode(), failure, None)

    def _network_failure(self, error: Exception) -> Failure:
        # A response that is no HTTP: its text would name a status that nobody sent.
        said = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
        if isinstance(error, TimeoutError) and not said:
            said = f"it may take {self._head_within:g} s to begin and {self._longest:g} s to end"
        text = brief(self._key.redact(said)) or type(error).__name__
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout | TimeoutError):
            return Failure(FailureKind.TIMEOUT, f"no answer in time: {text}")
        hint = f"is {self._base} right, and reachable from here?"
        kind = FailureKind.UNREACHABLE if _never_connected(error) else FailureKind.CONNECTION
        return Failure(kind, f"the connection failed: {text}", hint)

    def _passed_on(self, response: httpx.Response) -> Mapping[str, str]:
        # What has control characters in it could not be sent on.
        return {
            name.decode(): self._key.redact(text)
            for raw, value in response.headers.raw
            if (name := raw.lower()) in _PASSED_ON
            and (text := value.decode("latin-1")).isprintable()
        }


def _never_connected(error: Exception) -> bool:
    """Whether not a byte of the request can have arrived."""
    causes = (error, error.__cause__)
    kinds = (httpx.ConnectError, aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    return any(isinstance(cause, kinds) for cause in causes)


def _not(expected: str, response: httpx.Response, body: bytes) -> Failure:
    kind = response.headers.get("content-type", "no content type")
    text = f"expected {expected}, got: {len(body)} bytes of {kind}"
    return Failure(FailureKind.MALFORMED, text, "", response.status_code)


def _is_error(document: Mapping[str, Any]) -> bool:
    """Whether a document stands in an answer's place; a response that failed has an `output`."""
    return bool(document.get("error")) and not {"choices", "output"} & document.keys()


class _TooLarge(Exception):
    """An answer that would not end."""


async def _whole(response: httpx.Response) -> bytes:
    """The whole body.

    Raises:
        _TooLarge: It is larger than any answer.
    """
    parts: list[bytes] = []
    size, most = 0, LARGEST_ANSWER if response.status_code < 300 else LARGEST_REFUSAL
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > most:
            raise _TooLarge(f"expected an answer, got: more than {most} bytes")
    return b"".join(parts)
