"""An answer that comes as server-sent events, watched while it passes.

The bytes go through unchanged. Each event is looked at for what the rest of the system must know:
the usage, an error in the middle of a 200, and whether the end was a real end. A stream that ends
without one was cut, and is never passed off as complete.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import aiohttp
import httpx

from supervisor.messages import Usage
from supervisor.upstream.document import read_json
from supervisor.upstream.failures import Failure, FailureKind, classify_stream_error
from supervisor.upstream.outcome import Outcome
from supervisor.upstream.sse import Event, EventSplitter, data_of
from supervisor.upstream.usage import usage_of

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class EventStream:
    """One streamed attempt: iterate it for the bytes of whole events.

    Args:
        chunks: The body as it comes.
        redact: Removes the key from a text.
        explain: Names an exception of the transport.
        keep_usage: Pass the usage chunk on; otherwise the caller did not ask for one.

    Attributes:
        failure: What went wrong; None while all is well.
        usage: Tokens and price, once the API has said.
        complete: The answer's real end has been seen.
    """

    __slots__ = (
        "_begun",
        "_choices",
        "_chunks",
        "_explain",
        "_first",
        "_keep_usage",
        "_redact",
        "_splitter",
        "complete",
        "failure",
        "usage",
    )

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        redact: Callable[[str], str],
        explain: Callable[[Exception], Failure],
        keep_usage: bool,
    ) -> None:
        self._chunks = chunks
        self._redact = redact
        self._explain = explain
        self._keep_usage = keep_usage
        self._splitter = EventSplitter()
        self._first: list[bytes] = []
        self._begun = False
        self._choices: dict[Any, bool] = {}
        self.failure: Failure | None = None
        self.usage: Usage | None = None
        self.complete = False

    async def begin(self) -> None:
        """Wait for the first event: an error in its place can still be retried."""
        while not self._begun and self.failure is None and not self.complete:
            chunk = await self._next()
            if chunk is None:
                return
            self._first.extend(self._look(chunk))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The events; ends early, with `failure` set, when something goes wrong."""
        for raw in self._first:
            yield raw
        self._first.clear()
        while self.failure is None:
            chunk = await self._next()
            for raw in self._last() if chunk is None else self._look(chunk):
                yield raw
            if chunk is None:
                return

    async def _next(self) -> bytes | None:
        """The next chunk; None at the end, with `failure` set where it came too soon."""
        try:
            chunk = await anext(self._chunks, None)
        except (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError) as error:
            chunk = None
            if not self.complete:
                self.failure = self._explain(error)
        if chunk is None and not self.complete and self.failure is None and not self._unended():
            self.failure = Failure(FailureKind.CONNECTION, "the stream ended before the answer did")
        return chunk

    def _unended(self) -> bool:
        """Whether the last event lacks only its blank line."""
        rest = self._splitter.rest()
        return bool(rest.strip()) and self._passes(Event(rest, data_of(rest))) and self.complete

    def _last(self) -> list[bytes]:
        """What came after the last blank line, once the stream is over and whole."""
        rest = self._splitter.rest()
        return [rest] if rest and self.failure is None else []

    def _look(self, chunk: bytes) -> list[bytes]:
        passed: list[bytes] = []
        try:
            for event in self._splitter.feed(chunk):
                if self._passes(event):
                    passed.append(event.raw)
                if self.failure is not None:
                    break
        except ValueError as error:
            self.failure = Failure(FailureKind.MALFORMED, str(error))
        return passed

    def _passes(self, event: Event) -> bool:
        if not event.data:
            return True
        self._begun = True
        if event.data == b"[DONE]":
            self.complete = True
            return True
        try:
            value: Any = read_json(event.data)
        except ValueError:
            self.failure = Failure(FailureKind.MALFORMED, "an event of the stream is not JSON")
            return False
        if not isinstance(value, dict):
            return True
        return self._passes_document(cast("dict[str, Any]", value), event)

    def _passes_document(self, document: Mapping[str, Any], event: Event) -> bool:
        choices = document.get("choices")
        kind = document.get("type")
        if choices is None and (kind == "error" or (document.get("error") and kind is None)):
            text = self._redact(event.data.decode("utf-8", "replace"))
            self.failure = classify_stream_error(text)
            return False
        usage = usage_of(document)
        if usage is not None:
            self.usage = usage
            if not choices and kind is None and not self._keep_usage:
                return False
        if kind in _ENDS:
            self.complete = True
        elif choices:
            self._follow(choices)
        return True

    def _follow(self, choices: Any) -> None:
        """An answer is whole when each of its choices has finished."""
        if not isinstance(choices, list):
            return
        for choice in choices:  # pyright: ignore[reportUnknownVariableType]
            if isinstance(choice, dict):
                one = cast("dict[str, Any]", choice)
                index = one.get("index", 0)
                self._choices[index] = bool(one.get("finish_reason")) or self._choices.get(
                    index, False
                )
        self.complete = bool(self._choices) and all(self._choices.values())


class StreamedAttempt:
    """A streamed attempt from its response's head on.

    Attributes:
        status: HTTP status; 0 when no response came.
        headers: Response headers worth passing on.
        body: The body of an error response.
        events: The stream; None when the attempt failed as a whole.
    """

    __slots__ = ("_failure", "body", "events", "headers", "status")

    def __init__(self, outcome: Outcome, events: EventStream | None = None) -> None:
        self.status = outcome.status
        self.headers = outcome.headers
        self.body = outcome.body
        self._failure = outcome.failure
        self.events = events

    @property
    def failure(self) -> Failure | None:
        """What went wrong so far."""
        return self.events.failure if self.events is not None else self._failure

    @property
    def complete(self) -> bool:
        """Whether the answer's real end has been seen."""
        return self.events is not None and self.events.complete

    @property
    def usage(self) -> Usage | None:
        """Tokens and price, once the API has said."""
        return self.events.usage if self.events is not None else None
