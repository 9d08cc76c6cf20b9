"""The only door to the key.

A request is queued, waits for its grant, is written down, sent by whoever asked, and settled.
A retry goes back to the queue and keeps its age. Leaving early frees the place at once; what was
sent stays counted.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Iterable, KeysView
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskStatus

from supervisor.broker.account import Account
from supervisor.broker.dispatcher import Dispatcher
from supervisor.broker.entry import Entry
from supervisor.broker.reply import StreamedReply
from supervisor.broker.snapshot import BrokerSnapshot, Why
from supervisor.broker.verdict import final_error, judge
from supervisor.broker.view import class_snapshot, why
from supervisor.clock import Clock
from supervisor.errors import (
    DeadlineExceeded,
    Draining,
    InvalidRequest,
    KeyUnusable,
    QueueFull,
    RequestError,
    RequestTooLarge,
    UpstreamError,
)
from supervisor.ledger.attempt import Settlement
from supervisor.ledger.ledger import Ledger
from supervisor.limits import Limit
from supervisor.messages import Reply, Request, TrafficClass, Usage
from supervisor.quota.quota import Quota
from supervisor.scheduler.ticket import TicketState
from supervisor.upstream.client import Upstream
from supervisor.upstream.failures import HALTING, Failure, FailureKind

_log = structlog.get_logger("supervisor.broker")

_HALT = 30.0
"""Seconds for which nothing is sent after the key proved unusable; then one request tries."""

_SAYS_NOTHING = frozenset(
    {FailureKind.CONNECTION, FailureKind.TIMEOUT, FailureKind.SERVER, FailureKind.CAPACITY}
)
"""Failures that do not tell whether the server would have let the attempt in."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """How the broker behaves.

    Attributes:
        limits: The key's limits; empty when rate limiting is off.
        jitter: Spread of the delay from grant to arrival, in seconds.
        max_retries: Retries after failures that are not a matter of quota.
    """

    limits: tuple[Limit, ...] = ()
    jitter: float = 0.25
    max_retries: int = 3


class Broker:
    """One key's queue.

    Args:
        settings: How it behaves.
        upstream: Sends.
        ledger: Writes down.
        clock: Tells the time.
        spread: Random numbers in [0, 1), for jitter.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        upstream: Upstream,
        ledger: Ledger,
        clock: Clock,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._ledger = ledger
        self._clock = clock
        self._spread = spread
        self._quota = Quota(settings.limits, jitter=settings.jitter, now=clock.monotonic())
        self._dispatcher = Dispatcher(self._quota, ledger=ledger, clock=clock)
        self._accounts: dict[str, Account] = {}
        self._entries: dict[str, Entry] = {}
        self._stale_after = settings.jitter / 2 if settings.jitter > 0 else float("inf")
        self._draining = False
        self._left = anyio.Event()
        self._paused = ""
        self._halt: KeyUnusable | None = None
        self._halted_until = float("-inf")

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read the windows back from the ledger, then decide until cancelled."""
        await self._restore()
        await self._dispatcher.run(task_status=task_status)

    async def _restore(self) -> None:
        now, wall = self._clock.monotonic(), self._clock.wall()
        longest = max((limit.period for limit in self._settings.limits), default=0.0)
        spent = await self._ledger.spent_since(wall - longest - self._settings.jitter)
        for attempt in spent:
            account = self._accounts.get(attempt.traffic_class)
            owner = (
                account.owner
                if account
                else self._dispatcher.set_class(TrafficClass(attempt.traffic_class))
            )
            # A clock set back must not make an attempt look newer than now.
            at = now - max(0.0, wall - attempt.granted)
            self._quota.restore(owner, attempt.tokens, at)

    def set_class(self, traffic_class: TrafficClass) -> None:
        """Add a role or client, or change its priority, share, ceiling or bounds."""
        owner = self._dispatcher.set_class(traffic_class)
        account = self._accounts.get(traffic_class.name)
        if account is None:
            self._accounts[traffic_class.name] = Account(owner, traffic_class)
        else:
            account.traffic_class = traffic_class

    def names(self) -> KeysView[str]:
        """The names of all roles and clients."""
        return self._accounts.keys()

    # -- the door -------------------------------------------------------------------------------

    async def ask(self, request: Request) -> Reply:
        """Queue a request, send it when it may go, and return its answer.

        Cancelling frees its place at once; an attempt already sent stays counted.

        Raises:
            RequestError: No answer; the class says why.
        """
        entry = self._enter(request)
        account = self._accounts[request.traffic_class]
        try:
            while True:
                await self._granted(entry)
                outcome = await self._upstream.send(request)
                self._settle(entry, outcome.status, failure=outcome.failure, usage=outcome.usage)
                if outcome.failure is None:
                    account.answered += 1
                    return Reply(
                        status=outcome.status,
                        headers=outcome.headers,
                        body=outcome.body,
                        usage=outcome.usage,
                        wait=entry.waited,
                        attempts=entry.attempts,
                    )
                content_type = outcome.headers.get("content-type", "application/json")
                self._again(entry, outcome.failure, body=outcome.body, content_type=content_type)
        except RequestError:
            account.failed += 1
            raise
        finally:
            self._leave(entry)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[StreamedReply]:
        """Like `ask`, for an answer as server-sent events.

        It is retried until its first event has come; after that a failure ends the stream with an
        error. Leaving the block closes the connection.

        Raises:
            RequestError: No answer, or the stream broke off.
        """
        entry = self._enter(request)
        account = self._accounts[request.traffic_class]
        try:
            while True:
                await self._granted(entry)
                async with self._upstream.stream(request) as streamed:
                    if streamed.failure is None:
                        try:
                            yield StreamedReply(
                                streamed, wait=entry.waited, attempts=entry.attempts
                            )
                        finally:
                            self._settle(
                                entry,
                                streamed.status,
                                failure=streamed.failure,
                                usage=streamed.usage,
                            )
                        account.answered += 1
                        return
                    failure, body = streamed.failure, streamed.body
                    content_type = streamed.headers.get("content-type", "application/json")
                    self._settle(entry, streamed.status, failure=failure, usage=streamed.usage)
                self._again(entry, failure, body=body, content_type=content_type)
        except RequestError:
            account.failed += 1
            raise
        finally:
            self._leave(entry)

    def _enter(self, request: Request) -> Entry:
        """Take a place in the queue, or refuse at once with the reason."""
        account = self._admit(request)
        tokens = 0
        largest = self._quota.largest()
        if largest is not None:
            tokens = account.estimator.estimate(len(request.body))
            if tokens > largest:
                raise RequestTooLarge(
                    f"the request needs about {tokens} tokens, a whole window holds {largest}",
                    hint="shorten the prompt or raise the tokens limit in quota.limits",
                )
        own = account.traffic_class.priority
        priority = own if request.priority is None else min(own, request.priority)
        entry = Entry(request, owner=account.owner, priority=priority, tokens=tokens)
        if request.deadline is not None:
            self._check_deadline(account, request.deadline)
            entry.deadline = self._clock.monotonic() + request.deadline
        account.requests += 1
        self._entries[request.id] = entry
        self._dispatcher.submit(entry)
        return entry

    def _admit(self, request: Request) -> Account:
        account = self._accounts.get(request.traffic_class)
        if account is None:
            raise InvalidRequest(
                f"no role or client is called {request.traffic_class!r}",
                hint=f"known are: {', '.join(sorted(self._accounts)) or 'none'}",
            )
        if self._draining:
            raise Draining("the supervisor is stopping and takes no new requests", retry_after=5.0)
        if self._halt is not None and self._clock.monotonic() < self._halted_until:
            raise self._halt
        waiting = self._dispatcher.scheduler.waiting(account.owner)
        if waiting >= account.traffic_class.queue:
            wait = self._expected(account, waiting)
            raise QueueFull(
                f"{waiting} requests of {request.traffic_class} wait already, which is its bound;"
                f" a new one would wait about {wait:.0f} s",
                hint="send fewer at once, or raise its `queue`",
                retry_after=max(1.0, wait / max(1, waiting)),
            )
        return account

    def _check_deadline(self, account: Account, deadline: float) -> None:
        """Refuse at once what even an empty queue could not send in time."""
        soonest = self._expected(account, 0)
        if soonest > deadline:
            account.failed += 1
            raise DeadlineExceeded(
                f"it could go in {soonest:.1f} s at the soonest, its deadline is {deadline:g} s",
                retry_after=soonest - deadline,
            )

    def _expected(self, account: Account, ahead: int) -> float:
        now = self._clock.monotonic()
        at = self._quota.expected(account.owner, ahead=ahead, own_ahead=ahead, now=now)
        return min(at - now, 86_400.0)

    async def _granted(self, entry: Entry) -> None:
        """Wait for a grant that is still fresh.

        A grant used late would break the window (the server counts what arrives): when the loop
        stood still for longer than half the jitter, it is given up and asked for anew.
        """
        account = self._accounts[entry.request.traffic_class]
        while True:
            await entry.granted()
            account.attempts += 1
            account.waits.append(entry.waited)
            late = self._clock.monotonic() - entry.granted_at
            if late <= self._stale_after:
                return
            _log.warning("broker.grant_stale", late=round(late, 3), request=entry.request.id)
            self._settle(
                entry,
                0,
                failure=Failure(FailureKind.CAPACITY, "not sent: the grant was stale"),
                usage=Usage(),
            )
            self._dispatcher.retry(entry, 0.0)

    # -- after an attempt -------------------------------------------------------------------------

    def _settle(
        self, entry: Entry, status: int, *, failure: Failure | None, usage: Usage | None
    ) -> None:
        """Book what an attempt came to, once."""
        attempt = entry.attempt
        if attempt is None:
            return
        entry.attempt = None
        now = self._clock.monotonic()
        account = self._accounts[entry.request.traffic_class]
        tokens = self._count(entry, account, failure=failure, usage=usage)
        self._quota.settle(entry.owner, reserved=attempt.tokens, actual=tokens, now=now)
        outcome = "answered" if failure is None else failure.kind.value
        latency = now - entry.granted_at
        self._ledger.settle(attempt, Settlement(status, outcome, usage, latency, tokens))
        self._teach(entry, account, failure=failure, now=now)
        _log.debug(
            "broker.attempt_settled",
            request=entry.request.id,
            outcome=outcome,
            status=status,
            latency=latency,
        )

    def _count(
        self, entry: Entry, account: Account, *, failure: Failure | None, usage: Usage | None
    ) -> int:
        """Tokens that count: the real ones, none when refused, else the reservation."""
        if usage is not None:
            account.used(usage)
            if entry.tokens and usage.total:
                account.estimator.learn(
                    len(entry.request.body),
                    prompt=usage.prompt,
                    answer=usage.completion + usage.reasoning,
                )
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
            account.refused += 1
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
        else:
            pause.accepted(granted_at=entry.granted_at)
        self._dispatcher.changed()

    def _again(self, entry: Entry, failure: Failure, *, body: bytes, content_type: str) -> None:
        """Queue a failed attempt's request again, or raise its final error."""
        again = judge(
            failure,
            retries=entry.retries,
            refusals=entry.refusals,
            max_retries=self._settings.max_retries,
            spread=self._spread(),
        )
        if again is not None and self._draining:
            raise Draining("not sent again: the supervisor is stopping", retry_after=5.0)
        if again is None:
            error = final_error(failure, body, content_type)
            if failure.kind in HALTING:
                self._stop_sending(error)
            raise error
        if failure.kind is not FailureKind.QUOTA:
            entry.retries += 1
        _log.info(
            "broker.attempt_retried",
            request=entry.request.id,
            kind=failure.kind.value,
            delay=round(again.delay, 3),
            text=failure.text,
        )
        self._dispatcher.retry(entry, again.delay)

    def _stop_sending(self, error: UpstreamError) -> None:
        """The key is unusable: everybody who waits is told now, waiting would never help."""
        assert isinstance(error, KeyUnusable)
        self._halt = error
        self._halted_until = self._clock.monotonic() + _HALT
        _log.error("broker.halted", reason=error.message, hint=error.hint)
        self._give_up_waiting(error)

    def _leave(self, entry: Entry) -> None:
        """Free the place; an attempt under way was cancelled and stays counted."""
        cancelled = Failure(FailureKind.CONNECTION, "cancelled by whoever asked")
        self._settle(entry, 0, failure=cancelled, usage=None)
        self._entries.pop(entry.request.id, None)
        self._dispatcher.leave(entry)
        self._left.set()

    # -- by hand ----------------------------------------------------------------------------------

    def pause(self, reason: str) -> None:
        """Send nothing until `resume`; requests go on queueing."""
        self._paused = reason
        self._quota.pause.set_by_hand(paused=True)
        _log.info("broker.paused_by_hand", reason=reason)

    def resume(self) -> None:
        """Send again."""
        self._paused = ""
        self._quota.pause.set_by_hand(paused=False)
        self._dispatcher.changed()
        _log.info("broker.resumed_by_hand")

    async def drain(self, patience: float) -> None:
        """Take no new requests, give up those that wait, let those under way be answered.

        Args:
            patience: Seconds for which to wait for answers.
        """
        self._draining = True
        self._quota.pause.set_by_hand(paused=True)
        error = Draining("not sent: the supervisor is stopping", retry_after=5.0)
        self._give_up_waiting(error)
        with anyio.move_on_after(patience):
            while self._entries:
                self._left = anyio.Event()
                await self._left.wait()
        _log.info("broker.drained", unanswered=len(self._entries))

    def _give_up_waiting(self, error: RequestError) -> None:
        for entry in list(self._entries.values()):
            if entry.state in {TicketState.WAITING, TicketState.DELAYED}:
                self._dispatcher.leave(entry)
                entry.give_up(error)

    # -- views ------------------------------------------------------------------------------------

    def why(self, request_id: str) -> Why | None:
        """Why a request waits; None when it does not (any more)."""
        entry = self._entries.get(request_id)
        if entry is None or entry.state not in {TicketState.WAITING, TicketState.DELAYED}:
            return None
        return why(self._dispatcher, entry, self._clock.monotonic())

    def snapshot(self) -> BrokerSnapshot:
        """Everything there is to show."""
        now = self._clock.monotonic()
        halted = self._halt is not None and now < self._halted_until
        state, reason = "open", ""
        if self._draining:
            state, reason = "draining", "the process is stopping"
        elif halted and self._halt is not None:
            state, reason = "halted", str(self._halt)
        elif self._paused:
            state, reason = "paused", self._paused
        quota = self._quota.snapshot(now)
        accounts: Iterable[Account] = sorted(
            self._accounts.values(),
            key=lambda one: (one.traffic_class.priority, one.traffic_class.name),
        )
        classes = tuple(class_snapshot(self._dispatcher, account, now) for account in accounts)
        return BrokerSnapshot(state, reason, classes, quota)
