"""What may be removed from a ledger, and when."""

from __future__ import annotations

from supervisor.ledger import age
from supervisor.ledger.attempt import Attempt
from supervisor.ledger.sweeping import Sweeping
from supervisor.reading import Reading

NOON = 1_800_014_400.0


def sent(uptime: float, *, ahead: float = NOON, boot: int = 1) -> Attempt:
    """An attempt, by a wall clock that is so far ahead of the uptime."""
    return Attempt("a/1", "code", "grok-4.7", "", uptime + ahead, 0.0, 10, 0, uptime, boot)


def test_nothing_goes_before_anything_was_written() -> None:
    """Only what is written shows how late it is."""
    assert Sweeping(60.0).old(0.0) == {}
    assert "60" in repr(Sweeping(60.0))


def test_the_last_one_tells_the_time() -> None:
    """A wall clock that was ahead once does not decide for ever."""
    sweeping = Sweeping(60.0)
    sweeping.wrote([sent(100.0, ahead=NOON + 1e6), sent(200.0)])
    sweeping.wrote([])
    old = sweeping.old(0.0)
    assert (old["granted"], old["boot"], old["uptime"]) == (NOON + 140, 1, 140 * age.SECOND)


def test_what_others_wrote_stays_while_it_may_count() -> None:
    """From the moment at which it was read back until all of it must have left every window."""
    sweeping = Sweeping(60.0)
    sweeping.wrote([sent(100.0)])
    assert sweeping.old(0.0)["others"]
    sweeping.read(NOON - 30.0, Reading(NOON, 0.0, 1), 500.0)
    sweeping.read(NOON, None, 505.0)
    sweeping.read(NOON - 1.0, Reading(NOON, 0.0, 1), 510.0)
    assert not sweeping.old(529.0)["others"]
    assert sweeping.old(530.0)["others"]


def test_an_unknown_start_is_nobodys() -> None:
    """Attempts that name no start of the system go by wall time alone."""
    sweeping = Sweeping(60.0)
    sweeping.wrote([sent(100.0, boot=0)])
    assert sweeping.old(0.0)["boot"] == -1
