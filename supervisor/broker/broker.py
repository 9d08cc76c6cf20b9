"""The only door to the key.

A request is queued, waits for its grant, is written down, sent by whoever asked, and settled.
A retry goes back to the queue and keeps its age. Leaving early frees the place at once; what was
sent stays counted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable, KeysView
from contextlib import asynccontextmanager

import anyio
import structlog
from anyio.abc import TaskStatus

from supervisor.broker.account import Account
from supervisor.broker.admission import Admission
from supervisor.broker.again import Repetition
from supervisor.broker.books import CANCELLED, Books
from supervisor.broker.deferred import Deferring
from supervisor.broker.dispatcher import Dispatcher
from supervisor.broker.entry import Entry
from supervisor.broker.halt import Halt
from supervisor.broker.money import Money
from supervisor.broker.reply import StreamedReply
from supervisor.broker.restore import Restoration
from supervisor.broker.settings import BrokerSettings
from supervisor.broker.snapshot import BrokerSnapshot, Why
from supervisor.broker.stops import LONG, Stops
from supervisor.broker.toll import Toll
from supervisor.broker.verdict import Again, final_error
from supervisor.broker.view import class_snapshot, why
from supervisor.clock import LastingClock
from supervisor.errors import Draining, KeyUnusable, RequestError, UpstreamUnavailable
from supervisor.ledger.attempt import STALE
from supervisor.ledger.ledger import Ledger
from supervisor.messages import Reply, Request, TrafficClass, Usage
from supervisor.quota.budgets import Budgets
from supervisor.quota.quota import Quota
from supervisor.scheduler.ticket import TicketState
from supervisor.upstream.client import Upstream
from supervisor.upstream.document import check_body
from supervisor.upstream.failures import HALTING, Failure, FailureKind
from supervisor.upstream.stream import StreamedAttempt

_log = structlog.get_logger("supervisor.broker")

_LONGEST_REASON = 200
_IN_QUEUE = frozenset({TicketState.WAITING, TicketState.DELAYED})


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
        clock: LastingClock,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        now = clock.monotonic()
        self._budgets = Budgets(settings.budgets, now=now, wall=clock.wall())
        self._money = Money(self._budgets, settings.prices, clock)
        self._quota = Quota(settings.limits, jitter=settings.jitter, now=now, budgets=self._budgets)
        self.halt = self._halt = Halt()
        self._books = Books(
            self._quota,
            money=self._money,
            ledger=ledger,
            clock=clock,
            on_answer=self._halt.passed,
            spread=spread,
        )
        self._books.on_down = self._give_up_tired
        self._repetition = Repetition(
            self._books.outage,
            self._quota.pause,
            max_retries=settings.max_retries,
            patience=settings.patience,
            spread=spread,
        )
        self._dispatcher = Dispatcher(
            self._quota,
            ledger=ledger,
            clock=clock,
            toll=Toll(self._money, self._books.accounts),
            on_grant=self._books.granted,
            grace=settings.jitter / 2,
        )
        self._books.on_room = self._dispatcher.answered
        self._accounts = self._books.accounts
        self._stops = Stops()
        self._hold_timer: asyncio.TimerHandle | None = None
        self._admission = Admission(
            self._accounts,
            self._dispatcher,
            money=self._money,
            halt=self._halt,
            stops=self._stops,
            clock=clock,
            redact=upstream.redact,
            state=self._state,
        )
        self._deferring = Deferring(upstream, books=self._books, clock=clock)
        self._entries: dict[str, Entry] = {}
        self._stale_after = settings.jitter / 2 if settings.jitter > 0 else float("inf")
        self._left = anyio.Event()
        self._restoration = Restoration(
            ledger,
            self._books,
            self._money,
            dispatcher=self._dispatcher,
            clock=clock,
            entries=self._entries.values,
        )

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read back from the ledger what counts on, then decide until cancelled."""
        await self._restoration.run()
        await self._dispatcher.run(task_status=task_status)

    async def catch_up(self) -> None:
        """Count what another process has sent and spent while this one did not own the key.

        To be called while it is held.

        Raises:
            StoreError: The ledger cannot be read.
        """
        await self._restoration.run()

    def set_class(self, traffic_class: TrafficClass) -> None:
        """Add a role or client, or change its priority, share, ceiling or bounds."""
        owner = self._dispatcher.set_class(traffic_class)
        self._books.set_class(owner, traffic_class)

    def names(self) -> KeysView[str]:
        """The names of all roles and clients."""
        return self._accounts.keys()

    # -- the door -------------------------------------------------------------------------------

    async def ask(self, request: Request) -> Reply:
        """Queue a request, send it when it may go, and return its answer.

        Cancelling frees its place at once; an attempt already sent stays counted. With `deferred`
        the answer is fetched later, where the API can do that.

        Raises:
            RequestError: No answer; the class says why.
            Exception: What the API has promised could not be written down.
        """
        entry = self._enter(request)
        account = self._accounts[request.traffic_class]
        try:
            while True:
                await self._granted(entry)
                outcome = (
                    await self._upstream.send(request)
                    if entry.errand is None
                    else await self._deferring.attempt(entry, entry.errand)
                )
                if isinstance(outcome, Again):
                    self._requeue(entry, outcome)
                    # What it waits for until then is its answer, and not its turn.
                    entry.since += outcome.delay
                    continue
                self._books.settle(
                    entry, outcome.status, failure=outcome.failure, usage=outcome.usage
                )
                if outcome.failure is None:
                    self._books.observe(entry, outcome.headers)
                    account.answered += 1
                    return Reply(
                        status=outcome.status,
                        headers=outcome.headers,
                        body=outcome.body,
                        usage=outcome.usage,
                        wait=entry.waited,
                        attempts=entry.sent,
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
        check_body(request)
        entry = self._enter(request)
        account = self._accounts[request.traffic_class]
        try:
            while True:
                await self._granted(entry)
                async with self._upstream.stream(request) as streamed:
                    if streamed.failure is None:
                        self._books.let_in(entry, streamed.headers)
                        try:
                            yield StreamedReply(streamed, wait=entry.waited, attempts=entry.sent)
                        finally:
                            self._stream_ended(entry, streamed)
                        return
                    failure, body = streamed.failure, streamed.body
                    content_type = streamed.headers.get("content-type", "application/json")
                    self._books.settle(
                        entry, streamed.status, failure=failure, usage=streamed.usage
                    )
                self._again(entry, failure, body=body, content_type=content_type)
        except RequestError:
            account.failed += not entry.streamed
            raise
        finally:
            self._leave(entry)

    def _stream_ended(self, entry: Entry, streamed: StreamedAttempt) -> None:
        """Book a stream: answered when its real end was seen, however it was left."""
        account = self._accounts[entry.request.traffic_class]
        entry.streamed = True
        if streamed.complete:
            account.answered += 1
        elif streamed.failure is not None:
            account.failed += 1
        broken_off = not streamed.complete and streamed.failure is None
        self._books.settle(
            entry,
            streamed.status,
            failure=CANCELLED if broken_off else streamed.failure,
            usage=streamed.usage,
            outcome="cancelled" if broken_off else "",
        )

    def _enter(self, request: Request) -> Entry:
        """Take a place in the queue, or refuse at once with the reason."""
        entry = self._admission.admit(request)
        self._deferring.begin(entry)
        self._entries[request.id] = entry
        self._dispatcher.submit(entry)
        return entry

    async def _granted(self, entry: Entry) -> None:
        """Wait for a grant that is still fresh.

        A grant used late would break the window (the server counts what arrives): when the loop
        stood still for longer than half the jitter, it is given up and asked for anew.
        """
        while True:
            await entry.granted()
            now = self._clock.monotonic()
            late = now - entry.granted_at
            # While the grant was written down, another attempt may have been refused.
            if late <= self._stale_after and not self._quota.pause.closed(now):
                entry.sending = True
                return
            _log.warning("broker.grant_stale", late=round(late, 3), request=entry.request.id)
            failure = Failure(FailureKind.CAPACITY, "not sent: the grant was stale")
            self._books.unsent(entry, failure, outcome=STALE)
            self._requeue(entry, Again(0.0))

    # -- after an attempt -------------------------------------------------------------------------

    def _again(self, entry: Entry, failure: Failure, *, body: bytes, content_type: str) -> None:
        """Queue a failed attempt's request again, or raise its final error."""
        again = self._repetition.decide(
            entry,
            failure,
            now=self._clock.monotonic(),
            outdated=self._halt.outdated(entry.granted_at),
        )
        if again is None:
            error = final_error(failure, body, content_type)
            if failure.kind in HALTING:
                self._stop_sending(failure, body, content_type)
            raise error
        self._requeue(entry, again)
        _log.info(
            "broker.attempt_retried",
            request=entry.request.id,
            kind=failure.kind.value,
            delay=round(again.delay, 3),
            text=failure.text,
        )

    def _requeue(self, entry: Entry, again: Again) -> None:
        """Queue a request again that was granted, or tell why it does not go on.

        Those that wait were told when that began, and nobody will tell this one.
        """
        if self._stops.draining:
            raise Draining("not sent: the supervisor is stopping", retry_after=5.0)
        if self._stops.long:
            raise self._stops.error()
        halted = self._halt.error(self._clock.monotonic(), entry.request.id)
        if halted is not None:
            raise halted
        self._dispatcher.retry(entry, again.delay, behind=again.behind, in_line=again.in_line)

    def _stop_sending(self, failure: Failure, body: bytes, content_type: str) -> None:
        """The key is unusable: everybody who waits is told now, waiting would never help."""

        def error() -> KeyUnusable:
            one = final_error(failure, body, content_type)
            assert isinstance(one, KeyUnusable)
            return one

        self._halt.begin(self._clock.monotonic(), error)
        _log.error("broker.halted", reason=failure.text, hint=failure.hint)
        self._give_up_waiting(error)

    def _leave(self, entry: Entry) -> None:
        """Free the place; an attempt under way was cancelled and stays counted."""
        self._books.leave(entry)
        self._books.release(entry)
        self._halt.ended(entry.request.id)
        self._entries.pop(entry.request.id, None)
        self._dispatcher.leave(entry)
        self._left.set()

    # -- by hand ----------------------------------------------------------------------------------

    def pause(self, reason: str) -> None:
        """Send nothing until `resume`; requests go on queueing.

        Args:
            reason: What everybody is told: its beginning where it is long, and never a key.
        """
        # Half a key would not be found: it is taken out before the rest is cut off.
        reason = self.redact(reason)[:_LONGEST_REASON]
        self._stops.by_hand = reason or "by hand"
        self._open_or_shut()
        _log.info("broker.paused_by_hand", reason=reason)

    def resume(self) -> None:
        """Send again, also after the key was refused; look at once whether the API is back."""
        self._stops.by_hand = ""
        self._quota.pause.look_now()
        self._halt.clear()
        self._open_or_shut()
        _log.info("broker.resumed_by_hand")

    def redact(self, text: str) -> str:
        """A text without any key there was."""
        return self._upstream.redact(text)

    def key_changed(self) -> None:
        """The API has taken another key: go on if the last one was refused."""
        if self._halt.renew(self._clock.monotonic()):
            self._dispatcher.changed()
            _log.info("broker.halt_ended", reason="another key has come")

    @property
    def held(self) -> str:
        """Why nothing may be sent, whatever is said by hand; empty when it may."""
        return self._stops.held

    def hold(self, reason: str) -> None:
        """Send nothing until `let_go`, not even what was granted a moment ago.

        Requests queue; when it lasts they are refused.
        """
        self._stops.held = reason
        if self._hold_timer is None:
            self._hold_timer = asyncio.get_running_loop().call_later(LONG, self._give_up_held)
        self._open_or_shut()

    def let_go(self) -> None:
        """Send again, unless it is paused by hand."""
        self._stops.held, self._stops.long = "", False
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        self._open_or_shut()

    def _open_or_shut(self) -> None:
        self._quota.pause.set_by_hand(paused=self._stops.any)
        self._dispatcher.changed()

    async def drain(self, patience: float) -> None:
        """Take no new requests, give up those that wait, let those under way be answered.

        Args:
            patience: Seconds for which to wait for answers.
        """
        self._stops.draining = True
        self._open_or_shut()
        self._give_up_waiting(
            lambda: Draining("not sent: the supervisor is stopping", retry_after=5.0)
        )
        with anyio.move_on_after(patience):
            while self._entries:
                self._left = anyio.Event()
                await self._left.wait()
        _log.info("broker.drained", unanswered=len(self._entries))

    def _give_up_waiting(
        self, error: Callable[[], RequestError], who: Callable[[Entry], bool] = lambda _: True
    ) -> None:
        for entry in list(self._entries.values()):
            if entry.state in _IN_QUEUE and who(entry):
                self._dispatcher.leave(entry)
                entry.give_up(error())

    def _give_up_held(self) -> None:
        """The lock is away for long: nobody knows for how long."""
        self._stops.long = True
        self._give_up_waiting(self._stops.error)

    def _give_up_tired(self) -> None:
        """The API still answers nobody: whoever has waited long enough for it is told."""
        now = self._clock.monotonic()
        reason = self._books.outage.reason(now)
        self._give_up_waiting(
            lambda: UpstreamUnavailable(f"not sent: {reason}"),
            lambda entry: self._repetition.is_tired(entry, now),
        )

    def priced(self, usage: Usage, model: str) -> Usage:
        """The usage with its price, where that is known."""
        return self._money.priced(usage, model)

    # -- views ------------------------------------------------------------------------------------

    def why(self, request_id: str) -> Why | None:
        """Why a request waits; None when it does not (any more)."""
        entry = self._entries.get(request_id)
        if entry is None or entry.state not in _IN_QUEUE:
            return None
        return why(self._dispatcher, entry, self._clock.monotonic())

    def why_job(self, job: str) -> Why | None:
        """Why a job waits that runs: what its oldest waiting request says; None where none does."""
        own = (one.request.id for one in self._entries.values() if one.request.job == job)
        return next((why for name in own if (why := self.why(name)) is not None), None)

    def _state(self) -> tuple[str, str]:
        now = self._clock.monotonic()
        halted, down = self._halt.reason(now), self._books.outage.reason(now)
        return self._stops.state(halted=halted, down=down)

    def snapshot(self) -> BrokerSnapshot:
        """Everything there is to show."""
        now = self._clock.monotonic()
        unusable = self._halt.reason(now)
        state, reason = self._state()
        quota = self._quota.snapshot(now)
        accounts: Iterable[Account] = sorted(
            self._accounts.values(),
            key=lambda one: (one.traffic_class.priority, one.traffic_class.name),
        )
        classes = tuple(class_snapshot(self._dispatcher, account, now) for account in accounts)
        self._money.tell_time()
        budgets = self._budgets.snapshot(now)
        return BrokerSnapshot(state, reason, classes, quota, budgets, unusable)
