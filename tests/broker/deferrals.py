"""What keeps promises, and how an API makes them, for tests of deferred answers."""

from __future__ import annotations

import anyio
import orjson

from supervisor.messages import Promise
from tests.broker.desk import Desk
from tests.upstream.api import Answer, flat

PENDING = Answer(202, b"", {})
GONE = Answer(404, flat("not-found", "Deferred completion not found: one"))


def promised(name: str = "one", *, after: float = 0.0) -> Answer:
    """The API will have the answer, under this id."""
    return Answer(body=orjson.dumps({"request_id": name}), after=after)


class Shelf:
    """Keeps one question's promise; implements `Deferral`.

    Args:
        promise: What is on record.
        slow: Seconds that writing down takes.
        broken: Raised instead of writing down.

    Attributes:
        kept: What was written down, in order.
    """

    def __init__(
        self, promise: Promise | None = None, *, slow: float = 0.0, broken: Exception | None = None
    ) -> None:
        self._promise = promise
        self._slow = slow
        self._broken = broken
        self.kept: list[Promise] = []

    @property
    def promise(self) -> Promise | None:
        """The promise on record."""
        return self._promise

    async def keep(self, promise: Promise) -> None:
        """Write it down."""
        await anyio.sleep(self._slow)
        if self._broken is not None:
            raise self._broken
        self._promise = promise
        self.kept.append(promise)


def sent(desk: Desk) -> list[str]:
    """What arrived, in order: `post` (deferred), `ask` (as usual), or the id that is looked for."""
    seen: list[str] = []
    for arrival in desk.api.arrivals:
        if arrival.request.method == "GET":
            seen.append(arrival.request.url.path.rpartition("/")[2])
        else:
            document = orjson.loads(arrival.request.content)
            seen.append("post" if document.get("deferred") else "ask")
    return seen
