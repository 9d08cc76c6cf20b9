"""What was sent and spent before counts on: windows, sums and budgets are read from the ledger.

At the start, and again when another process may have had the key meanwhile. Then the windows get
what the other one has sent, and sums and budgets are what the ledger says; answers of our own
requests may come while it is read, so it is read until none has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from supervisor.broker.books import Books
from supervisor.broker.dispatcher import Dispatcher
from supervisor.broker.entry import Entry
from supervisor.broker.money import Money
from supervisor.budget import span
from supervisor.clock import LastingClock
from supervisor.ledger.ledger import Ledger, Spent
from supervisor.messages import TrafficClass

_A_DAY = 86_400.0


class Restoration:
    """Reads back what is known of before.

    Args:
        ledger: Where that is.
        books: Whose sums are filled.
        money: Whose budgets are.
        dispatcher: Whose windows are.
        clock: Tells the time.
        entries: All requests that have not ended.
    """

    def __init__(
        self,
        ledger: Ledger,
        books: Books,
        money: Money,
        *,
        dispatcher: Dispatcher,
        clock: LastingClock,
        entries: Callable[[], Iterable[Entry]],
    ) -> None:
        self._ledger = ledger
        self._books = books
        self._money = money
        self._dispatcher = dispatcher
        self._clock = clock
        self._entries = entries
        self._begun = False

    async def run(self) -> None:
        """Count what this process does not know of yet; to be called while nothing is granted.

        Raises:
            StoreError: The ledger cannot be read; nothing is counted twice when it is tried again.
        """
        await self._read_sums()
        at = self._clock.reading()
        # Behind the reading: held up in between, attempts look younger and not older.
        now = self._clock.monotonic()
        since = at.wall - self._dispatcher.quota.longest()
        if self._begun:
            spent = await self._ledger.spent_elsewhere(since, at)
        else:
            spent = await self._ledger.spent_since(since, at)
        self._begun = True
        self._fill_windows(spent, now=now, wall=at.wall)

    async def _read_sums(self) -> None:
        # All of the month, without a budget too: one may come with a role that is loaded later.
        # A clock that is a day fast may yet be set back, into the month before.
        month = span("month", self._clock.wall() - _A_DAY).start
        while True:
            booked = self._books.booked
            usage = await self._ledger.usage()
            costs = await self._ledger.costs_since(month)
            reserved = await self._ledger.reserved_since(month)
            answers = await self._ledger.latest_answers()
            if booked == self._books.booked:
                break
        self._books.restore(usage, answers)
        self._money.restore(costs, reserved, self._entries())

    def _fill_windows(self, spent: Sequence[Spent], *, now: float, wall: float) -> None:
        """Count what was read.

        Args:
            spent: That, by the wall clock.
            now: Monotonic seconds of a moment.
            wall: Unix time of the same.
        """
        dispatcher, accounts = self._dispatcher, self._books.accounts
        quota, read = dispatcher.quota, self._clock.monotonic()
        ends: list[tuple[float, int, int]] = []
        for attempt in spent:
            account = accounts.get(attempt.traffic_class)
            owner = (
                account.owner
                if account
                else dispatcher.set_class(TrafficClass(attempt.traffic_class))
            )
            # A clock set back must not make an attempt look newer than now.
            quota.restore(owner, now - max(0.0, wall - attempt.granted))
            # What was under way when the process died may be finished by the API this moment.
            ended = read if attempt.ended is None else now - max(0.0, wall - attempt.ended)
            ends.append((ended, owner, attempt.tokens))
        for at, owner, tokens in sorted(ends):
            quota.restore_tokens(owner, tokens, at)
