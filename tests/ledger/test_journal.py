"""The end of what gathers what is to be written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from supervisor.clock import LoopClock
from supervisor.errors import StoreError
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.journal import Journal, Settled

ONE, TWO = (Attempt(f"{name}/1", "code", "grok-4.7", "", 0.0, 0.0, 10) for name in "ab")
ENDED = Settlement(200, "answered", None, 1.0, 7)


class Silent:
    """A store that never answers."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[None]] = []

    def commit(self, _: Sequence[Attempt], __: Sequence[Settled]) -> asyncio.Future[None]:
        self.asked.append(asyncio.get_running_loop().create_future())
        return self.asked[-1]


async def test_the_end_waits_for_no_store_for_ever(virtual: LoopClock) -> None:
    """What cannot be written is given up and said, whoever waits is told, and nothing goes on."""
    store = Silent()
    journal = Journal(
        store.commit, lambda error: StoreError(repr(error)), of_values=lambda _: False
    )
    records = [asyncio.create_task(journal.record([one])) for one in (ONE, TWO)]
    await asyncio.sleep(0)
    journal.settle(ONE, ENDED)
    began = virtual.monotonic()
    with capture_logs() as logs:
        await journal.finish(3.0)
    assert virtual.monotonic() - began == pytest.approx(3.0)
    assert logs[-1] == {"event": "ledger.given_up", "log_level": "error", "settlements": 1}
    ends = await asyncio.gather(*records, return_exceptions=True)
    assert all(isinstance(end, StoreError) for end in ends)
    tries = len(store.asked)
    await asyncio.sleep(60.0)
    assert len(store.asked) == tries
    assert all(one.cancelled() for one in store.asked)
