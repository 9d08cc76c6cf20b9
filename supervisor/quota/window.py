"""Exact sliding logs: what was spent in the last W + J seconds, and when it comes back.

The server sees an attempt later than we grant it, by a delay that varies by at most J. Counting
our grants over W + J therefore bounds its count over every W (shared/design/quota.md, section 1).
Both logs are pure, O(1) amortised for a grant, and know when each unit returns, which is what the
forecast and the pace are computed from.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Protocol

from supervisor.limits import Limit
from supervisor.quota.others import Others

_NEVER = float("inf")
_LONG_AGO = float("-inf")

# Spent entries are dropped from the front of the lists in one go, once there are this many.
_TRIM = 4096


class Window(Protocol):
    """What `Room` needs of a log; units are requests or tokens."""

    limit: Limit
    span: float
    used: int
    others: Others

    @property
    def amount(self) -> int: ...
    def expire(self, now: float) -> None: ...
    def used_by(self, owner: int) -> int: ...
    def returning(self, now: float, within: float) -> int: ...
    def returns_at(self, units: int) -> float: ...
    def next_return(self) -> float: ...
    def counted_since(self, moment: float) -> int | None: ...
    def see_others(self, units: int, now: float) -> None: ...


class RequestWindow:
    """The grants of the last `limit.period + jitter` seconds.

    Args:
        limit: A limit on requests.
        jitter: J in seconds, the spread of the delay from grant to arrival.
    """

    __slots__ = (
        "_by_owner",
        "_forgotten",
        "_head",
        "_now",
        "_owners",
        "_times",
        "limit",
        "others",
        "span",
        "used",
    )

    def __init__(self, limit: Limit, jitter: float) -> None:
        self.limit = limit
        self.span = limit.period + jitter
        self.used = 0
        self.others = Others(self.span)
        self._forgotten = _LONG_AGO
        self._now = 0.0
        self._times: list[float] = []
        self._owners: list[int] = []
        self._head = 0
        self._by_owner: dict[int, int] = {}

    @property
    def amount(self) -> int:
        """Units the window holds."""
        return self.limit.amount

    def under(self, limit: Limit) -> RequestWindow:
        """The same log under another limit of the same period; what was spent stays spent."""
        self.limit = limit
        return self

    def used_by(self, owner: int) -> int:
        """Units of the window that `owner` has spent."""
        return self._by_owner.get(owner, 0)

    def expire(self, now: float) -> None:
        """Forget what has left the window by `now`."""
        self._now = now
        if self.others.until <= now:
            self.used += self.others.expire(now)
        times, head = self._times, self._head
        if head == len(times) or times[head] + self.span > now:
            return
        owners, by_owner = self._owners, self._by_owner
        while head < len(times) and times[head] + self.span <= now:
            by_owner[owners[head]] -= 1
            head += 1
        self.used -= head - self._head
        self._head = head
        if head > _TRIM and head * 2 > len(times):
            self._forgotten = times[head - 1]
            del times[:head], owners[:head]
            self._head = 0

    def see_others(self, units: int, now: float) -> None:
        """So many at least were spent by others; they count until they must have left."""
        self.used += self.others.see(units, now)

    def counted_since(self, moment: float) -> int | None:
        """Grants of ours at or after a moment; None when that is too long ago to know."""
        if moment <= self._forgotten:
            return None
        return len(self._times) - bisect_left(self._times, moment)

    def take(self, now: float, owner: int) -> None:
        """Write one grant down; times never decrease."""
        self._times.append(now)
        self._owners.append(owner)
        self._by_owner[owner] = self._by_owner.get(owner, 0) + 1
        self.used += 1

    def insert(self, at: float, owner: int) -> None:
        """Write one grant down that was made some time ago; others may have been made since."""
        if self._head and at < self._times[self._head - 1]:
            return  # It has left before others that have left.
        place = bisect_right(self._times, at, self._head)
        self._times.insert(place, at)
        self._owners.insert(place, owner)
        self._by_owner[owner] = self._by_owner.get(owner, 0) + 1
        self.used += 1

    def restamp(self, count: int, now: float) -> None:
        """Move the last `count` grants to `now`: they were released later than decided."""
        if not count:
            return
        start = len(self._times) - count
        self._times[start:] = [now] * count
        # Whoever looked meanwhile may have seen them leave the window already.
        for owner in self._owners[start : self._head]:
            self._by_owner[owner] += 1
        self.used += max(0, self._head - start)
        self._head = min(self._head, start)

    def take_back(self, count: int, at: float) -> None:
        """Forget the last so many grants of the moment `at`: they are surely not sent.

        Those that have left the window so long ago that they are not known any more stay so.
        """
        times, head = self._times, self._head
        stop = bisect_right(times, at)
        start = stop - count
        if start < 0 or times[start] != at:
            return
        counted = self._owners[max(start, head) : stop]
        for owner in counted:
            self._by_owner[owner] -= 1
        self.used -= len(counted)
        self._head -= max(0, min(head, stop) - start)
        del times[start:stop], self._owners[start:stop]

    def returning(self, now: float, within: float) -> int:
        """How many grants leave the window in (now, now + within]."""
        return bisect_right(self._times, now + within - self.span, self._head) - self._head

    def returns_at(self, units: int) -> float:
        """The earliest moment at which `units` more can be free, if everybody is greedy.

        Beyond one whole window the pattern repeats: the bound of quota.md, section 2.

        Returns:
            Monotonic seconds; minus infinity when they are free already.
        """
        missing = units - (self.limit.amount - self.used)
        if missing <= 0:
            return float("-inf")
        rounds, index = divmod(missing - 1, self.limit.amount)
        # What is free now is taken now, and returns after those that were spent before.
        taken = self._spent_at(index) if index < self.used else self._now
        return taken + self.span * (rounds + 1)

    def _spent_at(self, index: int) -> float:
        """When the unit was spent that returns after so many others; somebody else's among them."""
        place, units = self._head + index, self.others.units
        if units:
            at = self.others.until - self.span
            first = bisect_right(self._times, at, self._head)
            if place >= first:
                return at if place < first + units else self._times[place - units]
        return self._times[place]

    def next_return(self) -> float:
        """When the next unit comes back; infinity when none is spent."""
        own = self._times[self._head] + self.span if self.used > self.others.units else _NEVER
        return min(own, self.others.until)


class TokenWindow:
    """Tokens: reserved while an attempt is in flight, then booked at the moment it is settled.

    A server may count an answer's tokens when the request comes, when the answer is complete, or
    partly each: a reservation held from grant to settlement, and the real number for W + J after
    it, is an upper bound of all three.

    Args:
        limit: A limit on tokens.
        jitter: J in seconds.
    """

    __slots__ = (
        "_before",
        "_by_owner",
        "_forgotten",
        "_head",
        "_in_flight",
        "_owners",
        "_spent",
        "_sums",
        "_times",
        "limit",
        "others",
        "span",
        "used",
    )

    def __init__(self, limit: Limit, jitter: float) -> None:
        self.limit = limit
        self.span = limit.period + jitter
        self.used = 0
        self.others = Others(self.span)
        self._forgotten = _LONG_AGO
        self._before = 0
        self._in_flight = 0
        self._times: list[float] = []
        self._sums: list[int] = []
        self._owners: list[int] = []
        self._head = 0
        self._spent = 0
        self._by_owner: dict[int, int] = {}

    @property
    def amount(self) -> int:
        """Units the window holds."""
        return self.limit.amount

    def under(self, limit: Limit) -> TokenWindow:
        """The same log under another limit of the same period; what was spent stays spent."""
        self.limit = limit
        return self

    def used_by(self, owner: int) -> int:
        """Units of the window that `owner` has reserved or spent."""
        return self._by_owner.get(owner, 0)

    def expire(self, now: float) -> None:
        """Forget what has left the window by `now`."""
        if self.others.until <= now:
            self.used += self.others.expire(now)
        times, head = self._times, self._head
        while head < len(times) and times[head] + self.span <= now:
            tokens = self._sums[head] - self._spent
            self._spent = self._sums[head]
            self.used -= tokens
            self._by_owner[self._owners[head]] -= tokens
            head += 1
        self._head = head
        if head > _TRIM and head * 2 > len(times):
            self._forgotten, self._before = times[head - 1], self._sums[head - 1]
            del times[:head], self._sums[:head], self._owners[:head]
            self._head = 0

    def see_others(self, units: int, now: float) -> None:
        """So many at least were spent by others; they count until they must have left."""
        self.used += self.others.see(units, now)

    def counted_since(self, moment: float) -> int | None:
        """Tokens of ours that are reserved, or were settled at or after a moment.

        Returns:
            None when that is too long ago to know.
        """
        if moment <= self._forgotten:
            return None
        index = bisect_left(self._times, moment)
        before = self._sums[index - 1] if index else self._before
        settled = (self._sums[-1] if self._sums else before) - before
        return self._in_flight + settled

    def reserve(self, tokens: int, owner: int) -> None:
        """Hold `tokens` for an attempt that is about to be sent."""
        self.used += tokens
        self._in_flight += tokens
        self._by_owner[owner] = self._by_owner.get(owner, 0) + tokens

    def settle(self, now: float, owner: int, *, reserved: int, actual: int) -> None:
        """Replace a reservation by what the attempt really used."""
        self.used += actual - reserved
        self._in_flight -= reserved
        self._by_owner[owner] = self._by_owner.get(owner, 0) + actual - reserved
        if actual:
            self._times.append(now)
            self._sums.append((self._sums[-1] if self._sums else self._spent) + actual)
            self._owners.append(owner)

    def insert(self, at: float, owner: int, tokens: int) -> None:
        """Count tokens that were used some time ago; others may have been used since."""
        if not tokens or (self._head and at < self._times[self._head - 1]):
            return
        place = bisect_right(self._times, at, self._head)
        before = self._sums[place - 1] if place > self._head else self._spent
        self._times.insert(place, at)
        self._owners.insert(place, owner)
        self._sums[place:] = [before + tokens, *(sums + tokens for sums in self._sums[place:])]
        self._by_owner[owner] = self._by_owner.get(owner, 0) + tokens
        self.used += tokens

    def returning(self, now: float, within: float) -> int:
        """How many tokens leave the window in (now, now + within]."""
        index = bisect_right(self._times, now + within - self.span, self._head)
        return self._sums[index - 1] - self._spent if index > self._head else 0

    def returns_at(self, units: int) -> float:
        """The earliest moment at which `units` more are free, as far as the log knows.

        Returns:
            Monotonic seconds; minus infinity when they are free already, infinity when it takes
            the end of attempts still in flight.
        """
        missing = units - (self.limit.amount - self.used)
        if missing <= 0:
            return float("-inf")
        own = self._returned_at(missing)
        if not self.others.units or own <= self.others.until:
            return own
        return max(self.others.until, self._returned_at(missing - self.others.units))

    def _returned_at(self, tokens: int) -> float:
        """When so many of our own have come back; infinity when it takes those in flight."""
        if tokens <= 0:
            return float("-inf")
        index = bisect_left(self._sums, self._spent + tokens, self._head)
        return self._times[index] + self.span if index < len(self._times) else _NEVER

    def next_return(self) -> float:
        """When the next tokens come back; infinity when all of them are in flight."""
        own = self._times[self._head] + self.span if self._head < len(self._times) else _NEVER
        return min(own, self.others.until)
