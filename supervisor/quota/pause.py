"""One refusal teaches everybody: the shared pause after a 429 for quota.

Nothing is sent until one moment that only moves later; then a single probe, then the rest.
Pure: takes `now`, returns what it decided (quota.md, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass

_NEVER = float("inf")

BACKOFF = (1.0, 2.0, 4.0, 8.0)
"""Seconds of pause after the first, second … refusal in a row when the server names no time."""

SILENCE = 2.0
"""Seconds without a refusal after which a probe counts as let in: an answer may take minutes, a
refusal never does."""

_REFUSED = "the server refused for quota"


@dataclass(frozen=True, slots=True)
class PauseSnapshot:
    """The pause as everybody shows it.

    Attributes:
        until: Monotonic seconds; minus infinity when never paused.
        probing: A single attempt is under way to find out whether the server lets us in.
        refusals: Refusals in a row; none where it pauses because nobody is answered.
        by_hand: An operator has paused sending.
        why: What it pauses for, in words.
    """

    until: float
    probing: bool
    refusals: int
    by_hand: bool
    why: str = _REFUSED


class Pause:
    """The state between a refusal and the next accepted attempt."""

    __slots__ = (
        "_armed_at",
        "_by_hand",
        "_probe_at",
        "_probing",
        "_refusals",
        "_silence",
        "_until",
        "_waiting",
        "_why",
    )

    def __init__(self) -> None:
        self._until = float("-inf")
        self._armed_at = float("-inf")
        self._probe_at = float("-inf")
        self._refusals = 0
        self._waiting = False
        self._probing = False
        self._by_hand = False
        self._silence = SILENCE
        self._why = _REFUSED

    def allowance(self, now: float) -> float:
        """How many attempts may go now: none, one probe, or any number (infinity)."""
        if self._probing and now - self._probe_at >= self._silence:
            self._waiting = self._probing = False
            self._refusals = 0
        if self._by_hand or now < self._until or self._probing:
            return 0
        return 1 if self._waiting else _NEVER

    def closed(self, now: float) -> bool:
        """Whether nothing may be sent at all, not even what was granted a moment ago."""
        return self._by_hand or now < self._until

    def opens_at(self) -> float:
        """Monotonic seconds at which to look again; infinity while paused by hand."""
        if self._by_hand:
            return _NEVER
        return max(self._until, self._probe_at + self._silence) if self._probing else self._until

    def granted(self, now: float) -> None:
        """An attempt was granted; while a refusal is unanswered it is the probe."""
        if self._waiting:
            self._probing = True
            self._probe_at = now

    def refused(self, now: float, *, granted_at: float, after: float | None, spread: float) -> bool:
        """The server refused an attempt for quota.

        Args:
            now: Monotonic seconds.
            granted_at: When that attempt was granted: those under way before the pause began
                belong to the same refusal and do not lengthen the back-off.
            after: Retry-After in seconds, None when the server named none. From the second
                refusal in a row the back-off is the least.
            spread: Random number in [0, 1), for jitter.

        Returns:
            Whether this opened a new episode (the first refusal since an accepted attempt, or a
            refused probe), as opposed to an echo of the one under way.
        """
        fresh = granted_at >= self._armed_at
        if fresh:
            self._armed_at = now
            self._refusals += 1
        self._silence, self._why = SILENCE, _REFUSED
        step = BACKOFF[min(self._refusals, len(BACKOFF)) - 1]
        delay = step * (1.0 + 0.25 * spread)
        if after is not None:
            # Once the server has been believed in vain, its word only lengthens the back-off.
            delay = max(after, 0.0 if self._refusals < 2 else step)
        if fresh or after is not None:
            self._until = max(self._until, now + delay)
        self._waiting = True
        if fresh:
            self._probing = False
        return fresh

    def unanswered(self, now: float, *, granted_at: float, silence: float, spread: float) -> bool:
        """The server answers nobody: like a refusal, but silence means something else.

        Args:
            now: Monotonic seconds.
            granted_at: When the attempt was granted.
            silence: Seconds after which a probe counts as let in.
            spread: Random number in [0, 1), for jitter.

        Returns:
            Whether this began a pause, or a longer one.
        """
        fresh = self.refused(now, granted_at=granted_at, after=None, spread=spread)
        self._silence, self._why = silence, "the server answers nobody"
        return fresh

    def accepted(self, *, granted_at: float) -> None:
        """The server let an attempt in; one granted after the refusal ends the pause."""
        if self._waiting and granted_at >= self._armed_at:
            self._waiting = self._probing = False
            self._refusals = 0

    def undecided(self, *, granted_at: float) -> None:
        """A probe ended without telling anything about quota: let another one go."""
        if self._probing and granted_at >= self._armed_at:
            self._probing = False

    def look_now(self) -> None:
        """Let the next probe go at once, where the server has answered nobody.

        A refusal for quota is the server's own word, and nobody's to take back.
        """
        if self._why != _REFUSED:
            self._until = float("-inf")

    def set_by_hand(self, *, paused: bool) -> None:
        """An operator pauses or resumes sending."""
        self._by_hand = paused

    def snapshot(self) -> PauseSnapshot:
        """The state as a frozen value."""
        refusals = self._refusals if self._why == _REFUSED else 0
        return PauseSnapshot(self._until, self._probing, refusals, self._by_hand, self._why)
