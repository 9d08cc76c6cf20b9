"""What attempts came to: settled in the ledger, in the windows, and in each class's account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import structlog

from supervisor.broker.account import Account
from supervisor.broker.entry import Entry
from supervisor.broker.errand import Errand
from supervisor.broker.money import Money
from supervisor.broker.outage import SILENCE, Outage
from supervisor.clock import Clock
from supervisor.ledger.attempt import FETCHED, GONE, Attempt, Settlement
from supervisor.ledger.ledger import Answered, Ledger, UsageRow
from supervisor.ledger.sums import RECORDED, Sums, ended
from supervisor.messages import Promise, TrafficClass, Usage
from supervisor.quota.quota import Quota
from supervisor.scheduler.ticket import TicketState
from supervisor.upstream.failures import Failure, FailureKind
from supervisor.upstream.outcome import Outcome

_log = structlog.get_logger("supervisor.broker")

CANCELLED = Failure(FailureKind.CONNECTION, "cancelled by whoever asked")

_SAYS_NOTHING = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
        FailureKind.SERVER,
        FailureKind.CAPACITY,
    }
)
"""Failures that do not tell whether the server would have let the attempt in."""


class Books:
    """Keeps the accounts.

    Args:
        quota: Whose windows and pause learn from each end.
        money: Pays for each.
        ledger: Where attempts are written down.
        clock: Tells the time.
        on_answer: Told of every answer when it was granted: the key was good.
        spread: Random numbers in [0, 1), for the length of pauses.

    Attributes:
        accounts: By the class's name.
        outage: Whether the API answers anybody at all.
        under_way: Attempts that have not ended.
        booked: Attempts that were granted and that have ended, together: it changes with the sums.
        on_down: Called each time that the API was found to answer nobody.
        on_room: Told of every model that has answered.
    """

    def __init__(
        self,
        quota: Quota,
        *,
        money: Money,
        ledger: Ledger,
        clock: Clock,
        on_answer: Callable[[float], None],
        spread: Callable[[], float],
    ) -> None:
        self._quota = quota
        self._money = money
        self._ledger = ledger
        self._clock = clock
        self._on_answer = on_answer
        self.on_down: Callable[[], object] = bool
        self.on_room: Callable[[str], object] = bool
        self._spread = spread
        self.accounts: dict[str, Account] = {}
        self._used: defaultdict[str, Sums] = defaultdict(Sums)
        self._before: defaultdict[str, list[Answered]] = defaultdict(list)
        self.outage = Outage()
        self.under_way = 0
        self.booked = 0

    def set_class(self, owner: int, traffic_class: TrafficClass) -> None:
        """Keep an account for a class, or change it; what it has used of all time is known.

        So is what its last answers have cost.
        """
        name = traffic_class.name
        account = self.accounts.get(name)
        if account is None:
            account = self.accounts[name] = Account(owner, traffic_class, self._used[name])
            self._money.recall(account, self._before.get(name, ()))
        else:
            account.traffic_class = traffic_class

    def restore(self, usage: Iterable[UsageRow], answers: Iterable[Answered]) -> None:
        """Count on from what the ledger has counted so far.

        Args:
            usage: All of its rows.
            answers: The last ones, the oldest first.
        """
        for used in self._used.values():
            used.clear()
        for row in usage:
            self._used[row.traffic_class].add_row(row)
        self._before.clear()
        for one in answers:
            self._before[one.traffic_class].append(one)
        for name, account in self.accounts.items():
            self._money.recall(account, self._before.get(name, ()))

    def granted(self, entry: Entry) -> None:
        """An attempt was written down: count it where everybody looks."""
        account = self.accounts[entry.request.traffic_class]
        self.booked += 1
        account.used.add(RECORDED)
        account.waits.append(entry.waited)
        entry.sent += 1
        self.under_way += 1
        if entry.state is TicketState.LEFT:
            # Whoever asked has gone while it was written down.
            self.leave(entry)

    def leave(self, entry: Entry) -> None:
        """Whoever asked has gone: what is under way for it was cancelled, or never sent."""
        if entry.sending or entry.attempt is None:
            self.settle(entry, 0, failure=CANCELLED, usage=None, outcome="cancelled")
        else:
            self.unsent(entry, CANCELLED, outcome=GONE)

    def unsent(self, entry: Entry, failure: Failure, *, outcome: str) -> None:
        """What was granted and written down is not sent: it used nothing but its place.

        Args:
            entry: The request.
            failure: What the pause is told.
            outcome: Why not, one of `UNSENT`.
        """
        self.settle(entry, 0, failure=failure, usage=Usage(), outcome=outcome)
        entry.sent -= 1

    def let_in(self, entry: Entry, headers: Mapping[str, str]) -> None:
        """The head of an answer has come: no need to wait for its end, which may take minutes."""
        self.observe(entry, headers)
        self._quota.pause.accepted(granted_at=entry.granted_at)
        self._answered(entry)

    def observe(self, entry: Entry, headers: Mapping[str, str]) -> None:
        """Learn from an answer's headers whether somebody else uses the key."""
        self._quota.observed.read(
            headers,
            model=entry.request.model,
            granted_at=entry.granted_at,
            now=self._clock.monotonic(),
        )

    def settle(
        self,
        entry: Entry,
        status: int,
        *,
        failure: Failure | None,
        usage: Usage | None,
        outcome: str = "",
    ) -> None:
        """Book what an attempt came to, once."""
        attempt = entry.attempt
        if attempt is None:
            return
        now = self._clock.monotonic()
        account = self.accounts[entry.request.traffic_class]
        if usage is not None:
            usage = self._money.priced(usage, entry.request.model)
        unpriced = self._money.unpriced(entry, status, failure=failure, usage=usage)
        if (usage is None or usage.total) and failure is None and outcome != "pending":
            self._money.learn(account, usage, entry.request)
        self._money.settle(entry, attempt.granted, usage, unpriced=unpriced)
        tokens = self._count(entry, account, failure=failure, usage=usage)
        self._quota.settle(entry.owner, reserved=entry.tokens, actual=tokens, now=now)
        outcome = outcome or ("answered" if failure is None else failure.kind.value)
        latency = now - entry.granted_at
        self._end(entry, attempt, Settlement(status, outcome, usage, latency, tokens, unpriced))
        self._teach(entry, account, failure=failure, now=now)

    def _end(self, entry: Entry, attempt: Attempt, settlement: Settlement) -> None:
        """An attempt is over: write down how."""
        entry.attempt, entry.sending = None, False
        self.under_way -= 1
        self.booked += 1
        self._ledger.settle(attempt, settlement)
        self.accounts[entry.request.traffic_class].used.add(ended(settlement))
        _log.debug(
            "broker.attempt_settled",
            request=entry.request.id,
            outcome=settlement.outcome,
            status=settlement.status,
            latency=settlement.latency,
        )

    # -- answers that are fetched later -----------------------------------------------------------

    def promised(self, entry: Entry, errand: Errand, outcome: Outcome, *, name: str) -> Promise:
        """An attempt has brought a promise: what it has reserved stays so until the answer.

        Args:
            entry: Its request.
            errand: How far that has come.
            outcome: What the attempt came to.
            name: What the answer is to be fetched by.
        """
        attempt = entry.attempt
        assert attempt is not None
        latency = self._clock.monotonic() - entry.granted_at
        settlement = Settlement(
            outcome.status, "deferred", None, latency, entry.tokens, unpriced=entry.cost
        )
        self._end(entry, attempt, settlement)
        self.let_in(entry, outcome.headers)
        errand.promise = Promise(name, self._clock.wall(), attempt.granted, entry.cost)
        _move(entry, errand)
        return errand.promise

    def hold(self, entry: Entry, errand: Errand, promise: Promise) -> None:
        """Reserve for an answer what its post, an earlier request, has reserved.

        Of tokens that is not known any more: they are guessed.
        """
        self._quota.hold(entry.owner, entry.tokens)
        entry.cost = promise.cost
        self._money.hold(entry, promise)
        _move(entry, errand)

    def reclaim(self, entry: Entry, errand: Errand, promise: Promise) -> None:
        """The promised answer is there: the attempt that has it is settled with all of it."""
        entry.tokens, entry.cost = errand.tokens, errand.cost
        errand.tokens = errand.cost = 0
        if promise.cost:
            request = entry.request
            names = promise.id, request.traffic_class, request.model, request.job
            post = Attempt(*names, promise.granted, 0.0, 0, promise.cost)
            # Its row is not known any more: this is booked in the sums.
            self._ledger.settle(post, Settlement(0, FETCHED, None, 0.0, 0))

    def release(self, entry: Entry) -> None:
        """A promised answer is not waited for any more; its tokens may have been used just now.

        Its money may be, too: the API bills what it makes, whether or not anybody fetches it. So
        it stays reserved in the ledger, and counts here as it does there.
        """
        errand = entry.errand
        if errand is None or errand.promise is None:
            return
        now = self._clock.monotonic()
        self._quota.settle(entry.owner, reserved=errand.tokens, actual=errand.tokens, now=now)
        self._money.let_go(entry.owner, errand.cost, errand.promise)
        errand.tokens = errand.cost = 0

    # -- what an attempt's end tells ---------------------------------------------------------------

    def _count(
        self, entry: Entry, account: Account, *, failure: Failure | None, usage: Usage | None
    ) -> int:
        """Tokens that count: the real ones, none when refused, else the reservation."""
        if usage is not None:
            # Where nothing is reserved, nobody asks for estimates.
            account.learn(usage, len(entry.request.body) if entry.tokens or entry.cost else 0)
            return usage.total
        if failure is not None and 400 <= (failure.status or 0) < 500:
            return 0
        return entry.tokens

    def _teach(
        self, entry: Entry, account: Account, *, failure: Failure | None, now: float
    ) -> None:
        """One refusal teaches everybody; so does one answer."""
        pause = self._quota.pause
        if failure is not None and failure.kind is FailureKind.QUOTA:
            entry.refusals += 1
            fresh = self._quota.refused(
                now, granted_at=entry.granted_at, after=failure.retry_after, spread=self._spread()
            )
            if fresh:
                _log.warning(
                    "broker.paused", until=round(pause.opens_at() - now, 3), text=failure.text
                )
        elif failure is not None and failure.kind in _SAYS_NOTHING:
            pause.undecided(granted_at=entry.granted_at)
            self._unanswered(entry, failure, now=now)
        else:
            pause.accepted(granted_at=entry.granted_at)
            if failure is None:
                self._answered(entry)
            else:
                self._unanswered(entry, failure, now=now)

    def _answered(self, entry: Entry) -> None:
        self._on_answer(entry.granted_at)
        self.on_room(entry.request.model)
        if self.outage.answered(entry.request.model, self._clock.monotonic()):
            _log.info("broker.api_back")

    def _unanswered(self, entry: Entry, failure: Failure, *, now: float) -> None:
        """One failure may be the one that shows that the API answers nobody."""
        if failure is CANCELLED or not self.outage.failed(
            failure, entry.request, now=now, under_way=self.under_way
        ):
            return
        pause = self._quota.pause
        if pause.unanswered(
            now, granted_at=entry.granted_at, silence=SILENCE, spread=self._spread()
        ):
            until = round(pause.opens_at() - now, 3)
            _log.warning("broker.api_down", until=until, text=failure.text)
            self.on_down()


def _move(entry: Entry, errand: Errand) -> None:
    """From here on the errand has the reservation, and attempts need none."""
    errand.tokens, errand.cost = entry.tokens, entry.cost
    entry.tokens = entry.cost = 0
