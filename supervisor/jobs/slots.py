"""Who may work at once: every role's slots, and those who wait to take one again.

Pure bookkeeping, no async. A job that waits for another gives its slot back and takes one again
afterwards; it goes before jobs that have not begun, so that begun work gets finished.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping

Go = Callable[[], None]


class Slots:
    """The slots of all roles.

    Args:
        on_room: Called with a role's name when a new job of it may start.
    """

    def __init__(self, on_room: Callable[[str], None]) -> None:
        self._on_room = on_room
        self._limits: dict[str, int] = {}
        self._busy: Counter[str] = Counter()
        self._resuming: defaultdict[str, deque[Go]] = defaultdict(deque)

    @property
    def limits(self) -> Mapping[str, int]:
        """Most jobs at once, by role."""
        return self._limits

    def busy(self, role: str) -> int:
        """How many of the role's slots are held."""
        return self._busy[role]

    def room(self, role: str) -> int:
        """How many new jobs of the role may start now; 0 when the role is not there."""
        return max(0, self._limits.get(role, 0) - self._busy[role])

    def urgent_room(self, role: str) -> int:
        """How many jobs that are more urgent than the role itself may start now.

        They have as many slots again: somebody urgent waits for each of them, and must not wait
        for what the role has been given to do in its own time.
        """
        return max(0, 2 * self._limits.get(role, 0) - self._busy[role])

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """Replace all roles' limits; jobs that run beyond a lowered limit run on.

        Raises:
            ValueError: A limit is below 1.
        """
        for role, limit in limits.items():
            if limit < 1:
                raise ValueError(f"expected a concurrency of at least 1 for {role}, got: {limit}")
        self._limits = dict(limits)
        for role in [*limits, *(self._resuming.keys() - limits.keys())]:
            self._settle(role)

    def take(self, role: str, *, urgent: bool = False) -> int:
        """Take all the room there is for new jobs of a role.

        Args:
            role: The role.
            urgent: For jobs that are more urgent than the role itself.

        Returns:
            How many slots that is.
        """
        taken = self.urgent_room(role) if urgent else self.room(role)
        self._busy[role] += taken
        return taken

    def return_unused(self, role: str, count: int) -> None:
        """Give slots back for which there was no job; nobody is told that there is room."""
        self._busy[role] -= count
        self._let_resume(role)

    def give(self, role: str) -> None:
        """A slot is free again; whoever waits to go on gets it."""
        self._busy[role] -= 1
        self._settle(role)

    def resume(self, role: str, go: Go) -> None:
        """Call `go` as soon as it holds a slot again, perhaps at once."""
        self._resuming[role].append(go)
        self._let_resume(role)

    def withdraw(self, role: str, go: Go) -> None:
        """Whoever asked to go on does not want to any more."""
        self._resuming[role].remove(go)

    def _settle(self, role: str) -> None:
        self._let_resume(role)
        if self.room(role):
            self._on_room(role)

    def _let_resume(self, role: str) -> None:
        resuming = self._resuming[role]
        # What runs in a role that was taken away must be able to finish.
        gone = role not in self._limits
        while resuming and (gone or self.room(role)):
            self._busy[role] += 1
            resuming.popleft()()

    def __repr__(self) -> str:
        shown = ", ".join(f"{r} {self._busy[r]}/{limit}" for r, limit in self._limits.items())
        return f"<Slots {shown}>"
