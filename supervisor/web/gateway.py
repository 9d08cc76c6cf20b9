"""The OpenAI-compatible gateway: one call in, one request through the broker, its answer out.

This is the hot path: plain ASGI, one pass over the headers, the body neither copied nor rebuilt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

import structlog
from starlette.types import Receive, Scope, Send

from supervisor.broker.broker import Broker
from supervisor.errors import Draining, RequestError
from supervisor.messages import Endpoint, Request
from supervisor.web.calls import Calls
from supervisor.web.hangup import until_hangup
from supervisor.web.identity import Doorkeeper
from supervisor.web.inbound import passed_on, read_body, read_deadline, read_question
from supervisor.web.outgoing import Outgoing

_log = structlog.get_logger("supervisor.web")


class StreamLost(Exception):
    """Raised out of the application to drop the connection of a stream that broke off.

    The openai SDK takes a clean end for a complete answer.
    """


class Gateway:
    """An ASGI endpoint.

    Args:
        endpoint: The API's endpoint that it stands for.
        broker: Sends.
        doorkeeper: Tells who calls.
        calls: Numbers the calls.
        model: The model for calls that name none.
        max_body: Most bytes of a body.

    Attributes:
        path: Where it stands.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        broker: Broker,
        *,
        doorkeeper: Doorkeeper,
        calls: Calls,
        model: str,
        max_body: int,
    ) -> None:
        self.path = f"/v1{endpoint}"
        self._endpoint: Endpoint = endpoint
        self._broker = broker
        self._doorkeeper = doorkeeper
        self._calls = calls
        self._model = model
        self._max_body = max_body

    def __repr__(self) -> str:
        return f"<Gateway {self.path}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call.

        Raises:
            StreamLost: The answer broke off in the middle; the connection must not end cleanly.
        """
        headers: dict[bytes, bytes] = dict(scope["headers"])
        out = Outgoing(send)
        try:
            request = await self._read(headers, receive, out=out)
            if request is not None:
                await self._serve(request, receive, out=out)
        except RequestError as error:
            if not out.started:
                await out.refuse(error)
                return
            await self._break_off(error, out)
            raise StreamLost from error
        except asyncio.CancelledError:
            # As in the guard, which tells those whose answer has not begun.
            if out.streaming:
                await self._break_off(Draining("the supervisor is stopping", retry_after=5.0), out)
            raise
        finally:
            self._calls.end(_alias(headers), out.call)

    async def _break_off(self, error: RequestError, out: Outgoing) -> None:
        _log.warning("web.stream_lost", request=out.call, role=out.role, error=str(error))
        await out.break_off(error, named=self._endpoint == "/responses")

    async def _read(
        self, headers: Mapping[bytes, bytes], receive: Receive, *, out: Outgoing
    ) -> Request | None:
        """The request to make of a call; None when the client has gone before the end of it."""
        out.role = self._doorkeeper.identify(
            headers.get(b"authorization"), headers.get(b"x-supervisor-role")
        )
        deadline = read_deadline(headers.get(b"x-supervisor-deadline"))
        body = await read_body(
            receive, declared=headers.get(b"content-length"), most=self._max_body
        )
        if body is None:
            return None
        question = read_question(body, default_model=self._model)
        out.call = self._calls.begin(_alias(headers))
        return Request(
            id=out.call,
            traffic_class=out.role,
            body=question.body,
            endpoint=self._endpoint,
            model=question.model,
            stream=question.stream,
            deadline=deadline,
            max_output=question.max_output,
            headers=passed_on(headers),
        )

    async def _serve(self, request: Request, receive: Receive, *, out: Outgoing) -> None:
        if request.stream:
            if await until_hangup(receive, self._relay(request, out)):
                # Only now: the client may close as soon as it has seen the end.
                await out.end()
                return
        else:
            reply = await until_hangup(receive, self._broker.ask(request))
            if reply is not None:
                await out.answer(reply)
                return
        _log.info("web.client_hung_up", request=request.id, role=request.traffic_class)

    async def _relay(self, request: Request, out: Outgoing) -> Literal[True]:
        async with self._broker.stream(request) as reply:
            await out.begin(reply)
            async for event in reply:
                await out.event(event)
        return True


def _alias(headers: Mapping[bytes, bytes]) -> str:
    alias = headers.get(b"x-client-request-id")
    return "" if alias is None else alias.decode("latin-1")
