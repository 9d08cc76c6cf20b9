"""What gathers what is to be written down: what goes together, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from supervisor.clock import LoopClock
from supervisor.errors import StoreError
from supervisor.ledger.attempt import Attempt, Settlement
from supervisor.ledger.journal import LINGER, Journal, Settled
from supervisor.ledger.shortcut import FEW
from supervisor.testing import run_virtual

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


class Slow:
    """A store that takes its time, and notes what each transaction had."""

    def __init__(self, seconds: float) -> None:
        self.transactions: list[tuple[float, list[str], list[str]]] = []
        self._seconds = seconds

    def commit(
        self, attempts: Sequence[Attempt], settled: Sequence[Settled]
    ) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        names = [one.id for one in attempts], [one.id for one, _ in settled]
        self.transactions.append((loop.time(), *names))
        written = loop.create_future()
        if self._seconds:
            loop.call_later(self._seconds, written.set_result, None)
        else:
            written.set_result(None)
        return written


STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.001, 0.03, 0.2])), max_size=60)


@given(STEPS, st.sampled_from([0.0, 0.01, 0.2]))
def test_settlements_wait_for_company_and_not_for_long(
    steps: list[tuple[bool, float]], takes: float
) -> None:
    """Each is written once, after its attempt, when the store is next free after a moment."""
    store = Slow(takes)
    settled: dict[str, float] = {}

    async def work() -> None:
        journal = Journal(store.commit, lambda error: StoreError(repr(error)), of_values=bool)
        loop = asyncio.get_running_loop()
        for number, (ends, rest) in enumerate(steps):
            attempt = Attempt(f"{number}/1", "code", "grok-4.7", "", 0.0, 0.0, 10)
            await journal.record([attempt])
            if ends:
                settled[attempt.id] = loop.time()
                journal.settle(attempt, ENDED)
            await asyncio.sleep(rest)
        await asyncio.sleep(1.0)

    run_virtual(work)
    written = {name: at for at, _, names in store.transactions for name in names}
    assert sorted(written) == sorted(settled)
    assert sum(len(names) for *_, names in store.transactions) == len(settled)
    # One transaction may be under way when the moment is over.
    assert all(at - settled[name] <= LINGER + takes + 1e-6 for name, at in written.items())


async def test_who_waits_to_send_waits_for_nothing_else(virtual: LoopClock) -> None:
    """Of many requests one after the other, few carry the end of others along."""
    store = Slow(0.0)
    journal = Journal(store.commit, lambda error: StoreError(repr(error)), of_values=bool)
    for number in range(1_000):
        attempt = Attempt(f"{number}/1", "code", "grok-4.7", "", 0.0, 0.0, 10)
        await journal.record([attempt])
        await asyncio.sleep(0.001)
        journal.settle(attempt, ENDED)
    await asyncio.sleep(1.0)
    alone = [settled for _, attempts, settled in store.transactions if attempts and not settled]
    ends = [settled for _, attempts, settled in store.transactions if not attempts]
    assert len(alone) == 1_000
    assert sum(map(len, ends)) == 1_000
    assert len(ends) <= 1_000 / 20
    assert max(map(len, ends)) <= FEW
