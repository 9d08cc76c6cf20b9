"""A request inside the broker: its place in the queue and whoever waits for its grant."""

from __future__ import annotations

import asyncio
from collections import Counter

from supervisor.broker.errand import Errand
from supervisor.errors import RequestError
from supervisor.ledger.attempt import Attempt
from supervisor.messages import Request
from supervisor.scheduler.ticket import Ticket


class Entry(Ticket):
    """A ticket with its request.

    Attributes:
        request: What is asked.
        attempt: The attempt under way, None between attempts.
        sending: Whether it was let go in time, and is being sent.
        asked_at: Monotonic seconds at which it came.
        errand: How far it has come where its answer is fetched later; None where it is not.
        granted_at: Monotonic seconds of the last grant.
        waited: Seconds spent in the queue over all attempts.
        retries: Retries made, quota refusals not counted.
        full: Times its model had no capacity for it, while it belongs to a job.
        learning: Among whom it is counted while its price is still to be learned; None for nobody.
        looks: Times it found in vain whether the API answers again.
        streamed: Its stream has begun and ended; what became of it is booked.
        sent: HTTP requests sent for it.
        refusals: Times the API refused it for quota.
    """

    __slots__ = (
        "_grant",
        "asked_at",
        "attempt",
        "errand",
        "full",
        "granted_at",
        "learning",
        "looks",
        "refusals",
        "request",
        "retries",
        "sending",
        "sent",
        "streamed",
        "waited",
    )

    def __init__(self, request: Request, *, owner: int, priority: int, tokens: int) -> None:
        super().__init__(request.id, owner=owner, priority=priority, tokens=tokens)
        self.request = request
        self.attempt: Attempt | None = None
        self.errand: Errand | None = None
        self.sending = False
        self.asked_at = 0.0
        self.granted_at = 0.0
        self.waited = 0.0
        self.retries = 0
        self.refusals = 0
        self.full = 0
        self.looks = 0
        self.learning: Counter[tuple[int, str]] | None = None
        self.sent = 0
        self.streamed = False
        self._grant: asyncio.Future[None] | None = None

    @property
    def is_promised(self) -> bool:
        """Whether its answer was promised, and is only to be fetched."""
        return self.errand is not None and self.errand.promise is not None

    async def granted(self) -> None:
        """Wait for the grant.

        Raises:
            RequestError: It was given up.
        """
        self._grant = asyncio.get_running_loop().create_future()
        await self._grant

    def release(self) -> None:
        """Let it go."""
        if self._grant is not None and not self._grant.done():
            self._grant.set_result(None)

    def give_up(self, error: RequestError) -> None:
        """Tell whoever waits that it will not go."""
        if self._grant is not None and not self._grant.done():
            self._grant.set_exception(error)
