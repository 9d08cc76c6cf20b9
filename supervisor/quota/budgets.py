"""Who may spend money now? Budgets of each class and of all together. Pure.

As a budget nears its end the low classes are slowed to what it can sustain until its period is
over, so that there is something left for the others; at the end everybody waits or is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from supervisor.budget import ALL, Budget
from supervisor.messages import Priority
from supervisor.quota.block import Block, Obstacle
from supervisor.quota.costs import Costs
from supervisor.quota.purse import Purse
from supervisor.quota.shortage import Shortage


@dataclass(frozen=True, slots=True)
class BudgetSnapshot:
    """One budget as everybody shows it.

    Attributes:
        of: The role or client it is for; `all` for everybody together.
        budget: Its text.
        spent: Ticks of 1e-10 US dollars spent in the current period.
        reserved: Ticks that requests under way may still cost.
        unpriced: Ticks that count as spent in it though nobody knows the price: reservations of
            requests that were under way when a process was killed, or whose asker hung up.
        amount: Ticks in all.
        started: Unix time at which the period began.
        ends: Unix time at which it ends.
    """

    of: str
    budget: str
    spent: int
    reserved: int
    unpriced: int
    amount: int
    started: float
    ends: float

    @property
    def left(self) -> int:
        """Ticks that nobody has spent or reserved; below 0 where prices were underestimated."""
        return self.amount - self.spent - self.reserved - self.unpriced


class Budgets:
    """All budgets of one key.

    Args:
        total: Budgets for everybody together.
        now: Monotonic seconds.
        wall: Unix time in seconds, at the same moment.
    """

    def __init__(self, total: Sequence[Budget], *, now: float, wall: float) -> None:
        self._offset = wall - now
        self._total = [Purse(budget, wall) for budget in dict.fromkeys(total)]
        self._own: dict[int, list[Purse]] = {}
        self._reserved: Counter[int] = Counter()
        self._names: dict[int, str] = {}
        self._costs, self._unpriced = Costs(), Costs()

    def __bool__(self) -> bool:
        """Whether there is any budget."""
        return bool(self._total or any(self._own.values()))

    def tell_time(self, *, now: float, wall: float) -> None:
        """Say how late it is; the wall clock may be set while the other one runs on."""
        self._offset = wall - now

    def set_class(self, owner: int, name: str, budgets: Iterable[Budget], *, now: float) -> None:
        """Add a class or change its budgets; what is spent or reserved is so of a new one too."""
        known = {purse.budget: purse for purse in self._own.get(owner, ())}
        wall = now + self._offset
        # Said twice it is one: else a change of the class would make it be paid twice.
        once = dict.fromkeys(budgets)
        self._names[owner] = name
        self._own[owner] = [known.get(one) or self._purse(owner, one, wall) for one in once]

    def _purse(self, owner: int, budget: Budget, wall: float) -> Purse:
        purse = Purse(budget, wall)
        purse.reserved = self._reserved[owner]
        self._fill(purse, self._names[owner])
        return purse

    def _fill(self, purse: Purse, name: str | None) -> None:
        """Count what was spent in its period, and what is dated later: clocks are set back."""
        purse.spent = self._costs.since(name, purse.span.start)
        purse.unpriced = self._unpriced.since(name, purse.span.start)

    def blocked(self, owner: int, cost: int, now: float, *, priority: int) -> Block | None:
        """Whether money is in the way of a request, and until when.

        Args:
            owner: Its class's number.
            cost: Ticks that it is likely to cost.
            now: Monotonic seconds.
            priority: 0 (most urgent) to 99.
        """
        wall = now + self._offset
        for of, purse in self._rolled(owner, wall):
            if not purse.fits(cost) and purse.affords(cost):
                rest = f"the rest of the budget of {of}, {purse.budget},"
                detail = f"{rest} is reserved by what is under way"
                return Block(Obstacle.BUDGET, detail, float("inf"))
            if not purse.fits(cost):
                detail = str(_shortage(of, purse, cost, wall=wall))
                return Block(Obstacle.BUDGET, detail, purse.span.end - self._offset)
            if priority >= Priority.LOW:
                until = purse.slow_until(owner, cost, wall)
                if now < until:
                    part = purse.left / purse.budget.ticks
                    whole = f"the budget of {of}, {purse.budget},"
                    detail = f"{part:.0%} of {whole} are left: slowed down"
                    return Block(Obstacle.BUDGET, detail, until)
        return None

    def shortage(self, owner: int, cost: int, now: float) -> Shortage | None:
        """The budget that has no money for such a request of a class for longest; None if all have.

        What is only reserved may come back at any moment: it is not counted.
        """
        wall = now + self._offset
        short = [
            _shortage(of, purse, cost, wall=wall)
            for of, purse in self._rolled(owner, wall)
            if not purse.affords(cost)
        ]
        return max(short, key=lambda one: one.ends, default=None)

    def bounds(self, owner: int) -> bool:
        """Whether any budget bounds a class."""
        return bool(self._total or self._own.get(owner))

    def take(self, owner: int, cost: int, now: float, *, priority: int) -> None:
        """Reserve what a granted request is likely to cost."""
        self._reserved[owner] += cost
        for purse in self._purses(owner):
            purse.take(cost)
            if priority >= Priority.LOW:
                purse.took_low(owner, cost, now)

    def settle(
        self, owner: int, *, reserved: int, actual: int, granted: float, unpriced: int = 0
    ) -> None:
        """Replace a reservation by the real price.

        Args:
            owner: Its class's number.
            reserved: Ticks that were reserved.
            actual: Ticks that it cost.
            granted: Unix time at which it was granted.
            unpriced: Ticks that count because nobody will tell the price.
        """
        self._note(self._names[owner], granted, spent=actual, unpriced=unpriced)
        self._reserved[owner] -= reserved
        for purse in self._purses(owner):
            purse.settle(reserved=reserved, actual=actual, granted=granted, unpriced=unpriced)

    def forget(self) -> None:
        """Nothing was spent, as far as is known; what is reserved stays."""
        self._costs, self._unpriced = Costs(), Costs()
        for purse in [*self._total, *(one for own in self._own.values() for one in own)]:
            purse.spent = purse.unpriced = 0

    def restore(self, name: str, *, spent: int = 0, unpriced: int = 0, at: float) -> None:
        """Count what was spent before a restart, or by another process.

        Args:
            name: Who spent it; need not be there any more.
            spent: Ticks.
            unpriced: Ticks that may have been spent.
            at: Unix time of it.
        """
        self._note(name, at, spent=spent, unpriced=unpriced)
        owners = [owner for owner, one in self._names.items() if one == name]
        for purse in [*self._total, *(one for owner in owners for one in self._own[owner])]:
            purse.count(spent, unpriced, at)

    def _note(self, name: str, at: float, *, spent: int, unpriced: int) -> None:
        """For a budget that comes later."""
        if spent:
            self._costs.add(name, spent, at)
        if unpriced:
            self._unpriced.add(name, unpriced, at)

    def snapshot(self, now: float) -> tuple[BudgetSnapshot, ...]:
        """Every budget: that of all first, then by name."""
        wall = now + self._offset
        named = [(ALL, self._roll(purse, None, wall)) for purse in self._total]
        for owner in sorted(self._own, key=self._names.__getitem__):
            name = self._names[owner]
            named += [(name, self._roll(purse, name, wall)) for purse in self._own[owner]]
        return tuple(
            BudgetSnapshot(
                of,
                str(purse.budget),
                purse.spent,
                purse.reserved,
                purse.unpriced,
                purse.budget.ticks,
                purse.span.start,
                purse.span.end,
            )
            for of, purse in named
        )

    def _rolled(self, owner: int, wall: float) -> Iterator[tuple[str, Purse]]:
        for purse in self._own.get(owner, ()):
            yield self._names[owner], self._roll(purse, self._names[owner], wall)
        for purse in self._total:
            yield ALL, self._roll(purse, None, wall)

    def _roll(self, purse: Purse, name: str | None, wall: float) -> Purse:
        if purse.roll(wall):
            self._fill(purse, name)
        return purse

    def _purses(self, owner: int) -> Iterator[Purse]:
        yield from self._own.get(owner, ())
        yield from self._total


def _shortage(of: str, purse: Purse, cost: int, *, wall: float) -> Shortage:
    left, ends = purse.left + purse.reserved, purse.span.end
    return Shortage(of, str(purse.budget), left, cost, ends, ends - wall)
