"""Who has stopped everybody from sending, and what is shown for it. Pure."""

from __future__ import annotations

from supervisor.errors import LedgerUnavailable

LONG = 10.0
"""Seconds for which requests wait for the lock to be had back: a database that is started again is
there by then. One that is away for longer is reported, as by a ledger that cannot be written."""
_AGAIN = 5.0
"""Seconds after which it may be asked again."""


class Stops:
    """Reasons to send nothing, apart from what the API says.

    Attributes:
        by_hand: An operator's reason; empty when there is none.
        held: Why nothing may be sent whatever an operator says; empty when it may.
        long: It has been held for so long that nobody is let wait for the end of it.
        draining: The process is stopping.
    """

    __slots__ = ("by_hand", "draining", "held", "long")

    def __init__(self) -> None:
        self.by_hand = ""
        self.held = ""
        self.long = False
        self.draining = False

    @property
    def any(self) -> bool:
        """Whether nothing may be sent."""
        return bool(self.by_hand or self.held or self.draining)

    def error(self) -> LedgerUnavailable:
        """What whoever is not let wait is told."""
        hint = "see that the store of store.url is there; it goes on by itself"
        return LedgerUnavailable(f"not sent: {self.held}", hint=hint, retry_after=_AGAIN)

    def state(self, *, halted: str, down: str) -> tuple[str, str]:
        """What everybody is shown: a state, and why when it is not `open`.

        Args:
            halted: Why the key is unusable; empty when it is not.
            down: What is known of the API's being down; empty when it is not.
        """
        if self.draining:
            return "draining", "the process is stopping"
        if self.held or halted:
            return "halted", self.held or halted
        if self.by_hand:
            return "paused", self.by_hand
        return ("halted", down) if down else ("open", "")
