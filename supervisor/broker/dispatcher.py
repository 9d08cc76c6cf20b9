"""The one task that decides who goes, and the only user of scheduler and quota.

It waits for room first and only then takes the best waiting request, so a low one never blocks a
high one. What it grants is written down, in one batch, before anybody is told to send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import anyio
import structlog
from anyio.abc import TaskStatus

from supervisor.broker.entry import Entry
from supervisor.broker.lines import Lines
from supervisor.broker.obstacle import block_of
from supervisor.broker.toll import Toll
from supervisor.clock import LastingClock
from supervisor.errors import DeadlineExceeded, LedgerUnavailable, RequestError, StoreError
from supervisor.ledger.attempt import STALE, Attempt, Settlement
from supervisor.ledger.ledger import Ledger
from supervisor.messages import TrafficClass, Usage
from supervisor.quota.pacer import Pacer
from supervisor.quota.quota import Quota
from supervisor.reading import Reading
from supervisor.scheduler.scheduler import Round, Scheduler

_log = structlog.get_logger("supervisor.broker")

_BATCH = 128
_AGAIN = 5.0
"""Seconds after which what could not be written down may be asked again."""
_GLANCE = 60.0
"""Seconds after which those that may wait for money are looked at again."""
_LATE = 0.001
"""Seconds that writing down may take before the windows are corrected for it."""


class Dispatcher:
    """Turns waiting entries into grants.

    Args:
        quota: When may it go?
        ledger: Where attempts are written down.
        clock: Tells the time.
        toll: Puts prices on what waits.
        on_grant: Told of every grant that was written down, before it is released.
        grace: Seconds that writing down may take as a rule.
    """

    def __init__(
        self,
        quota: Quota,
        *,
        ledger: Ledger,
        clock: LastingClock,
        toll: Toll,
        on_grant: Callable[[Entry], None],
        grace: float,
    ) -> None:
        self._on_grant = on_grant
        self.quota = quota
        self.scheduler: Scheduler[Entry] = Scheduler(quota, toll)
        self.toll = toll
        self.lines = Lines()
        self._ledger = ledger
        self._clock = clock
        self._grace = self._least_grace = max(_LATE, grace)
        self._wake = asyncio.Event()
        fastest = quota.fastest_pace
        self._pacer = None if fastest is None else Pacer(fastest, self._wake.set)

    def set_class(self, traffic_class: TrafficClass) -> int:
        """Add a class, or change one.

        Returns:
            Its number.
        """
        owner = self.quota.set_class(traffic_class, now=self._clock.monotonic())
        self.scheduler.set_class(
            owner, concurrency=traffic_class.concurrency, share=traffic_class.share
        )
        self._wake.set()
        return owner

    def submit(self, entry: Entry) -> None:
        """Queue an entry."""
        self.scheduler.submit(entry, self._clock.monotonic())
        self._wake.set()

    def retry(
        self, entry: Entry, delay: float, *, behind: bool = False, in_line: bool = False
    ) -> None:
        """Queue a granted entry again.

        Args:
            entry: The entry.
            delay: Seconds before which it must not go.
            behind: It goes behind all others; else it keeps its age.
            in_line: It waits for its model's capacity, in line with those that do, too.
        """
        self._leave_line(entry)
        now = self._clock.monotonic()
        moment = self.lines.join(entry, delay=delay, now=now) if in_line else now + delay
        self.scheduler.retry(entry, now=now, not_before=moment, behind=behind)
        self._wake.set()

    def leave(self, entry: Entry) -> None:
        """Take an entry out, wherever it is."""
        self._leave_line(entry)
        self.scheduler.leave(entry)
        # With nobody waiting there is nothing to decide, and a lone call would pay for a turn.
        if self.quota.backlog:
            self._wake.set()

    def answered(self, model: str) -> None:
        """A model has answered somebody: let more of those look who wait for its capacity."""
        for entry in self.lines.answered(model):
            now = self._clock.monotonic()
            self.scheduler.hasten(entry, not_before=now, now=now)
            self._wake.set()

    def _leave_line(self, entry: Entry) -> None:
        if entry in self.lines:
            now = self._clock.monotonic()
            moved = self.lines.leave(entry, now=now)
            if moved is not None:
                self.scheduler.hasten(moved[0], not_before=moved[1], now=now)
                self._wake.set()

    def changed(self) -> None:
        """Something that decisions depend on has changed."""
        self._wake.set()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Decide, for ever."""
        async with anyio.create_task_group() as tasks:
            if self._pacer is not None:
                tasks.start_soon(self._pacer.run)
            task_status.started()
            while True:
                await self._turn()

    async def _turn(self) -> None:
        self._wake.clear()
        now = self._clock.monotonic()
        if self.quota.budgets is not None:
            self.quota.budgets.tell_time(now=now, wall=self._clock.wall())
        pacer = self._pacer
        permitted = pacer is not None and pacer.permission
        result = self.scheduler.round(now, most=_BATCH, paced=permitted)
        for entry in result.expired:
            waited = max(0.0, now - entry.since) + entry.waited
            block = block_of(self.quota, self.scheduler, self.toll, entry=entry, now=now)
            why = "" if block is None else f"; {block.detail}"
            message = f"given up after {waited:.1f} s in the queue: its deadline passed{why}"
            entry.give_up(DeadlineExceeded(message))
        if pacer is not None:
            if permitted and not result.credit:
                pacer.spend()
            elif result.pace is not None and not permitted:
                pacer.want(result.pace)
        if self.quota.budgets:
            self._refuse_unpaid()
        if result.grants:
            await self._release(result.grants, now)
        else:
            await self._sleep(result, now)

    def _refuse_unpaid(self) -> None:
        """Tell those first in line for which there is no money, unless their class waits for it.

        Others behind them may be cheaper. Looked at whenever anything has changed, for money goes
        also while nobody leaves: what a retry is of may have been billed.
        """
        for _, lane in list(self.scheduler.lanes()):
            while (first := lane.first()) is not None:
                refusal = self.toll.refusal(first)
                if refusal is None:
                    break
                self.leave(first)
                first.give_up(refusal)

    async def _release(self, entries: Sequence[Entry], now: float) -> None:
        """Write a batch down, then let it go."""
        at = self._clock.reading()
        attempts = [_attempt(entry, now=now, at=at) for entry in entries]
        try:
            await self._record(entries, attempts, now)
            released = await self._corrected(attempts, now)
        except StoreError as error:
            _log.error("broker.record_failed", error=str(error), attempts=len(entries))
            message = f"not sent, for it could not be written down: {error.message}"
            refuse = partial(LedgerUnavailable, message, hint=error.hint, retry_after=_AGAIN)
            self._void(entries, refuse, granted_at=now)
            return
        except BaseException:
            message = "not sent: the dispatcher was stopped while it was written down"
            self._void(entries, partial(RequestError, message), granted_at=now)
            raise
        if released - now > _LATE:
            owners = [entry.owner for entry in entries]
            self.quota.restamp(owners, released)
            attempts = [attempt.within(released - now) for attempt in attempts]
        for entry, attempt in zip(entries, attempts, strict=True):
            entry.waited += attempt.wait
            entry.granted_at = released
            entry.attempt = attempt
            self._on_grant(entry)
            entry.release()
        # Everything granted is sent before more is decided: the loop stays fair and grants fresh.
        await asyncio.sleep(0)

    async def _record(
        self, entries: Sequence[Entry], attempts: Sequence[Attempt], now: float
    ) -> None:
        """Write a batch down; where that fails its places come free, so that all may ask again."""
        try:
            await self._ledger.record([attempt.within(self._grace) for attempt in attempts])
        except StoreError:
            # If it is there for all that, as after a break in a commit, a restart counts it.
            self.quota.take_back([entry.owner for entry in entries], now)
            raise

    async def _corrected(self, attempts: Sequence[Attempt], now: float) -> float:
        """Correct what was written down, so that no restart lets its places go before this does.

        How long writing takes is not known before: what is read back counts from the end of its
        grace, so where that is over a later one is written down first.

        Returns:
            Monotonic seconds at which it may go.
        """
        grace = self._grace
        released = self._clock.monotonic()
        # The next one is likely to take as long.
        self._grace = max(self._least_grace, 2 * (released - now))
        try:
            while released - now > grace:
                grace = 3 * (released - now)
                await self._ledger.postpone([attempt.within(grace) for attempt in attempts])
                released = self._clock.monotonic()
        except BaseException:
            # They are there, and nobody will send them: nothing stays reserved, nothing counts.
            never = Settlement(0, STALE, Usage(), self._clock.monotonic() - now, 0)
            for attempt in attempts:
                self._ledger.settle(attempt, never)
            raise
        return released

    def _void(
        self, entries: Sequence[Entry], refuse: Callable[[], RequestError], *, granted_at: float
    ) -> None:
        """What was granted is not sent: its tokens and money come free, and it probed nothing."""
        now = self._clock.monotonic()
        self.quota.pause.undecided(granted_at=granted_at)
        for entry in entries:
            self.quota.settle(entry.owner, reserved=entry.tokens, actual=0, now=now)
            if self.quota.budgets is not None:
                self.quota.budgets.settle(entry.owner, reserved=entry.cost, actual=0, granted=0.0)
            entry.give_up(refuse())

    async def _sleep(self, result: Round[Entry], now: float) -> None:
        """Wait until something happens or the moment comes to look again."""
        delay = max(0.0, result.until - now)
        if self.quota.budgets and self.quota.backlog:
            # The wall clock may be set meanwhile, and nothing tells.
            delay = min(delay, _GLANCE)
        if delay == float("inf"):
            await self._wake.wait()
            return
        timer = asyncio.get_running_loop().call_later(delay, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()


def _attempt(entry: Entry, *, now: float, at: Reading) -> Attempt:
    request = entry.request
    return Attempt(
        f"{request.id}/{entry.attempts}",
        request.traffic_class,
        request.model,
        request.job,
        at.wall,
        now - entry.since,
        entry.tokens,
        entry.cost,
        at.uptime,
        at.boot,
        len(request.body),
    )
