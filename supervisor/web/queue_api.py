"""The queue over HTTP: what waits and why, what was used, and the brake."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from supervisor.ledger.forecast import look_back
from supervisor.web.calls import Calls
from supervisor.web.document import document
from supervisor.web.hub import Hub
from supervisor.web.inbound import read_body
from supervisor.web.job_form import read_object
from supervisor.web.refusal import denied
from supervisor.web.spending import spending

_MOST = 64 * 1024


class QueueApi:
    """The endpoints about sending.

    Args:
        hub: Has the broker and the ledger.
        calls: Knows the gateway's calls by their clients' names.
    """

    def __init__(self, hub: Hub, calls: Calls) -> None:
        self._hub = hub
        self._calls = calls

    async def pause(self, request: Request) -> Response:
        """Send nothing until resumed; requests go on queueing.

        Raises:
            InvalidRequest: The body is no JSON object with a reason.
        """
        body = await read_body(request.receive, declared=None, most=_MOST)
        self._hub.broker.pause(str(read_object(body or b"").get("reason") or "by hand"))
        return self._state()

    async def resume(self, request: Request) -> Response:
        """Send again."""
        self._hub.broker.resume()
        return self._state()

    async def why(self, request: Request) -> Response:
        """Why a request waits; by its id, or by the `X-Client-Request-Id` of a gateway call.

        Raises:
            InvalidRequest: With status 404, when it does not wait.
        """
        name: str = request.path_params["id"]
        why = self._hub.broker.why(self._calls.find(name))
        if why is None:
            raise denied(
                f'no request "{name[:64]}" waits',
                status=404,
                code="not_waiting",
                hint="it has been sent, has ended, or never was",
            )
        return document({**asdict(why), "text": str(why)})

    async def queue(self, request: Request) -> Response:
        """What waits, by class, and why the first of each does."""
        snapshot = self._hub.broker.snapshot()
        classes = [
            {
                "name": one.name,
                "priority": one.priority,
                "queued": one.queued,
                "in_flight": one.in_flight,
                "why": one.why,
            }
            for one in snapshot.classes
        ]
        queued = sum(one.queued for one in snapshot.classes)
        return document(
            {
                "state": snapshot.state,
                "reason": snapshot.reason,
                "queued": queued,
                "classes": classes,
            }
        )

    async def usage(self, request: Request) -> Response:
        """Tokens and money by day, class and model, newest day first; budgets and forecast."""
        ledger, wall = self._hub.ledger, self._hub.clock.wall()
        usage = await ledger.usage()
        costs = await ledger.costs_since(look_back(wall))
        budgets = self._hub.broker.snapshot().budgets
        return document(spending(usage, costs, budgets=budgets, wall=wall))

    def _state(self) -> Response:
        snapshot = self._hub.broker.snapshot()
        return document({"state": snapshot.state, "reason": snapshot.reason})
