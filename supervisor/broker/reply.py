"""A streamed answer on its way to whoever asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from supervisor.broker.verdict import final_error
from supervisor.messages import Usage
from supervisor.upstream.stream import StreamedAttempt


class StreamedReply:
    """Iterate it for the bytes of whole events, unchanged.

    Attributes:
        status: HTTP status of the API, 2xx.
        headers: Response headers worth passing on.
        wait: Seconds spent in the queue, over all attempts.
        attempts: HTTP requests that were sent for it.
    """

    __slots__ = ("_streamed", "attempts", "headers", "status", "wait")

    def __init__(self, streamed: StreamedAttempt, *, wait: float, attempts: int) -> None:
        self.status = streamed.status
        self.headers: Mapping[str, str] = streamed.headers
        self.wait = wait
        self.attempts = attempts
        self._streamed = streamed

    @property
    def usage(self) -> Usage | None:
        """Tokens and price; known once the stream has ended."""
        return self._streamed.usage

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The events.

        Raises:
            UpstreamError: The stream broke off; what was yielded is not a whole answer.
        """
        events = self._streamed.events
        assert events is not None
        async for raw in events:
            yield raw
        if events.failure is not None:
            raise final_error(events.failure, b"", "application/json")
