"""All windows of one key together: may the next request of a class go, and if not, why?

Combines the exact logs with their reserves, the classes' ceilings, what was learned about
stricter servers, and the shared pause. Pure: `now` comes in, decisions come out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from supervisor.budget import Budget
from supervisor.limits import Limit
from supervisor.messages import TrafficClass
from supervisor.quota.block import Block, Obstacle
from supervisor.quota.budgets import Budgets
from supervisor.quota.observed import Observed
from supervisor.quota.own import OwnPart
from supervisor.quota.pace import Demand, Pace
from supervisor.quota.pause import Pause
from supervisor.quota.room import Room
from supervisor.quota.snapshot import QuotaSnapshot, WindowSnapshot
from supervisor.quota.strictness import Strictness
from supervisor.quota.window import RequestWindow, TokenWindow

NEVER = float("inf")
_INITIAL = 0.5
"""The part of its share that a class holds while there is no history."""


class Quota:
    """What one key may send.

    Args:
        limits: The key's limits; none means no limit at all.
        jitter: J in seconds.
        now: Monotonic seconds.
        budgets: What may be spent; None for any amount.
    """

    def __init__(
        self,
        limits: Sequence[Limit],
        *,
        jitter: float,
        now: float,
        budgets: Budgets | None = None,
    ) -> None:
        self.budgets = budgets
        requests = [limit for limit in limits if limit.unit == "requests"]
        self._logs = [RequestWindow(limit, jitter) for limit in requests]
        slowest = min((log.amount / log.span for log in self._logs), default=0.0)
        self._requests = [
            Room(log, now, idle=log.amount - slowest * log.span) for log in self._logs
        ]
        self._tokens = [
            Room(TokenWindow(limit, jitter), now) for limit in limits if limit.unit == "tokens"
        ]
        self._rooms = [*self._requests, *self._tokens]
        self.observed = Observed([room.window for room in self._rooms])
        self._strictness = [Strictness(limit, jitter) for limit in requests]
        longest = max(self._requests, key=lambda room: room.window.span, default=None)
        self._pace = None if longest is None else Pace(longest, now)
        self._shortest = min((room.window.amount for room in self._requests), default=0)
        self.pause = Pause()
        self._accounts: list[OwnPart] = []
        self._owners: dict[str, int] = {}
        self._demands: list[Demand] = []
        self._guaranteed: list[Demand] = []
        self._by_priority: list[tuple[int, int]] = []
        self._backlog = 0

    # -- classes ------------------------------------------------------------------------------

    def set_class(self, traffic_class: TrafficClass, *, now: float = 0.0) -> int:
        """Add a class, or change one.

        Args:
            traffic_class: The class.
            now: Monotonic seconds; only a new budget asks for it.

        Returns:
            Its number, stable for as long as the process lives.
        """
        owner = self._owners.get(traffic_class.name)
        if owner is None:
            owner = self._owners[traffic_class.name] = len(self._accounts)
            self._accounts.append(OwnPart(owner, traffic_class))
        else:
            self._accounts[owner].change(traffic_class)
        for room in self._rooms:
            initial = (
                _INITIAL * traffic_class.share * self._shortest
                if room in self._requests
                else _INITIAL * traffic_class.share * room.window.amount
            )
            room.set_share(owner, traffic_class.share, initial=initial)
        self._demands = sorted(
            (account.demand for account in self._accounts), key=lambda demand: demand.priority
        )
        self._guaranteed = [demand for demand in self._demands if demand.guaranteed]
        self._by_priority = [(one.priority, one.owner) for one in self._guaranteed]
        if self.budgets is not None:
            budgets = map(Budget.parse, traffic_class.budget)
            self.budgets.set_class(owner, traffic_class.name, budgets, now=now)
        return owner

    @property
    def backlog(self) -> int:
        """How many requests could go at once if there were room."""
        return self._backlog

    def by_priority(self) -> Iterable[tuple[int, int]]:
        """(priority, owner) of every class that has a share, most urgent first."""
        return self._by_priority

    def arrived(self, owner: int) -> None:
        """A request of this class wants to be sent, for the first time or again."""
        demand = self._accounts[owner].demand
        demand.arrived += 1
        demand.backlog += 1
        self._backlog += 1

    def left(self, owner: int) -> None:
        """A waiting request of this class was granted or given up."""
        self._accounts[owner].demand.backlog -= 1
        self._backlog -= 1

    # -- a round of decisions -------------------------------------------------------------------

    def open(self, now: float) -> float:
        """Start a round.

        Returns:
            How many attempts may go at most, infinity for any number.
        """
        waiting = [one.owner for one in self._guaranteed if one.backlog]
        for room in self._rooms:
            room.open(now)
            for owner in waiting:
                room.honour(owner)
        if self._pace is not None:
            self._pace.plan(now, self._demands, backlog=self._backlog)
        return self.allowance(now)

    def allowance(self, now: float) -> float:
        """How many attempts may go at most, whatever class: infinity for any number."""
        allowance = self.pause.allowance(now)
        for strictness in self._strictness:
            room = strictness.room(now)
            allowance = min(allowance, room)
        return allowance

    def closed(self, now: float) -> Block:
        """Why a round's allowance is used up."""
        if self.pause.allowance(now) < 1:
            pause = self.pause.snapshot()
            detail = "one probe is under way" if pause.probing else pause.why
            if pause.by_hand:
                detail = "sending is paused by hand"
            return Block(Obstacle.PAUSE, detail, self.pause.opens_at())
        tightest = max(self._strictness, key=lambda strictness: strictness.opens_at())
        return Block(Obstacle.BURST, f"burst of {tightest.limit}", tightest.opens_at())

    def blocked(
        self,
        owner: int,
        tokens: int,
        now: float,
        *,
        priority: int | None = None,
        first_at: float = NEVER,
        cost: int = 0,
    ) -> Block | None:
        """Whether a request may go, within a round.

        Args:
            owner: Its class's number.
            tokens: Tokens it will use, as estimated.
            now: Monotonic seconds of the round.
            priority: Its priority, where that is inherited.
            first_at: Since when it stands first in line without room; infinity if it does not.
            cost: Ticks of 1e-10 US dollars that it is likely to cost.
        """
        if cost and self.budgets is not None:
            own = self._accounts[owner].demand.priority
            urgency = own if priority is None else priority
            block = self.budgets.blocked(owner, cost, now, priority=urgency)
            if block is not None:
                return block
        for room in self._rooms:
            units = 1 if room.counts_requests else tokens
            # Nearly always there is room, or none for anybody: the rest is looked at only then.
            if room.available(owner) < units:
                lenders = self._lenders(owner, priority)
                patient = now - first_at >= room.window.span
                if room.available(owner, lenders=lenders, patient=patient) < units:
                    if patient and not room.counts_requests:
                        room.owe(owner, now)
                    return self._full(room, owner, units)
        return self._accounts[owner].blocked(tokens, now)

    def _lenders(self, owner: int, priority: int | None) -> Sequence[int]:
        """Whose reserves a request with an inherited priority may use: those it works for."""
        own = self._accounts[owner].demand.priority
        if priority is None or priority == own:
            return ()
        return [one.owner for one in self._guaranteed if one.priority == priority]

    def overdue(self) -> Sequence[int]:
        """Classes that wait and have less than their share, where a bucket is what is short.

        Reserves are room, and with a bucket narrower than the window room is never short.
        """
        behind: list[int] = []
        for room, strictness in zip(self._requests, self._strictness, strict=True):
            if strictness.binds:
                window = room.window
                behind += [
                    one.owner
                    for one in self._guaranteed
                    if one.backlog
                    and window.used_by(one.owner)
                    < self._accounts[one.owner].traffic_class.share * window.used
                ]
        return behind

    def _full(self, room: Room, owner: int, units: int) -> Block:
        window = room.window
        free = window.amount - window.used
        if free >= units:
            holders = [
                account.traffic_class.name
                for other, account in enumerate(self._accounts)
                if other != owner and (reserve := room.reserve_of(other)) and reserve.held
            ]
            detail = f"{free} of {window.limit} kept for {', '.join(holders) or 'larger requests'}"
            return Block(Obstacle.RESERVE, detail, room.next_look(), saves=units > 1)
        others = f", {window.others.units} of it by others" if window.others.units else ""
        detail = f"{window.used} of {window.limit} used{others}"
        return Block(Obstacle.WINDOW, detail, window.next_return(), saves=units > 1)

    def pace(self, owner: int, *, priority: int | None = None) -> float | None:
        """Grants per second at which a request must be paced; None when it need not.

        Args:
            owner: Its class's number.
            priority: Its priority, where that is inherited.
        """
        if self._pace is None or not self._pace.paces:
            return None
        if priority is not None and priority != self._accounts[owner].demand.priority:
            return self._pace.rate_at(priority)
        return self._pace.rate_now(owner)

    @property
    def fastest_pace(self) -> float | None:
        """Grants per second that no pace exceeds; None when nothing is ever paced."""
        return None if self._pace is None else self._pace.fastest

    def take(
        self,
        owner: int,
        tokens: int,
        now: float,
        *,
        priority: int | None = None,
        cost: int = 0,
    ) -> None:
        """Write one grant down, in a round."""
        if cost and self.budgets is not None:
            own = self._accounts[owner].demand.priority
            self.budgets.take(owner, cost, now, priority=own if priority is None else priority)
        lenders = self._lenders(owner, priority)
        for room in self._requests:
            room.took(owner, 1, lenders=lenders)
        for log in self._logs:
            log.take(now, owner)
        for room in self._tokens:
            room.took(owner, tokens, lenders=lenders)
            assert isinstance(room.window, TokenWindow)
            room.window.reserve(tokens, owner)
        account = self._accounts[owner]
        for ceiling in account.ceilings:
            ceiling.take(now, owner)
        for ceiling_tokens in account.ceilings_tokens:
            ceiling_tokens.reserve(tokens, owner)
        for strictness in self._strictness:
            strictness.take(now)
        self.pause.granted(now)

    def restamp(self, owners: Sequence[int], released: float) -> None:
        """The last grants are released only now: writing them down took its time.

        Args:
            owners: The class of each, in the order of the grants.
            released: Monotonic seconds at which they go.
        """
        for log in self._logs:
            log.restamp(len(owners), released)
        for strictness in self._strictness:
            strictness.restamp(len(owners), released)
        for owner, count in Counter(owners).items():
            for ceiling in self._accounts[owner].ceilings:
                ceiling.restamp(count, released)

    def take_back(self, owners: Sequence[int], at: float) -> None:
        """Grants are surely not sent: their places come free, those in what was learned do not.

        Their tokens are settled by themselves.

        Args:
            owners: The class of each.
            at: When they were granted, in monotonic seconds; they are the last of that moment.
        """
        for log in self._logs:
            log.take_back(len(owners), at)
        for owner, count in Counter(owners).items():
            for ceiling in self._accounts[owner].ceilings:
                ceiling.take_back(count, at)

    def fill(self, owner: int) -> None:
        """Fill a class's reserves from what is unspoken for, in a round."""
        for room in self._rooms:
            room.fill(owner)

    def save(self) -> None:
        """Keep the tokens that are free for a request that needs more of them, in a round."""
        for room in self._tokens:
            room.save()

    def found(self, owner: int, tokens: int, *, ready: bool) -> None:
        """Teach the reserves: the class found its room ready, or a window made it wait."""
        for room in self._requests:
            room.found(owner, 1, ready=ready or room.available(owner) >= 1)
        # What needs no tokens, such as fetching an answer, says nothing of how many are needed.
        for room in self._tokens if tokens else ():
            room.found(owner, tokens, ready=ready or room.available(owner) >= tokens)

    # -- after sending ----------------------------------------------------------------------------

    def hold(self, owner: int, tokens: int) -> None:
        """Reserve tokens for what was sent before, whether or not there is room for them."""
        for room in self._tokens:
            assert isinstance(room.window, TokenWindow)
            room.window.reserve(tokens, owner)
        for ceiling in self._accounts[owner].ceilings_tokens:
            ceiling.reserve(tokens, owner)

    def settle(self, owner: int, *, reserved: int, actual: int, now: float) -> None:
        """Replace an attempt's token reservation by what it really used."""
        for room in self._tokens:
            assert isinstance(room.window, TokenWindow)
            room.window.settle(now, owner, reserved=reserved, actual=actual)
        for ceiling in self._accounts[owner].ceilings_tokens:
            ceiling.settle(now, owner, reserved=reserved, actual=actual)

    def refused(self, now: float, *, granted_at: float, after: float | None, spread: float) -> bool:
        """The server answered 429 for quota: pause, and believe one limit less."""
        fresh = self.pause.refused(now, granted_at=granted_at, after=after, spread=spread)
        if fresh and self._strictness:
            # The limit that is closest to being reached is the one that is stricter than it says,
            # until its burst cannot be smaller: then it is more likely the next.
            fullest = sorted(self._rooms, key=lambda room: -room.window.used / room.window.amount)
            if fullest[0].counts_requests:
                by_room = dict(zip(self._requests, self._strictness, strict=True))
                suspects = [by_room[room] for room in fullest if room.counts_requests]
                next((one for one in suspects if not one.smallest), suspects[0]).refused(now)
        return fresh

    def restore(self, owner: int, at: float) -> None:
        """Count an attempt of before a restart, or of another process that had the key meanwhile.

        Its tokens are counted apart, since they count from its end.

        Args:
            owner: Its class's number.
            at: When it was granted, in monotonic seconds of this process.
        """
        for log in self._logs:
            log.insert(at, owner)
        for strictness in self._strictness:
            strictness.restore(at)
        for ceiling in self._accounts[owner].ceilings:
            ceiling.insert(at, owner)

    def restore_tokens(self, owner: int, tokens: int, at: float) -> None:
        """Count the tokens of such an attempt.

        Args:
            owner: Its class's number.
            tokens: What it used, or its reservation where that is unknown.
            at: When it ended, in monotonic seconds of this process.
        """
        for room in self._tokens:
            assert isinstance(room.window, TokenWindow)
            room.window.insert(at, owner, tokens)
        for ceiling in self._accounts[owner].ceilings_tokens:
            ceiling.insert(at, owner, tokens)

    # -- views ----------------------------------------------------------------------------------

    def largest(self, owner: int) -> int | None:
        """Most tokens that a single request of a class may need; None without a tokens limit."""
        amounts = [room.window.amount for room in self._tokens]
        amounts += [one.amount for one in self._accounts[owner].ceilings_tokens]
        return min(amounts, default=None)

    def longest(self) -> float:
        """Seconds after which nothing counts any more, ceilings included."""
        spans = [room.window.span for room in self._rooms]
        for account in self._accounts:
            spans += [ceiling.span for ceiling in account.ceilings]
            spans += [ceiling.span for ceiling in account.ceilings_tokens]
        return max(spans, default=0.0)

    def expected(
        self, owner: int, *, ahead: int, own_ahead: int, now: float, tokens: int = 0
    ) -> float:
        """When a request is expected to go.

        Args:
            owner: Its class's number.
            ahead: Requests of all classes that go before it.
            own_ahead: Those of them that belong to its own class.
            now: Monotonic seconds.
            tokens: Tokens it will use; those ahead are taken to use as many.

        Returns:
            Monotonic seconds, at least `now`; infinity when it hangs on an event.
        """
        times = [now, self.pause.opens_at()]
        for room in self._tokens:
            needs = min(tokens * (ahead + 1), room.window.amount)
            times.append(room.window.returns_at(needs))
        for room in self._requests:
            window = room.window
            others = sum(
                reserve.held
                for other in range(len(self._accounts))
                if other != owner and (reserve := room.reserve_of(other))
            )
            free = window.amount - window.used
            times.append(window.returns_at(min(int(others), free) + ahead + 1))
        for ceiling in self._accounts[owner].ceilings:
            times.append(ceiling.returns_at(own_ahead + 1))
        for strictness in self._strictness:
            times.append(strictness.ahead(ahead, now))
        rate = None if self._pace is None else self._pace.rate(owner)
        if rate:
            times.append(now + own_ahead / rate)
        return max(times)

    def snapshot(self, now: float) -> QuotaSnapshot:
        """Everything as frozen values; expires what has left the windows."""
        names = {owner: name for name, owner in self._owners.items()}
        windows: list[WindowSnapshot] = []
        for room in self._rooms:
            window = room.window
            window.expire(now)
            free = window.amount - window.used
            opens = window.returns_at(1) if free < 1 else now
            windows.append(
                WindowSnapshot(
                    str(window.limit),
                    window.used,
                    window.amount,
                    max(0.0, opens - now),
                    {
                        names[owner]: round(reserve.held, 1)
                        for owner in names
                        if (reserve := room.reserve_of(owner)) is not None
                    },
                    {names[owner]: window.used_by(owner) for owner in names},
                    window.others.units,
                )
            )
        pace = {
            name: rate
            for name, owner in self._owners.items()
            if self._pace is not None and (rate := self._pace.rate(owner)) is not None
        }
        return QuotaSnapshot(
            tuple(windows),
            self.pause.snapshot(),
            tuple(strictness.snapshot() for strictness in self._strictness),
            pace,
        )
