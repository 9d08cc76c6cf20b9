"""An answer that comes as server-sent events, watched while it passes.

The bytes go through unchanged. Each event is looked at for what the rest of the system must know:
the usage, an error in the middle of a 200, and whether the end was a real end. A stream that ends
without one was cut, and is never passed off as complete.

A chat completion ends with `[DONE]`; some APIs close the connection in good order instead, once
each choice has its `finish_reason`. Until then the usage is still to come: a connection that
breaks before is a cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import aiohttp
import httpx

from supervisor.messages import Usage
from supervisor.upstream.document import is_json, read_json
from supervisor.upstream.failures import Failure, FailureKind, classify_stream_error
from supervisor.upstream.outcome import Outcome
from supervisor.upstream.sse import Event, EventSplitter, data_of
from supervisor.upstream.usage import usage_of

NETWORK_ERRORS = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError)
"""Whatever a transport raises; httpx-aiohttp lets some of aiohttp's errors through as they are."""

_DONE = b"[DONE]"
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class EventStream:
    """One streamed attempt: iterate it for the bytes of whole events.

    Args:
        chunks: The body as it comes.
        redact: Removes the key from a text.
        clean: Removes it from an event, where the API repeats it.
        explain: Names an exception of the transport.
        keep_usage: Pass the usage chunk on; otherwise the caller did not ask for one.
        until: Loop time at which it is given up although events still come; None for never.

    Attributes:
        counting: The usage is that of a part: the answer was not at its end.
        failure: What went wrong; None while all is well.
        usage: Tokens and price, once the API has said.
        complete: The answer is whole, unless the connection breaks before its end.
    """

    __slots__ = (
        "_begun",
        "_choices",
        "_chunks",
        "_clean",
        "_done",
        "_ended",
        "_explain",
        "_first",
        "_keep_usage",
        "_redact",
        "_splitter",
        "_until",
        "complete",
        "counting",
        "failure",
        "usage",
    )

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        redact: Callable[[str], str],
        clean: Callable[[bytes], bytes],
        explain: Callable[[Exception], Failure],
        keep_usage: bool,
        until: float | None = None,
    ) -> None:
        self._until = until
        self._chunks = chunks
        self._redact = redact
        self._clean = clean
        self._explain = explain
        self._keep_usage = keep_usage
        self._splitter = EventSplitter()
        self._first: list[bytes] = []
        self._begun = False
        self._choices: dict[int, bool] = {}
        self._done = False
        self._ended = False
        self.failure: Failure | None = None
        self.usage: Usage | None = None
        self.counting = False
        self.complete = False

    async def begin(self) -> None:
        """Wait for the first event: an error in its place can still be retried."""
        while not (self._begun or self._ended or self.failure):
            self._first += await self._more()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The events; ends early, with `failure` set, when something goes wrong."""
        for raw in self._first:
            yield raw
        self._first.clear()
        while not (self._ended or self.failure):
            for raw in await self._more():
                yield raw

    async def _more(self) -> list[bytes]:
        """What passes of the next chunk, or at the end of an event that nothing terminated."""
        try:
            async with asyncio.timeout_at(self._until):
                chunk = await anext(self._chunks, None)
        except NETWORK_ERRORS as error:
            self._ended = True
            self._fail(self._explain(error))
            return []
        return self._close() if chunk is None else self._look(chunk)

    def _close(self) -> list[bytes]:
        """Judge the end: a last event may lack its blank line, but not a part of its document."""
        self._ended = True
        rest = self._splitter.rest()
        event = Event(rest, data_of(rest))
        passes = bool(rest) and _is_whole(event) and self._passes(event)
        if self.failure is None and not self.complete:
            self._fail(Failure(FailureKind.CONNECTION, "the stream ended before the answer did"))
        # An error may have to follow, which must not run into an unfinished line.
        return [self._clean(rest)] if passes and self.complete else []

    def _look(self, chunk: bytes) -> list[bytes]:
        passed: list[bytes] = []
        try:
            for event in self._splitter.feed(chunk):
                if self._passes(event):
                    passed.append(self._clean(event.raw))
                if self.failure is not None:
                    break
        except ValueError as error:
            self._ended = True
            self._fail(Failure(FailureKind.MALFORMED, str(error)))
        return passed

    def _fail(self, failure: Failure) -> None:
        """It is no answer; what comes after the end does not matter."""
        if not self._done:
            self.failure, self.complete = failure, False

    def _passes(self, event: Event) -> bool:
        if not event.data:
            return True
        if event.data.strip() == _DONE:
            self._done = self.complete = True
            return True
        try:
            value: Any = read_json(event.data)
        except ValueError:
            self._fail(Failure(FailureKind.MALFORMED, "an event of the stream is not JSON"))
            return False
        if not isinstance(value, dict):
            self._begun = True
            return True
        return self._passes_document(cast("dict[str, Any]", value), event)

    def _passes_document(self, document: Mapping[str, Any], event: Event) -> bool:
        choices, kind = document.get("choices"), document.get("type")
        usage = usage_of(document)
        if usage is not None:
            self.usage, self.counting = usage, bool(choices)
        if self._is_error(document):
            text = self._redact(event.data.decode("utf-8", "replace"))
            self._fail(classify_stream_error(text))
            return False
        self._begun = True
        tells_usage = not choices and kind is None and isinstance(document.get("usage"), dict)
        if tells_usage and not self._keep_usage:
            # Only we asked for it, whatever it says.
            return False
        if kind in _ENDS:
            self._done = self.complete = True
        elif choices:
            self._follow(choices)
        return True

    def _is_error(self, document: Mapping[str, Any]) -> bool:
        """Whether an event stands in the answer's place; `response.failed` may also end one."""
        if document.get("choices") is not None:
            return False
        kind = document.get("type")
        if kind == "response.failed":
            response = document.get("response")
            failed = isinstance(response, dict) and cast("dict[str, Any]", response).get("error")
            return bool(failed) and not self._begun
        return kind == "error" or (kind is None and bool(document.get("error")))

    def _follow(self, choices: Any) -> None:
        """An answer is whole when each of its choices has finished."""
        if not isinstance(choices, list):
            return
        for choice in choices:  # pyright: ignore[reportUnknownVariableType]
            if isinstance(choice, dict):
                one = cast("dict[str, Any]", choice)
                index = one.get("index")
                index = index if isinstance(index, int) else 0
                finished = bool(one.get("finish_reason"))
                self._choices[index] = finished or self._choices.get(index, False)
        self.complete = self._done or (bool(self._choices) and all(self._choices.values()))


def _is_whole(event: Event) -> bool:
    """Whether an event that nothing terminated has all of its document."""
    return not event.data or event.data.strip() == _DONE or is_json(event.data)


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
        """Whether the answer is whole."""
        return self.events is not None and self.events.complete

    @property
    def usage(self) -> Usage | None:
        """Tokens and price, once the API has said; what a part of an answer used says nothing."""
        events = self.events
        if events is None or (events.counting and not events.complete):
            return None
        return events.usage
