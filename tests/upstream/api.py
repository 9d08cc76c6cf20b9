"""The API at the HTTP edge: answers as it is told, and remembers what arrived and when."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import orjson

from supervisor.upstream.client import Upstream
from supervisor.upstream.key import Key

BASE_URL = "https://api.test/v1"
FAKE_KEY = "xai-test-not-a-real-key"
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}


def completion(prompt: int = 10, answer: int = 2, **usage: Any) -> bytes:
    """The body of a chat completion that used so many tokens."""
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        **usage,
    }
    message = {"role": "assistant", "content": "ok"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return orjson.dumps({"id": "1", "choices": [choice], "usage": counts})


def flat(code: str, error: str) -> bytes:
    """An error body as xAI writes it."""
    return orjson.dumps({"code": code, "error": error})


def event(document: Mapping[str, Any] | str) -> bytes:
    """One server-sent event."""
    data = document.encode() if isinstance(document, str) else orjson.dumps(document)
    return b"data: " + data + b"\n\n"


def delta(text: str, *, finish: str | None = None, index: int = 0) -> bytes:
    """One chunk of a streamed chat completion."""
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return event({"object": "chat.completion.chunk", "choices": [choice]})


USAGE_CHUNK = event(
    {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
)
DONE = event("[DONE]")
WHOLE_STREAM = (delta("Hel"), delta("lo"), delta("", finish="stop"), USAGE_CHUNK, DONE)
UNAVAILABLE = event(
    {
        "code": "The service is currently unavailable",
        "error": "Timed out waiting for first token",
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API does with one attempt.

    Attributes:
        status: HTTP status.
        body: The body in one piece, or as the chunks of a stream.
        headers: Response headers.
        after: Seconds until the response's head.
        gap: Seconds between the chunks.
        cut: Raised instead of the head, or after the last chunk where there are chunks.
    """

    status: int = 200
    body: bytes | Sequence[bytes] = field(default_factory=completion)
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON))
    after: float = 0.0
    gap: float = 0.0
    cut: Exception | None = None


def streamed(*chunks: bytes, gap: float = 0.0, cut: Exception | None = None) -> Answer:
    """An answer as server-sent events; a whole one when no chunks are given."""
    return Answer(body=chunks or WHOLE_STREAM, headers=EVENTS, gap=gap, cut=cut)


QUOTA = Answer(429, flat("resource-exhausted", "Requests per Minute (actual/limit): 101/100"))
CAPACITY = Answer(429, flat("resource-exhausted", "The model is temporarily at capacity"))
BROKEN = Answer(500, b"<html><h1>Internal Server Error</h1></html>", {"content-type": "text/html"})
BAD_KEY = Answer(400, flat("invalid-argument", f"Incorrect API key provided: {FAKE_KEY}."))
CUT = Answer(cut=httpx.ReadError("the peer hung up"))


class Body(httpx.AsyncByteStream):
    """A response's body that knows whether it was closed."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = self._answer.body
        if isinstance(body, bytes):
            yield body
            return
        for index, chunk in enumerate(body):
            if index and self._answer.gap:
                await anyio.sleep(self._answer.gap)
            yield chunk
        if self._answer.cut is not None:
            raise self._answer.cut

    async def aclose(self) -> None:
        self.closed = True


@dataclass(slots=True)
class Arrival:
    """One attempt as the API saw it.

    Attributes:
        at: Loop time in seconds.
        name: The `user` of its document: which request of the test it is.
        request: What came.
        body: The body of the response, once there is one.
        ended: The attempt was answered, cut or given up.
        given_up: It was cancelled before its response's head.
    """

    at: float
    name: str
    request: httpx.Request
    body: Body | None = None
    ended: bool = False
    given_up: bool = False


class ScriptedApi(httpx.AsyncBaseTransport):
    """Answers attempts in the order they come.

    Args:
        script: What to do with the first, second … attempt.
        default: What to do with all others.

    Attributes:
        arrivals: Attempts, in the order they came.
        seen: Called with the name of each attempt as it arrives.
        most_inside: Most attempts that were without an answer at the same time.
        closed: The connection pool was closed.
    """

    def __init__(self, *script: Answer, default: Answer | None = None) -> None:
        self._script = deque(script)
        self._by_name: dict[str, deque[Answer]] = {}
        self.default = default or Answer()
        self.arrivals: list[Arrival] = []
        self.seen: Callable[[str], object] = str
        self.most_inside = 0
        self.closed = False

    def will(self, name: str, *answers: Answer) -> None:
        """Do this with the attempts of one request."""
        self._by_name.setdefault(name, deque()).extend(answers)

    @property
    def names(self) -> list[str]:
        """Which requests arrived, in order."""
        return [arrival.name for arrival in self.arrivals]

    @property
    def times(self) -> list[float]:
        """When they arrived, in seconds of loop time."""
        return [round(arrival.at, 6) for arrival in self.arrivals]

    @property
    def open(self) -> list[str]:
        """Requests whose attempt is neither ended nor closed."""
        return [
            arrival.name
            for arrival in self.arrivals
            if not arrival.ended or (arrival.body is not None and not arrival.body.closed)
        ]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = str(orjson.loads(request.content).get("user", "")) if request.content else ""
        arrival = Arrival(anyio.current_time(), name, request)
        self.arrivals.append(arrival)
        self.seen(name)
        inside = sum(not one.ended for one in self.arrivals)
        self.most_inside = max(self.most_inside, inside)
        answer = self._next(name)
        try:
            await anyio.sleep(answer.after)
        except BaseException:
            arrival.given_up = True
            raise
        finally:
            arrival.ended = True
        if answer.cut is not None and isinstance(answer.body, bytes):
            raise answer.cut
        arrival.body = Body(answer)
        return httpx.Response(
            answer.status, headers=dict(answer.headers), stream=arrival.body, request=request
        )

    def _next(self, name: str) -> Answer:
        if self._by_name.get(name):
            return self._by_name[name].popleft()
        return self._script.popleft() if self._script else self.default

    async def aclose(self) -> None:
        self.closed = True


def upstream_of(api: httpx.AsyncBaseTransport, *, key: str = FAKE_KEY) -> Upstream:
    """An upstream that talks to this API."""
    return Upstream(BASE_URL, Key(key), transport=api)
