"""Who may take how much of one window: reservations, and lending what is not needed.

A class with a share has a *reserve* in each window: room kept free for its next requests. What is
free belongs to the reserves first and to whoever comes next second. A reserve is filled

* before anything else while its class waits and has spent less than its share of the window, so
  a class with a share always advances, and
* otherwise by strict priority: after the waiting requests of the more urgent classes, before
  whatever less urgent work does not fit. So no long backlog above starves it in a moment, and
  none below ever takes its place.

How large a reserve must be is learned from what happened: it grows by the request that found it
empty and shrinks a little by each that found it ready, so that one in a hundred waits; it never
exceeds the share, nor a part of what its class really used. Idle reserves are the price of a
short wait: their sum is exactly the part of the quota that stays unused.

Pure; units are requests or tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from supervisor.quota.window import Window

_MISSES = 0.01
"""The part of a class's requests that may find its reserve empty."""
_OWN_PART = 0.4
"""A reserve is at most this part of what its class used of the window."""
_QUICK = 10.0
"""A reserve of more requests than this shrinks faster, in proportion."""
_MEMORY = 4.0
"""How many windows "usually" looks back."""
_REVIEWS = 400
"""How often in a window the bounds of its reserves are adapted."""
_LARGEST_FLOOR = 0.1
"""The floor is at most this part of the window."""
_FREE_FLOOR = 0.05
"""… and this part of it where a slower window leaves as much unused anyway."""
_FLOOR = 2.0
"""… but at least this many requests, so that a quiet class is not forgotten."""


@dataclass(slots=True)
class Reserve:
    """One class's kept-free room in one window.

    Attributes:
        share: Guaranteed part of the window in units.
        wanted: Units it should hold, learned.
        most: Units it may hold at most.
        usual: Units its class used of the window, averaged over several windows.
        held: Units it holds now.
    """

    share: float
    wanted: float
    most: float
    usual: float = 0.0
    held: float = 0.0


class Room:
    """One window and the reserves in it.

    Args:
        window: The exact log.
        now: Monotonic seconds of the start.
        idle: Units that a slower window leaves unused in this one in the long run: to keep so many
            free costs nothing.

    Attributes:
        window: The log.
        counts_requests: Whether its units are requests; else tokens.
    """

    __slots__ = (
        "_free",
        "_history_from",
        "_idle",
        "_owed_at",
        "_owed_to",
        "_reserves",
        "_reviewed",
        "_saved",
        "_unit",
        "counts_requests",
        "window",
    )

    def __init__(self, window: Window, now: float, *, idle: float = 0.0) -> None:
        self.window = window
        self._idle = idle
        self.counts_requests = window.limit.unit == "requests"
        self._reserves: dict[int, Reserve] = {}
        self._free = float(window.amount)
        self._unit = 1.0
        self._saved = False
        self._owed_to: int | None = None
        self._owed_at = now
        self._reviewed = now
        self._history_from = now + window.span

    def set_share(self, owner: int, share: float, *, initial: float) -> None:
        """Give a class a guaranteed part of the window.

        Args:
            owner: The class's number.
            share: 0 to 1; 0 takes the reserve away.
            initial: Units it holds while there is no history.
        """
        if share <= 0:
            self._reserves.pop(owner, None)
            return
        units = share * self.window.amount
        known = self._reserves.get(owner)
        if known is None:
            self._reserves[owner] = Reserve(units, min(units, initial), units)
        else:
            known.share = units
            known.most = min(known.most, units)
            known.wanted = min(known.wanted, units)

    def open(self, now: float) -> None:
        """Start a round: forget what left the window and see what is unspoken for."""
        self.window.expire(now)
        self._saved = False
        if self._owed_to is not None and now > self._owed_at + self.window.span:
            # Whoever it was has left: it would have said so again in every round.
            self._owed_to = None
        if now >= self._reviewed + self.window.span / _REVIEWS:
            self.review(now, now - self._reviewed)
        free = float(self.window.amount - self.window.used)
        for reserve in self._reserves.values():
            held = reserve.held
            if held > free or held > reserve.wanted:
                most = max(self._whole(reserve), self._unit)
                reserve.held = held = max(0.0, min(most, held, free))
            free -= held
        self._free = free if free > 0 else 0.0

    def next_look(self) -> float:
        """When more may be free for somebody: a unit returns, or the reserves are reviewed."""
        return min(self.window.next_return(), self._reviewed + self.window.span / _REVIEWS)

    def honour(self, owner: int) -> None:
        """A class waits that has spent less than its share: its reserve comes before all else."""
        reserve = self._reserves.get(owner)
        if reserve is None or self._free <= 0 or self._owed_to not in (None, owner):
            return
        lacks = max(self._whole(reserve), self._unit) - reserve.held
        if lacks > 0 and self.window.used_by(owner) < reserve.share:
            self._give(reserve, lacks)

    def owe(self, owner: int, now: float) -> None:
        """A large request has stood first for a whole window: no share comes before it now."""
        self._owed_to = owner
        self._owed_at = now

    def _give(self, reserve: Reserve, units: float) -> None:
        part = min(units, self._free)
        reserve.held += part
        self._free -= part

    def review(self, now: float, elapsed: float) -> None:
        """Adapt the bounds of the reserves to what their classes usually use.

        Args:
            now: Monotonic seconds.
            elapsed: Seconds since the last review.
        """
        self._reviewed = now
        if now < self._history_from:
            for owner, reserve in self._reserves.items():
                reserve.usual = self.window.used_by(owner)
            return
        weight = min(1.0, elapsed / (_MEMORY * self.window.span))
        floor = min(_FLOOR * self._unit, _LARGEST_FLOOR * self.window.amount)
        floor = max(floor, min(self._idle, _FREE_FLOOR * self.window.amount))
        for owner, reserve in self._reserves.items():
            reserve.usual += weight * (self.window.used_by(owner) - reserve.usual)
            reserve.most = min(reserve.share, max(_OWN_PART * reserve.usual, floor))
            reserve.wanted = min(reserve.wanted, reserve.most)

    def available(self, owner: int, *, lenders: Sequence[int] = (), patient: bool = False) -> float:
        """Units that a request may take now.

        Args:
            owner: Its class.
            lenders: Classes whose reserves it may use as well: those it works for.
            patient: It has stood first in line for a whole window; no reserve outweighs that.
        """
        if patient and not self._saved:
            return self.window.amount - self.window.used
        units = self._free
        for one in (owner, *lenders) if lenders else (owner,):
            reserve = self._reserves.get(one)
            if reserve is not None:
                units += reserve.held
        return units

    def took(self, owner: int, units: float, *, lenders: Sequence[int] = ()) -> None:
        """A request took units: what is unspoken for, then its reserves, then anybody's."""
        if owner == self._owed_to:
            self._owed_to = None
        self._free -= units
        if self._free >= 0:
            return
        for one in (owner, *lenders, *self._reserves):
            reserve = self._reserves.get(one)
            if reserve is not None and self._free < 0:
                part = min(reserve.held, -self._free)
                reserve.held -= part
                self._free += part
        self._free = 0.0

    def fill(self, owner: int) -> None:
        """Fill the reserve of `owner` from what is unspoken for."""
        reserve = self._reserves.get(owner)
        if reserve is None or self._free <= 0:
            return
        lacks = self._whole(reserve) - reserve.held
        if lacks > 0:
            self._give(reserve, lacks)

    def _whole(self, reserve: Reserve) -> float:
        """What a reserve should hold, in whole units as far as it may hold any.

        A part of a unit would be of no use to its class, and would make the unit useless to all.
        """
        unit = self._unit
        return min(ceil(reserve.wanted / unit) * unit, reserve.most - reserve.most % unit)

    def save(self) -> None:
        """Keep all that is unspoken for until the next round: a larger request waits for it."""
        self._free = 0.0
        self._saved = True

    def found(self, owner: int, units: float, *, ready: bool) -> None:
        """A request of `owner` found its room ready, or had to wait for this window."""
        reserve = self._reserves.get(owner)
        if reserve is None:
            return
        wanted = reserve.wanted
        if ready:
            quick = _QUICK * self._unit
            wanted -= units * _MISSES * (wanted / quick if wanted > quick else 1.0)
            reserve.wanted = wanted if wanted > 0 else 0.0
        else:
            reserve.wanted = min(reserve.most, wanted + units)
        self._unit += 0.01 * (units - self._unit)

    def reserve_of(self, owner: int) -> Reserve | None:
        """The reserve of a class, None when it has none."""
        return self._reserves.get(owner)

    def kept(self) -> float:
        """Units all reserves want together: what stays free on purpose."""
        return sum(reserve.wanted for reserve in self._reserves.values())
